"""The distillation gain in a report: what its interval covers is said, also where an older version recorded it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from compress.report.distillation import shown
from tests.report.made_up import compared


def facts(seeds: int) -> dict[str, Any]:
    found: Mapping[str, Any] = compared((0.885, 0.879, 0.888)[:seeds], (0.874, 0.876, 0.869)[:seeds])["facts"]
    return dict(found["teacher_effect"])


def old(seeds: int) -> dict[str, Any]:
    """As a version recorded it whose interval covered rows alone."""
    found = {key: value for key, value in facts(seeds).items() if key not in ("margin", "rows_interval")}
    found |= {
        "word": "no difference shown",
        "text": "Over some seeds the teacher brought something: no difference shown.",
    }
    return {**found, **({"seeds_interval": [-0.004, 0.03]} if seeds > 1 else {})}


def test_over_several_seeds_it_covers_rows_and_seeds_and_the_one_over_rows_is_beside_it() -> None:
    found = shown(facts(3))
    assert (
        "covers other rows and other seeds. Over rows alone, for the students that were trained, it is " in found.covers
    )
    assert "these rows and seeds would show a difference of" in found.covers
    drawn = str(found.plots[1].wide)
    assert "over rows and seeds" in drawn
    assert "over rows alone" in drawn


def test_with_one_seed_it_covers_these_students_alone() -> None:
    found = shown(facts(1))
    assert "covers other rows for the students that were trained" in found.covers
    assert "One seed does not show how much another would differ: use --seeds 3 or more" in found.covers
    assert "rows and seeds" not in str(found.plots[1].wide)


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_gain_that_an_older_version_judged_is_shown_as_it_was(seeds: int) -> None:
    recorded = old(seeds)
    found = shown(recorded)
    assert (found.text, found.word) == (recorded["text"], "no difference shown")
    assert "covers other rows for the students that were trained" in found.covers
    assert ("Over seeds, Student's interval of the 3 differences is −0.40 to +3.00 points" in found.covers) == (
        seeds > 1
    )
    assert "no difference shown" in str(found.plots[1].wide)
    assert ("over seeds alone" in str(found.plots[1].wide)) == (seeds > 1)


@pytest.mark.parametrize(
    ("word", "marker"),
    [
        ("better", "point better"),
        ("worse", "point worse"),
        ("not worse", "point not-worse"),
        ("not enough seeds or examples", "point not-enough-examples"),
        ("no difference shown", "point variant"),
    ],
)
def test_each_word_has_the_marker_that_it_has_elsewhere(word: str, marker: str) -> None:
    assert f'"{marker}"' in str(shown({**facts(3), "word": word}).plots[1].wide)
