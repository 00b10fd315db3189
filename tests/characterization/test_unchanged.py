"""What the product did before its parts were moved and merged, it does: losses, trained weights, scores and reports.

`recorded/` was made by `python -m tests.characterization.record` with the code of November 2026, before the move;
the words and intervals of its reports, and the intervals and margins of two trainings with and without a teacher, when verdicts
came to be read from intervals (CHANGELOG.md).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.characterization.cases import PIPELINES, TRAININGS
from tests.characterization.observed import OLD, reported, scores, training

RECORDED = Path(__file__).parent / "recorded"
LOSS, WEIGHT = 1e-6, 1e-5
"""Relative; absolute, of weights that ten steps of Adam have moved by up to a hundredth."""
FACT = 2e-5
"""Facts are rounded to five or six digits, and a sum in another order may round to the next one."""


def recorded(name: str) -> Any:
    return json.loads((RECORDED / name).read_text(encoding="utf-8"))


def near(value: Any, absolute: float) -> Any:
    """The value with its numbers compared within a tolerance, at any depth."""
    if isinstance(value, dict):
        return {key: near(one, absolute) for key, one in value.items()}
    if isinstance(value, list):
        return [near(one, absolute) for one in value]
    return pytest.approx(value, rel=1e-6, abs=absolute) if isinstance(value, float) else value


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the old artifacts, which trainings start from."""
    return Path(shutil.copytree(OLD, tmp_path_factory.mktemp("old") / "runs"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where results lie, beside what trainings keep on disk: a model is exported once for all that start from it."""
    return tmp_path_factory.mktemp("made")


@pytest.mark.parametrize("name", TRAININGS)
def test_ten_steps_have_the_recorded_losses_and_end_with_the_recorded_weights(name: str, old: Path, made: Path) -> None:
    expected = recorded("trainings.json")[name]
    found = training(TRAININGS[name], old, made / name)
    assert found["losses"] == pytest.approx(expected["losses"], rel=LOSS)
    assert found["count"] == expected["count"]
    assert found["weights"] == pytest.approx(expected["weights"], abs=WEIGHT)
    assert found["facts"] == near(expected["facts"], FACT)


def test_each_metric_gives_the_recorded_score() -> None:
    assert scores() == near(recorded("scores.json"), 0)


@pytest.mark.parametrize("kind", PIPELINES)
def test_measurements_at_hand_give_the_recorded_report(kind: str, tmp_path: Path) -> None:
    expected = recorded(f"{kind}/report.json")
    found = reported(RECORDED / kind / "measurements.json", tmp_path)
    assert found["numbers"] == expected["numbers"]
    assert found["sentences"] == expected["sentences"]
