"""The official files of SST-2 and of the STS benchmark are read whole, as their own documents count them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compress.data.loading import load, resolve

ROOT = os.environ.get("COMPRESS_REAL_DATA")
pytestmark = pytest.mark.skipif(not ROOT, reason="COMPRESS_REAL_DATA names no folder with real data")


def folder(name: str) -> str:
    return str(Path(ROOT or "") / "data" / name)


@pytest.mark.parametrize(
    ("task", "name", "training", "evaluation", "test"),
    [("sst2", "SST-2", 67_349, 872, 1_821), ("stsb", "STS-B", 5_749, 1_500, 1_379)],
)
def test_every_row_is_read(task: str, name: str, training: int, evaluation: int, test: int, tmp_path: Path) -> None:
    resolved, data = resolve({"name": task, "data": folder(name)})
    rows = {split: load(resolved, data, split, tmp_path).rows for split in ("train", "holdout", "evaluation", "test")}
    assert len(rows["train"]) + len(rows["holdout"]) == training
    assert len(rows["holdout"]) == pytest.approx(0.05 * training, rel=0.15)
    assert not set(rows["train"]["text"]) & set(rows["holdout"]["text"]) or task == "stsb"  # a pair is two texts
    assert not set(rows["train"]["row_hash"]) & set(rows["holdout"]["row_hash"])
    assert (len(rows["evaluation"]), len(rows["test"])) == (evaluation, test)


def test_labels_of_sst2_are_those_of_the_file(tmp_path: Path) -> None:
    resolved, data = resolve({"name": "sst2", "data": folder("SST-2")})
    lines = Path(folder("SST-2"), "dev.tsv").read_text().split("\n")[1:-1]
    rows = load(resolved, data, "evaluation", tmp_path).rows
    assert [f"{text}\t{label}" for text, label in zip(rows["text"], rows["label"], strict=True)] == [
        line.replace(" \t", "\t") for line in lines
    ]


def test_scores_of_stsb_are_in_its_range_and_its_texts_are_sentences(tmp_path: Path) -> None:
    resolved, data = resolve({"name": "stsb", "data": folder("STS-B")})
    rows = load(resolved, data, "test", tmp_path).rows
    labels = rows["label"][:]
    assert (min(labels), max(labels)) == (0.0, 5.0)
    assert not any("\t" in text for column in ("text", "text_pair") for text in rows[column])
