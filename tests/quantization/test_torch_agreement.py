"""A torch checkpoint in fewer bits is held to its fp32 source on real rows, as ONNX graphs are."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.data.loading import described_task
from compress.models import load as models
from compress.models.load import checkpoint_artifact, save, tokenizer
from compress.quantization.torch_agreement import WRITTEN, with_source
from compress.techniques.apply import apply
from tests.tiny import write_model
from tests.tiny_generators import write_generator, write_pairs, write_text

QUANTIZE = find("techniques", "quantize")
WIDE = {"init_std": 0.3, "initializer_range": 0.3}
LLAMA = {**WIDE, "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 4}
needs_bitsandbytes = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="the extra `bitsandbytes` is not installed"
)


def made(folder: Path, family: str, **changes: Any) -> Artifact:
    write = write_model if family == "bert" else write_generator
    shape = {"num_hidden_layers": 1} if family == "bert" else {}
    return checkpoint_artifact(
        write(folder / f"{family}-{len(list(folder.iterdir()))}", family, **{**WIDE, **shape, **changes}), family
    )


def described(folder: Path, family: str, task: dict[str, Any]) -> dict[str, Any]:
    return {"bert": task, "bart": write_pairs(folder / "pairs"), "llama": write_text(folder / "text")}[family]


@pytest.mark.parametrize("family", ["bert", "bart", "llama"])
def test_a_model_agrees_with_itself_and_not_with_another(family: str, task: dict[str, Any], tmp_path: Path) -> None:
    rows = described_task(described(tmp_path, family, task))
    source, other = made(tmp_path, family), made(tmp_path, family, seed=1)
    same = with_source(source.folder, "int8", source, rows)
    assert (same.share, same.of) == (1, "classes" if family == "bert" else "tokens")
    assert same.rows >= 60
    assert same.rows_from.endswith("train")
    assert not with_source(other.folder, "int8", source, rows).is_enough
    if family == "bart":  # it is compared on the text that the source writes, which ends where it likes
        assert same.rows <= 24 * WRITTEN


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`noise("write_checkpoint")`: that writer's weights are another model's, as if it had lost what they held."""

    def ruin(writer: str) -> None:
        from compress.quantization import weight_only

        write = getattr(weight_only, writer)

        def ruined(source: Artifact, *given: Any) -> Any:
            import torch

            model = models.load(source)
            torch.manual_seed(0)
            with torch.no_grad():
                for one in model.parameters():
                    if one.ndim == 2:
                        one.copy_(one.flatten()[torch.randperm(one.numel())].view_as(one))
            folder = given[-1].parent / "shuffled"
            save(model, tokenizer(source.folder), folder)
            return write(checkpoint_artifact(folder, "shuffled"), *given)

        monkeypatch.setattr(weight_only, writer, ruined)

    return ruin


@pytest.mark.parametrize(
    ("family", "settings", "writer"),
    [
        ("llama", {"precision": "int8", "mode": "gptq"}, "write_checkpoint"),
        pytest.param(
            "llama", {"precision": "nf4", "mode": "bitsandbytes"}, "write_bitsandbytes", marks=needs_bitsandbytes
        ),
        pytest.param(
            "bert", {"precision": "int8", "mode": "bitsandbytes"}, "write_bitsandbytes", marks=needs_bitsandbytes
        ),
    ],
    ids=["gptq", "nf4", "classifier"],
)
def test_a_checkpoint_of_noise_is_refused_unless_told_to_go_on(
    family: str,
    settings: dict[str, Any],
    writer: str,
    noise: Callable[[str], None],
    task: dict[str, Any],
    tmp_path: Path,
) -> None:
    rows = described(tmp_path, family, task)
    source = made(tmp_path, family, **(LLAMA if family == "llama" else {}))
    good = apply(QUANTIZE, source, QUANTIZE.settings(**settings), tmp_path / "good", task=rows)
    assert good.steps[-1].facts["agreement"]["share"] >= (0.9 if settings["precision"] == "int8" else 0.5)
    noise(writer)
    with pytest.raises(
        CompressError, match=f"{settings['precision']} model is not its fp32 source.*--allow-disagreement"
    ):
        apply(QUANTIZE, source, QUANTIZE.settings(**settings), tmp_path / "bad", task=rows)
    assert not (tmp_path / "bad").exists()
    kept = QUANTIZE.settings(**settings, allow_disagreement=True)
    facts = apply(QUANTIZE, source, kept, tmp_path / "bad", task=rows).steps[-1].facts
    assert facts["agreement"]["allowed"]
