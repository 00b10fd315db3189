"""Export as a step, for generative models: graphs that share their weights, compared with torch on the task's own rows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from compress.core import catalogue
from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.data import comparison_rows
from compress.data.loading import described_task
from compress.onnx import exported as exporting
from compress.techniques.apply import apply
from tests.families import is_seq2seq, slow_but
from tests.tiny import write_model
from tests.tiny_generators import write_pairs
from tests.written import onnx_generator, torch_generator


@pytest.mark.parametrize("family", slow_but("bart", names=("bart", "t5", "gpt2", "bloom")))
def test_an_export_has_all_that_serving_it_takes_and_writes_torchs_tokens(
    family: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import torch

    from compress.models.load import load
    from compress.runtimes.onnx_generation import open_generator
    from compress.runtimes.runtime import Serving

    source, made = torch_generator(family, tmp_path_factory), onnx_generator(family, tmp_path_factory)
    assert (made.format, made.precision) == ("onnx", "fp32")
    encoder = {"encoder": "encoder.onnx"} if is_seq2seq(family) else {}
    assert dict(made.parts) == {**encoder, "decode": "decode.onnx"}
    beside = {"weights.bin", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"}
    assert set(made.files) == {*made.parts.values(), *beside}
    parity = made.steps[-1].facts["parity"]
    assert parity["rows_from"] == ("gists, train" if encoder else "words, train")
    assert max(parity["largest_gap"].values()) <= parity["tolerance"]
    texts = parity["texts"]
    assert texts["same_texts"] == texts["prompts"] == (4 if encoder else 1)  # the words are one text
    assert texts["largest_gap"] <= texts["tolerance"]
    prompts = torch.tensor([[4, 5, 6, 7], [9, 8, 7, 6]])
    wanted = load(source).generate(prompts, max_new_tokens=12, do_sample=False)
    assert (
        open_generator(made, Serving()).generate(prompts, max_new_tokens=12, do_sample=False).tolist()
        == wanted.tolist()
    )


def test_the_size_on_disk_counts_the_weights_beside_the_graphs(tmp_path_factory: pytest.TempPathFactory) -> None:
    from compress.measure.size import disk_bytes, size
    from compress.models.load import load

    source, made = torch_generator("bart", tmp_path_factory), onnx_generator("bart", tmp_path_factory)
    parts = [*made.parts.values(), "weights.bin"]
    assert disk_bytes(made) == sum((made.folder / name).stat().st_size for name in parts)
    measured = {one.name: one.value for one in size(made)}
    assert measured["parameters"] == pytest.approx(sum(one.numel() for one in load(source).parameters()), rel=0.01)


def test_an_export_is_made_once(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    source, made = torch_generator("bart", tmp_path_factory), onnx_generator("bart", tmp_path_factory)
    monkeypatch.setattr(exporting, "export_model", lambda *_, **__: pytest.fail("it was exported again"))
    again = exporting.exported(source, described_task(made.task or {}), made.folder.parent / ".compress-cache")
    assert again.parts == made.parts
    assert again.parity == made.steps[-1].facts["parity"]


def test_a_kept_export_with_a_changed_weight_is_not_used(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, made = torch_generator("bart", tmp_path_factory), onnx_generator("bart", tmp_path_factory)
    cache = tmp_path / "cache"
    shutil.copytree(made.folder.parent / ".compress-cache" / "exports", cache / "exports")
    (weights,) = (cache / "exports").rglob("weights.bin")
    content = weights.read_bytes()
    weights.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])

    def exports(_: Any, folder: Path, *given: Any, **named: Any) -> exporting.Exported:
        for name in (*made.parts.values(), "weights.bin"):
            shutil.copyfile(made.folder / name, folder / name)
        return exporting.Exported(folder, made.parts, made.steps[-1].facts["parity"], {})

    monkeypatch.setattr(exporting, "export_model", exports)
    again = exporting.exported(source, described_task(made.task or {}), cache)
    assert again.folder == weights.parent
    assert weights.read_bytes() == content


def test_a_half_precision_checkpoint_is_exported_in_fp32(tmp_path: Path) -> None:
    import torch

    from compress.models.generators import generator
    from compress.models.load import checkpoint_artifact
    from tests.written import write_strong

    folder = write_strong(tmp_path / "bf16", "llama")
    generator(folder).to(torch.bfloat16).save_pretrained(folder)
    found = exporting.exported(checkpoint_artifact(folder, "half"), None, tmp_path / "cache")
    assert found.parity["precision"] == "fp32"
    assert found.parity["rows_from"].startswith("built-in sentences")


def test_a_task_that_does_not_fit_the_model_is_refused_before_anything_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "load", lambda *_: pytest.fail("a weight was loaded"))
    source = torch_generator("bart", tmp_path_factory)
    with pytest.raises(CompressError, match="generates text .* but the task sst2"):
        _export(source, tmp_path / "a", {"name": "sst2"})
    from compress.models.load import checkpoint_artifact

    classifier = checkpoint_artifact(write_model(tmp_path / "classifier"), "classifier")
    with pytest.raises(CompressError, match="is not a generative model"):
        _export(classifier, tmp_path / "b", write_pairs(tmp_path / "data"))


def _export(source: Artifact, out: Path, task: dict[str, Any]) -> Artifact:
    technique = catalogue.find("techniques", "export")
    return apply(technique, source, technique.settings(), out, task=task)


@pytest.mark.parametrize("family", ["llama"])
def test_a_prompt_longer_than_the_model_reads_is_cut_for_the_comparison(
    family: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from compress.models.load import config, tokenizer

    folder = torch_generator(family, tmp_path_factory).folder
    short = config(folder)
    short.max_position_embeddings = 6
    rows, _ = comparison_rows.rows(tokenizer(folder), short, None, generates=True)
    assert max(len(row["input_ids"]) for row in rows) == 6
    assert json.loads((folder / "config.json").read_text())["max_position_embeddings"] == 128
