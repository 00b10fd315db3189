"""The page says on which rows the recommendation was chosen, and whether it held on others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from compress import report
from compress.core.measurement import CONFIRMATION
from compress.report.comparison import compare
from compress.report.confirmation import confirmation
from compress.report.recommendations import recommendations
from tests.report.made_up import Made, MakeRun

GOOD = Made("good", 770, 1, 3.0, 20)


def told(make_run: MakeRun, folder: Path, again: Made | None) -> str:
    """What is said of a run in which `good` is recommended, with this measured on the test split."""
    run = make_run([GOOD, Made("other", 700, 80, 9.0, 5)])
    if again is not None:
        other = make_run([again])
        replace(other, split={**other.split, "split": "test"}).save(folder / CONFIRMATION)
    comparison = compare(run)
    found = confirmation(run.save(folder), comparison, recommendations(comparison))
    assert found is not None
    assert found.held == (found.words.startswith("Confirmed") if again is not None else None)
    return found.words


def test_without_a_confirmation_the_page_says_that_the_choice_was_made_on_the_same_rows(
    make_run: MakeRun, tmp_path: Path
) -> None:
    assert told(make_run, tmp_path, None) == (
        "good was chosen on the evaluation rows themselves. To check it on rows that chose nothing, run the same command again "
        "with --confirm test."
    )


@pytest.mark.parametrize(
    ("right", "flips", "begins", "word"),
    [
        (769, 2, "Confirmed", "accuracy not worse than 1 point"),
        (767, 12, "Not confirmed", "accuracy not enough examples"),
        (700, 80, "Not confirmed", "accuracy worse"),
    ],
)
def test_a_confirmation_has_its_own_verdict(
    right: int, flips: int, begins: str, word: str, make_run: MakeRun, tmp_path: Path
) -> None:
    said = told(make_run, tmp_path, replace(GOOD, right=right, flips=flips))
    assert said.startswith(f"{begins} on the test split (872 examples, which chose nothing): {word} (")


def test_a_confirmation_of_another_variant_is_not_taken_for_this_ones(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run([GOOD])
    other = replace(run, artifacts=tuple(replace(one, fingerprint=f"new{one.fingerprint}") for one in run.artifacts))
    other.save(tmp_path / CONFIRMATION)
    comparison = compare(run)
    said = confirmation(run.save(tmp_path), comparison, recommendations(comparison))
    assert said is not None
    assert said.held is None
    assert said.words.endswith("is of another variant than good: confirm again.")


def test_a_confirmation_is_shown_in_its_runs_section_and_is_no_run_of_its_own(
    make_run: MakeRun, tmp_path: Path
) -> None:
    said = told(make_run, tmp_path / "runs", GOOD)
    files = report.write([tmp_path / "runs"], tmp_path / "report.html")
    [run] = json.loads(files.json.read_text())["runs"]
    assert run["confirmation"] == {"words": said, "held": True, "split": "test", "examples": 872}
    assert "Confirmed on the test split (872 examples" in files.html.read_text()
    assert "Confirmed on the test split" in files.markdown.read_text()


def test_the_last_lines_of_a_command_say_what_was_confirmed(make_run: MakeRun, tmp_path: Path) -> None:
    told(make_run, tmp_path, None)
    (alone,) = report.write([tmp_path], tmp_path / "report.html").leads
    assert "--confirm" not in alone
    told(make_run, tmp_path, GOOD)
    (both,) = report.write([tmp_path], tmp_path / "report.html").leads
    assert both.startswith(f"{alone} Confirmed on the test split")
