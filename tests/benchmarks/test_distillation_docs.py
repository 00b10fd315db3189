"""The figures of the study in docs/distillation.md are those of its results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.conftest import Scripts

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks" / "distillation"
TOLD = json.loads((ROOT / "benchmarks" / "results" / "study.json").read_text(encoding="utf-8"))


@pytest.fixture
def page() -> str:
    return (ROOT / "docs" / "distillation.md").read_text(encoding="utf-8")


@pytest.fixture
def contrast() -> dict[str, Any]:
    gain = {"metric": "rouge_l", "difference": 0.0123, "interval": [-0.004, 0.03], "word": "not worse"}
    return {"situation": "a situation", "arm": "one", "against": "other", **gain, "minutes": [1.25, 12.0]}


def test_the_page_has_the_figures_of_the_results(scripts: Scripts, page: str) -> None:
    assert scripts["docs_table"].with_figures(page, TOLD) == page


def test_every_row_that_links_to_the_study_names_the_arms_that_it_is_about(scripts: Scripts, page: str) -> None:
    rows = [line for line in page.splitlines() if line.startswith("|") and "results/study.md" in line]
    assert rows
    assert all(scripts["docs_table"].ARMS.search(row) for row in rows)


def test_a_row_keeps_its_words_and_gets_the_figures(scripts: Scripts, contrast: dict[str, Any]) -> None:
    table = scripts["docs_table"]
    old = f"| **here** | +9.99 points | 1 | do it | {table.LINK}: `one`, `other` |"
    found = table.with_figures(f"before\n{old}\nafter\n", {"contrasts": [contrast]})
    cells = "+1.23 points of ROUGE-L (−0.40 to +3.00): not worse | 1.2 / 12.0"
    assert found == f"before\n| **here** | {cells} | do it | {table.LINK}: `one`, `other` |\nafter\n"


def test_a_row_without_results_is_refused_and_results_without_a_row_are_given(
    scripts: Scripts, contrast: dict[str, Any]
) -> None:
    table = scripts["docs_table"]
    (row,) = table.lacking("", {"contrasts": [contrast]})
    assert row.startswith("| a situation | +1.23 points of ROUGE-L")
    assert table.lacking(row, {"contrasts": [contrast]}) == []
    with pytest.raises(KeyError, match="other"):
        table.with_figures(row, {"contrasts": []})
