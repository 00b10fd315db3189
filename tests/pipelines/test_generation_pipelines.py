"""The shipped pipelines of models that write fit together as they stand, for other models and other data too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from compress import pipeline
from compress.core import shipped
from compress.core.errors import CompressError
from tests.tiny_generators import write_generator, write_pairs, write_text
from tests.workers import workers_here

__all__ = ["workers_here"]

SUMMARIZERS = ("bart", pytest.param("t5", marks=pytest.mark.slow))
DECODERS = ("llama", pytest.param("gpt2", marks=pytest.mark.slow))


def write_chats(folder: Path) -> list[str]:
    """The changes that put another set in SAMSum's place: JSON lines with fields of their own names."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "evaluation"):
        rows = [
            {"id": number, "chat": f"Ada: number {number}?\nBob: {split}.", "gist": f"It is {number}."}
            for number in range(60)
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [
        "task.name=chats",
        "task.kind=summarization",
        f"task.data={{train: {folder}/train.jsonl, evaluation: {folder}/evaluation.jsonl}}",
        "task.source=chat",
        "task.target=gist",
        "task.dialogue=true",
    ]


def planned(name: str, changes: list[str], out: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What a dry run says of each step; nothing may be opened or written for it."""
    monkeypatch.setattr("compress.models.load.load", lambda *_, **__: pytest.fail("a weight was loaded"))
    monkeypatch.setattr("compress.models.generators.generator", lambda *_, **__: pytest.fail("a weight was loaded"))
    plan = pipeline.read(name, changes)
    lines = pipeline.explain(plan, pipeline.check_all(plan, out))
    assert not out.exists()
    return {line.split()[0]: line for line in lines}


@pytest.mark.parametrize("family", SUMMARIZERS)
def test_another_set_goes_through_samsum_with_only_its_data_and_columns_changed(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_generator(tmp_path / "summarizer", family, layers=3)
    changes = [f"model={model}", *write_chats(tmp_path / "data")]
    lines = planned("samsum", changes, tmp_path / "run", monkeypatch)
    assert set(lines) >= {"student", "pruned", "onnx", "int8", "int8-static", "int8-qat", "student-int8"}
    assert all(line.endswith("new") or ": new" in line for line in lines.values())


@pytest.mark.slow
@pytest.mark.usefixtures("workers_here")
def test_samsum_runs_to_its_report_on_another_set(tmp_path: Path) -> None:
    wide = {"d_model": 128, "encoder_ffn_dim": 128, "decoder_ffn_dim": 128}  # so that matrices are worth quantizing
    model = write_generator(tmp_path / "summarizer", "bart", layers=3, init_std=0.3, **wide)
    task = write_pairs(tmp_path / "data", rows=400)
    steps = ["steps.student.distill.epochs=1", "steps.pruned.prune.epochs=0.5"]
    suite = "benchmark={rounds: 1, repeats: 0, conditions: [{batch: 1, length: real, calls: 2}]}"
    changes = [f"model={model}", *(f"task.{name}={json.dumps(value)}" for name, value in task.items()), *steps, suite]
    result = pipeline.run(pipeline.read("samsum", changes), tmp_path / "run")
    made = {"student", "pruned", "onnx", "int8", "int8-static", "int8-qat", "student-int8", "pruned-int8"}
    assert set(result.artifacts) == made
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    for told in (*made - {"onnx"}, "Lead-3", "distinct", "ROUGE-L", "without the teacher"):
        assert told.lower() in page.lower(), told


def test_a_wrong_column_is_named_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_generator(tmp_path / "summarizer", "bart", layers=3)
    changes = [f"model={model}", *write_chats(tmp_path / "data"), "task.source=chta"]
    with pytest.raises(CompressError, match=r"has no column 'chta'\. Did you mean 'chat'"):
        planned("samsum", changes, tmp_path / "run", monkeypatch)


@pytest.mark.parametrize("family", DECODERS)
def test_any_plain_text_goes_through_the_decoders_pipeline(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_generator(tmp_path / "decoder", family, layers=4)
    task = write_text(tmp_path / "data")
    changes = [f"model={model}", f"task={json.dumps(task)}"]
    lines = planned("decoder", changes, tmp_path / "run", monkeypatch)
    assert set(lines) >= {"onnx", "int8", "student", "student-int8"}


def test_the_offline_quickstart_of_summaries_starts_from_a_config_that_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = planned("quickstart-summarize", [], tmp_path / "run", monkeypatch)
    assert set(lines) == {"summarizer", "student", "summarizer-int8", "student-onnx", "student-int8"}
    assert yaml.safe_load(shipped.find("pipelines", "quickstart-summarize").read_text())["task"]["name"] == "dialogues"


def test_a_config_in_the_current_folder_goes_before_the_one_beside_the_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small-t5.json").write_text("{}")
    assert pipeline.read("quickstart-summarize").model == "small-t5.json"
