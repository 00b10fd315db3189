"""Eight cells of `make simulate`: intervals hold the true value as often as the page of statistics says."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

SIMULATION = Path(__file__).parents[2] / "benchmarks" / "simulate"


@pytest.mark.parametrize(
    "cell",
    [
        ("single_share", 872, 0.99),
        ("paired_shares", 100, 0.99, 0.005, 1000),
        ("of_texts", "rouge_l", 100, 0.99, 0.001, 100),
        ("of_texts", "bleu", 100, 0.95, 0.0, 100),
        ("of_texts_scored", "documents", 60, 0.02, 200, True),
        ("of_rounds", 6, 1000),
    ],
)
def test_a_cell_keeps_its_bars(cell: tuple[object, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SIMULATION))
    cells = importlib.import_module("cells")
    found = cells.run((getattr(cells, str(cell[0])), *cell[1:]))
    assert found.holds, found


def test_false_words_stay_below_five_percent_of_reports_however_many_variants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SIMULATION))
    cells = importlib.import_module("cells")
    # Two standard errors of a share of 800 above the promise; 20 % of reports with six variants before.
    assert cells.false_words(6, 277, 0.9, 800, 1) < 0.05 + 2 * 0.0077


@pytest.mark.parametrize(("luck", "seeds", "examples", "agreement"), [(0.005, 3, 872, 0.9), (0.01, 2, 2693, 0.95)])
def test_words_about_students_of_any_seed_are_false_in_at_most_five_percent(
    luck: float, seeds: int, examples: int, agreement: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(SIMULATION))
    cell = importlib.import_module("seeds").cell((luck, luck), seeds, examples, agreement, 150)
    # Two standard errors of a share of 150 samples.
    assert cell.false < 0.05 + 2 * 0.0178
    assert cell.coverage > 0.95 - 2 * 0.0178
    # Over examples alone the luck of seeds makes words.
    assert cell.false_of_rows > cell.false
