"""MNLI's matched and mismatched genres are measured in one run, each by the metric that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compress.core.measurement import Measurement
from compress.data.loading import load, resolve
from compress.measure import benchmark
from compress.measure.benchmark import Suite
from compress.models.load import resolve_model
from tests.tiny import WORDS, write_model
from tests.workers import workers_here

__all__ = ["workers_here"]

NAMES = ("entailment", "neutral", "contradiction")
SUITE = Suite.model_validate(
    {
        "threads": 1,
        "rounds": 1,
        "repeats": 0,
        "options": ("ours",),
        "conditions": ({"batch": 1, "length": "real", "calls": 1},),
    }
)


def write_split(file: Path, rows: int, first: int) -> None:
    lines = [
        f"{WORDS[(first + n) % 30]} {WORDS[(first + 7 * n) % 30]}\t{WORDS[n % 29]}\t{NAMES[n % 3]}" for n in range(rows)
    ]
    file.write_text("\n".join(["sentence1\tsentence2\tgold_label", *lines, ""]))


@pytest.mark.usefixtures("workers_here")
def test_both_evaluation_splits_are_measured_in_one_run_and_one_that_is_missing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "_fp32_onnx", lambda *_: None)
    data = tmp_path / "data"
    data.mkdir()
    write_split(data / "dev_matched.tsv", 12, 0)
    write_split(data / "dev_mismatched.tsv", 9, 3)
    by_id = dict(enumerate(NAMES))
    folder = write_model(
        tmp_path / "model", labels=3, num_hidden_layers=1, id2label=by_id, label2id={v: k for k, v in by_id.items()}
    )
    task = {"name": "mnli", "data": str(data)}

    def run(name: str) -> tuple[Measurement, Measurement]:
        found = benchmark.run(
            [("m", resolve_model(str(folder)))], SUITE, tmp_path / name, cache=tmp_path / "cache", task=task
        )
        by_name = {one.name: one for one in found.measurements}
        return by_name["accuracy"], by_name["accuracy_mismatched"]

    matched, mismatched = run("both")
    assert (matched.samples, mismatched.samples) == (12, 9)
    assert (matched.condition["split"], mismatched.condition["split"]) == ("evaluation", "evaluation_mismatched")
    right = load(*resolve({**task, "name": "mnli_mismatched"}), "evaluation").rows["label"][:]
    assert mismatched.value == pytest.approx(
        sum(a == b for a, b in zip(mismatched.predictions, right, strict=True)) / 9
    )

    (data / "dev_mismatched.tsv").unlink()
    matched, mismatched = run("one")
    assert matched.value is not None
    assert mismatched.value is None
    assert "has no file for the evaluation_mismatched split" in str(mismatched.absent)


@pytest.mark.parametrize("name", ["diagnostic-full.tsv", "AX.tsv"])
def test_the_diagnostic_set_is_read_with_its_labels_where_they_are(name: str, tmp_path: Path) -> None:
    labelled = name == "diagnostic-full.tsv"
    if labelled:
        columns = (
            "Lexical Semantics\tPredicate-Argument Structure\tLogic\tKnowledge\tDomain\tPremise\tHypothesis\tLabel"
        )
        rows = [
            "\tx\t\t\tArtificial\tThe cat sat.\tA cat sat.\tentailment",
            "\t\t\t\tNews\tIt rained.\tIt was dry.\tcontradiction",
        ]
    else:
        columns, rows = "index\tsentence1\tsentence2", ["0\tThe cat sat.\tA cat sat.", "1\tIt rained.\tIt was dry."]
    (tmp_path / name).write_text("\n".join([columns, *rows, ""]))
    found: Any = load(*resolve({"name": "ax", "data": str(tmp_path)}), "evaluation", tmp_path / "cache")
    assert found.rows["text"][:] == ["The cat sat.", "It rained."]
    assert found.rows["text_pair"][:] == ["A cat sat.", "It was dry."]
    assert found.is_labelled == labelled
    if labelled:
        assert found.rows["label"][:] == [0, 2]
