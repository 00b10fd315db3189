"""Every row is in one slice by label, one by length, and one by each further column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compress.core.errors import CompressError
from compress.data.loading import load, resolve
from compress.measure.slices import slices
from compress.tasks import predictions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty rows of 1 to 10 words, four of each length, with a region and with the label in other words."""
    lines = ["text\tlabel\tregion\tmood"]
    for n in range(40):
        lines.append(
            f"{' '.join(['w'] * (n % 10) + [f'x{n}'])}\t{n % 2}\t{'north' if n < 10 else 'south'}\t{'up' if n % 2 else 'down'}"
        )
    (tmp_path / "dev.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


DESCRIBED = {"name": "own", "kind": "classification", "text": "text", "label": "label", "labels": ["bad", "good"]}


def test_rows_are_parted_by_label_length_and_column(folder: Path) -> None:
    task, data = resolve({**DESCRIBED, "data": {"evaluation": str(folder / "dev.tsv")}})
    split = load(task, data, "evaluation", folder / "cache")
    labels = predictions.labels_of(split.rows, task)
    found = slices(task, data, split, labels, None)
    assert set(found) == {"label", "length", "region"}  # `mood` says what the label says
    assert found["label"] == {"names": ["bad", "good"], "rows": labels.tolist()}
    assert found["region"]["names"] == ["north", "south"]
    assert found["region"]["rows"] == [0] * 10 + [1] * 30
    assert len(found["length"]["names"]) == 4
    for text, place in zip(split.rows["text"], found["length"]["rows"], strict=True):
        first, last = (int(one) for one in found["length"]["names"][place].removesuffix(" words").split(" to "))
        assert first <= len(text.split()) <= last
    assert min(np.bincount(found["length"]["rows"])) >= 8  # quartiles of forty rows, with ties


def test_a_column_that_was_named_is_shown_even_if_it_repeats_the_label(folder: Path) -> None:
    task, data = resolve({**DESCRIBED, "data": {"evaluation": str(folder / "dev.tsv")}})
    split = load(task, data, "evaluation", folder / "cache")
    labels = predictions.labels_of(split.rows, task)
    assert set(slices(task, data, split, labels, ["mood"])) == {"label", "length", "mood"}
    assert set(slices(task, data, split, labels, [])) == {"label", "length"}
    with pytest.raises(CompressError, match="no further column 'colour'"):
        slices(task, data, split, labels, ["colour"])


def test_texts_of_one_length_are_not_parted_by_it(tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_text("text\tlabel\n" + "".join(f"one{n} two\t{n % 2}\n" for n in range(20)))
    task, data = resolve({**DESCRIBED, "data": {"evaluation": str(tmp_path / "dev.tsv")}})
    split = load(task, data, "evaluation", tmp_path / "cache")
    assert set(slices(task, data, split, (), None)) == set()
