"""A model that is opened is the one that was saved: tensors that its class lacks, or has otherwise, are refused by name."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.data import loading
from compress.models import load as models
from tests.tiny import write_model

ATTENTION = "bert.encoder.layer.0.attention"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("saved") / "bert")


Edit = Callable[[dict[str, Any]], Mapping[str, Any]]


def edited(saved: Path, folder: Path, weights: Edit = dict, config: Mapping[str, Any] | None = None) -> Path:
    """A copy with other weights, and with settings of the config changed, or removed where they are None."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(saved, folder)
    tensors = {name: value.contiguous() for name, value in weights(load_file(saved / "model.safetensors")).items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    raw = {**json.loads((saved / "config.json").read_text()), **(config or {})}
    (folder / "config.json").write_text(json.dumps({name: value for name, value in raw.items() if value is not None}))
    return folder


def load(folder: Path) -> Any:
    return models.load(Artifact(folder=folder, origin={"weights": "x"}, task=None))


def relative(tensors: dict[str, Any]) -> dict[str, Any]:
    import torch

    return {**tensors, f"{ATTENTION}.self.distance_embedding.weight": torch.zeros(159, 16)}


def unmerged(tensors: dict[str, Any]) -> dict[str, Any]:
    import torch

    return {**tensors, f"{ATTENTION}.self.query.lora_A.default.weight": torch.zeros(4, 64)}


def pruned(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: value[16:] if f"{ATTENTION}.self" in name else value for name, value in tensors.items()}


def shortened(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tensors.items() if name != f"{ATTENTION}.self.key.weight"}


def three_outputs(tensors: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.repeat(2, *[1] * (value.ndim - 1))[:3] if name.startswith("classifier") else value
        for name, value in tensors.items()
    }


@pytest.mark.parametrize(
    ("weights", "config", "says"),
    [
        (relative, {"position_embedding_type": "relative_key"}, "distance_embedding.*relative_key.*no longer computes"),
        (unmerged, {}, "lora_A.*merge_and_unload"),
        (dict, {"num_hidden_layers": 2}, r"bert.encoder.layer.2.* and 31 more.*num_hidden_layers 2"),
        (pruned, {"pruned_heads": {"0": [0]}}, r"self.key.bias .* has the shape 48, .* 64 .*pruned_heads"),
        (dict, {"vocab_size": 50}, "word_embeddings.weight.* 50 x 64.*vocab_size"),
        (shortened, {}, rf"lack 1 of the model's tensors \({ATTENTION}.self.key.weight"),
        (three_outputs, {"id2label": None, "label2id": None}, r"3 outputs.*names no labels, which makes 2.*id2label"),
        (three_outputs, {}, "3 outputs.*names 2 labels"),
    ],
    ids=["relative positions", "LoRA", "layers", "pruned heads", "vocabulary", "missing", "no labels", "labels"],
)
def test_weights_that_are_not_those_of_the_class_are_refused_by_name(
    weights: Edit, config: Mapping[str, Any], says: str, saved: Path, tmp_path: Path
) -> None:
    with pytest.raises(CompressError, match=says) as refused:
        load(edited(saved, tmp_path / "m", weights, config))
    assert len(str(refused.value)) < 500
    assert "\n" not in str(refused.value)


def test_buffers_that_older_versions_stored_are_named_and_left_out(
    saved: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    def with_buffers(tensors: dict[str, Any]) -> dict[str, Any]:
        return {**tensors, "bert.embeddings.position_ids": torch.arange(80)[None]}

    with caplog.at_level(logging.WARNING, "compress"):
        load(saved)
        assert not caplog.records
        load(edited(saved, tmp_path / "m", with_buffers))
    assert "bert.embeddings.position_ids in its weights are buffers" in caplog.text


def test_another_tasks_head_is_named_and_left_out_where_a_new_one_is_trained(
    saved: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def answers_questions(tensors: dict[str, Any]) -> dict[str, Any]:
        return {name.replace("classifier", "qa_outputs"): value for name, value in tensors.items()}

    folder = edited(saved, tmp_path / "m", answers_questions, {"architectures": ["BertModel"]})
    with caplog.at_level(logging.INFO, "compress"):
        models.for_task(folder, loading.resolve("sst2")[0], seed=0)
    assert "qa_outputs.bias and 1 more in its weights belong to a head" in caplog.text
    assert "newly initialized" in caplog.text


def test_only_the_head_may_have_another_shape_where_a_new_one_is_trained(saved: Path, tmp_path: Path) -> None:
    task = loading.resolve("mnli")[0]
    assert models.for_task(edited(saved, tmp_path / "head"), task, seed=0).config.num_labels == 3
    with pytest.raises(CompressError, match="word_embeddings.weight"):
        models.for_task(edited(saved, tmp_path / "body", config={"vocab_size": 50}), task, seed=0)


def test_an_adapter_beside_a_whole_model_is_never_applied_unasked(saved: Path, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    from compress.models.adapters import merged

    folder = edited(saved, tmp_path / "both")
    settings = LoraConfig(task_type="SEQ_CLS", r=4, target_modules=["query"], init_lora_weights=False)
    adapted = get_peft_model(load(saved), settings).eval()
    adapted.save_pretrained(folder)
    with pytest.raises(CompressError, match="adapter_config.json.*merged already.*compress import"):
        load(folder)
    ids = torch.tensor([[2, 6, 7, 3]])
    with torch.no_grad():  # it is applied once where it is asked for
        torch.testing.assert_close(merged(folder, folder)[0](ids).logits, adapted(ids).logits, rtol=1e-4, atol=1e-5)
    (folder / "config.json").unlink()
    with pytest.raises(CompressError, match="LoRA adapter without its base"):
        models.resolve_model(str(folder))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "float8_e5m2"])
def test_a_value_that_is_not_finite_is_named_and_counted(value: float, dtype: str, saved: Path, tmp_path: Path) -> None:
    import torch

    def diverged(tensors: dict[str, Any]) -> dict[str, Any]:
        tensors = {name: tensor.to(getattr(torch, dtype)) for name, tensor in tensors.items()}
        tensors[f"{ATTENTION}.self.key.weight"][3, 5:7] = value
        return tensors

    with pytest.raises(CompressError, match=rf"4,096 values of {ATTENTION}.self.key.weight 2 are NaN or infinite"):
        load(edited(saved, tmp_path / "m", diverged))


def test_the_only_value_of_eight_bits_that_is_no_number_is_found(saved: Path, tmp_path: Path) -> None:
    import torch

    def diverged(tensors: dict[str, Any]) -> dict[str, Any]:
        head = tensors["classifier.weight"]
        head[0, 0], head[0, 1] = float("nan"), 448.0  # the greatest finite one
        return tensors | {"classifier.weight": head.to(torch.float8_e4m3fn)}

    with pytest.raises(CompressError, match="classifier.weight 1 is NaN"):
        load(edited(saved, tmp_path / "m", diverged))


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint8", "bool"])
def test_weights_that_are_no_floats_are_refused(dtype: str, saved: Path, tmp_path: Path) -> None:
    import torch

    def rounded(tensors: dict[str, Any]) -> dict[str, Any]:
        return tensors | {"classifier.weight": (tensors["classifier.weight"] * 50).to(getattr(torch, dtype))}

    with pytest.raises(CompressError, match="classifier.weight in .* has the type .*quantization_config"):
        load(edited(saved, tmp_path / "m", rounded))


def test_a_tensor_that_stands_in_two_files_is_refused(saved: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = edited(saved, tmp_path / "m")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    save_file(tensors, folder / "1.safetensors", {"format": "pt"})
    save_file({"classifier.bias": tensors["classifier.bias"] + 1}, folder / "2.safetensors", {"format": "pt"})
    places = {**dict.fromkeys(tensors, "1.safetensors"), "classifier.bias": "2.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    with pytest.raises(CompressError, match=r"classifier.bias is in two files .*1.safetensors and 2.safetensors"):
        load(folder)


def test_the_largest_finite_value_is_one(saved: Path, tmp_path: Path) -> None:
    import torch

    def large(tensors: dict[str, Any]) -> dict[str, Any]:
        tensors["classifier.weight"].fill_(torch.finfo(torch.float32).max)
        return tensors

    load(edited(saved, tmp_path / "m", large))


@pytest.mark.parametrize("offsets", ["[0]", "[0, 256, 512]", "[0, 1e999]", "[0, NaN]", "{}", "3"])
def test_a_header_whose_offsets_are_none_is_refused_in_a_line(make_model: Callable[..., Path], offsets: str) -> None:
    folder = make_model()
    file = folder / "model.safetensors"
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = re.sub(
        r'"data_offsets":\[[^]]*\]', f'"data_offsets":{offsets}', data[8 : 8 + length].decode(), count=1
    ).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + length :])
    with pytest.raises(CompressError, match="corrupt"):
        models.classifier(folder)
