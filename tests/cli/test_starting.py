"""`compress init`: the file says what it is, the model what it answers, and the pipeline that is written runs as it stands."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from compress.cli import compress
from compress.core.errors import CompressError
from tests.tiny import write_task


def init(*arguments: object) -> Result:
    """The command, in this process; its own errors are raised."""
    return CliRunner().invoke(compress, ["init", *map(str, arguments)], catch_exceptions=False)


def reviews(folder: Path, *, separator: str = ",", encoding: str = "utf-8", split: str = "train") -> Path:
    """Learnable reviews in a CSV file."""
    write_task(folder / "made")
    with (folder / "made" / f"{split}.csv").open() as stream:
        rows = list(csv.reader(stream))
    file = folder / ("reviews.csv" if split == "train" else "dev.csv")
    with file.open("w", newline="", encoding=encoding) as stream:
        csv.writer(stream, delimiter=separator).writerows(rows)
    return file


def test_columns_labels_and_separator_are_found_and_written(
    make_model: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file, model = reviews(tmp_path, separator=";"), make_model("bert")
    evaluation = reviews(tmp_path, separator=";", split="evaluation")
    result = init(model, file.name, evaluation.name)
    written = yaml.safe_load((tmp_path / "pipeline.yaml").read_text())
    assert written["task"] | {"data": 0} == {
        "name": "my-reviews",
        "text": "review",
        "label": "mood",
        "labels": ["negative", "positive"],
        "separator": ";",
        "data": 0,
    }
    assert written["task"]["data"] == {"train": "reviews.csv", "evaluation": "dev.csv"}
    assert "Next: compress run pipeline.yaml" in result.output
    assert "Estimate: about" in result.output


def test_every_line_of_the_pipeline_has_a_comment(
    make_model: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = init(make_model("bert"), reviews(tmp_path), "--dry-run")
    text = result.stdout
    assert not (tmp_path / "pipeline.yaml").exists()
    assert not (tmp_path / "pipeline-data").exists()
    assert yaml.safe_load(text)["budget"] == {"max_drop": 2.0}
    assert [line for line in text.splitlines() if "#" not in line] == ["task:", "steps:"]


def test_without_an_evaluation_file_equal_texts_stay_on_one_side(
    make_model: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = reviews(tmp_path)
    rows = file.read_text().splitlines()
    file.write_text("\n".join([rows[0], *rows[1:], *rows[1:]]) + "\n")
    found = json.loads(init(make_model("bert"), file, "--json").stdout)
    texts = {
        split: [json.loads(line)["review"] for line in (tmp_path / "pipeline-data" / f"{split}.jsonl").open()]
        for split in ("train", "evaluation")
    }
    assert not set(texts["train"]) & set(texts["evaluation"])
    assert len(texts["train"]) + len(texts["evaluation"]) == 320
    assert 40 <= len(texts["evaluation"]) <= 64
    assert found["pipeline"] == "pipeline.yaml"
    assert found["estimate"]["minutes"] > 0
    assert any("160 rows of reviews.csv repeat" in one for one in found["found"])


def test_no_file_is_overwritten(
    make_model: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipeline.yaml").write_text("mine")
    with pytest.raises(CompressError, match=r"nothing is overwritten. Choose another file with -o"):
        init(make_model("bert"), reviews(tmp_path))
    (tmp_path / "other-data").mkdir()
    with pytest.raises(CompressError, match=r"other-data exists already"):
        init(make_model("bert"), reviews(tmp_path), "-o", "other.yaml")
    assert not (tmp_path / "other.yaml").exists()
    assert (tmp_path / "pipeline.yaml").read_text() == "mine"


def test_labels_come_in_the_models_order_and_other_labels_begin_with_fine_tuning(
    make_model: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = reviews(tmp_path)
    turned = {"id2label": {0: "positive", 1: "negative"}, "label2id": {"positive": 0, "negative": 1}}
    written = yaml.safe_load(init(make_model("bert", **turned), file, "--dry-run").stdout)
    assert written["task"]["labels"] == ["positive", "negative"]
    assert "teacher" not in written["steps"]
    found = json.loads(init(make_model("bert", labels=3), file, "--dry-run", "--json").stdout)
    assert any("begins by fine-tuning" in one for one in found["found"])
    assert "finetune" in yaml.safe_load(found["yaml"])["steps"]["teacher"]


@pytest.mark.slow
def test_the_pipeline_that_is_written_runs_as_it_stands(
    make_model: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    init(make_model("bert"), reviews(tmp_path, separator=";", encoding="windows-1252"))
    changes: list[Any] = [
        "--set",
        "benchmark={rounds: 1, repeats: 0, conditions: [{batch: 1, length: real, calls: 2}]}",
    ]
    done = CliRunner().invoke(compress, ["run", "pipeline.yaml", *changes])
    assert (tmp_path / "runs" / "pipeline" / "report.html").is_file(), done.output
