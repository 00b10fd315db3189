"""Further columns of a file come in the order of the rows that were loaded of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.data.further_columns import further_columns
from compress.data.loading import load, resolve


@pytest.fixture
def described(tmp_path: Path) -> dict[str, Any]:
    """Fifty rows with a region, an identifier and the label in other words; one text is there three times, with two labels."""
    lines = ["text,label,region,id,mood"]
    for n in range(50):
        text = "the same" if n in (3, 17, 40) else f"text {n}"
        label = "good" if n % 3 else "bad"
        lines.append(f"{text},{label},{'north' if n % 2 else 'south' if n % 5 else ''},{n},{'up' if n % 3 else 'down'}")
    (tmp_path / "dev.csv").write_text("\n".join(lines) + "\n")
    return {
        "name": "regions",
        "kind": "classification",
        "text": "text",
        "label": "label",
        "labels": ["bad", "good"],
        "data": {"evaluation": str(tmp_path / "dev.csv")},
    }


@pytest.mark.parametrize("limit", [None, 20])
def test_each_row_has_its_own_values(described: dict[str, Any], tmp_path: Path, limit: int | None) -> None:
    task, data = resolve({**described, **({"limit": {"evaluation": limit}} if limit else {})})
    split = load(task, data, "evaluation", tmp_path / "cache")
    found = further_columns(task, data, split, ["region"])["region"]
    assert len(found) == len(split.rows) == (limit or 50)
    for text, region in zip(split.rows["text"], found, strict=True):
        if text != "the same":
            n = int(text.split()[1])
            assert region == ("north" if n % 2 else "south" if n % 5 else "")


def test_rows_with_the_same_text_keep_the_order_of_the_file(described: dict[str, Any], tmp_path: Path) -> None:
    task, data = resolve(described)
    split = load(task, data, "evaluation", tmp_path / "cache")
    found = further_columns(task, data, split, ["region"])["region"]
    assert [found[n] for n in (3, 17, 40)] == ["north", "north", ""]


def test_columns_of_few_values_are_taken_by_themselves(described: dict[str, Any], tmp_path: Path) -> None:
    task, data = resolve(described)
    split = load(task, data, "evaluation", tmp_path / "cache")
    assert set(further_columns(task, data, split)) == {"region", "mood"}  # not the identifier
    with pytest.raises(CompressError, match="no further column 'regoin'. Did you mean 'region'"):
        further_columns(task, data, split, ["regoin"])
    with pytest.raises(CompressError, match="Column 'id' of .* has 50 different values"):
        further_columns(task, data, split, ["id"])


def test_generated_rows_have_none(tmp_path: Path) -> None:
    task, data = resolve({"name": "reviews", "limit": {"evaluation": 10}})
    split = load(task, data, "evaluation", tmp_path / "cache")
    assert further_columns(task, data, split) == {}
    with pytest.raises(CompressError, match="no further columns"):
        further_columns(task, data, split, ["region"])
