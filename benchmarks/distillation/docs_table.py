"""The table "When it pays" of docs/distillation.md: the figures of its rows are those of benchmarks/results/study.json.

    python benchmarks/distillation/docs_table.py

A row whose last column names two arms of the study gets their gain and minutes. Situation and recommendation are written by hand.
Rows that the page lacks are printed, to be copied where one is worth it. A test checks that the page has today's figures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import findings
from jobs import ROOT

from compress.core.artifact import write_whole

PAGE = ROOT / "docs" / "distillation.md"
STUDY = ROOT / "benchmarks" / "results" / "study.json"
LINK = "[study](../benchmarks/results/study.md)"
ARMS = re.compile(re.escape(LINK) + r": `(?P<arm>[\w-]+)`, `(?P<against>[\w-]+)`")


def main() -> None:
    """Writes the page, and prints the rows that it lacks."""
    told = json.loads(STUDY.read_text(encoding="utf-8"))
    page = with_figures(PAGE.read_text(encoding="utf-8"), told)
    write_whole(PAGE, page)
    print("\n".join(lacking(page, told)))


def with_figures(page: str, told: Mapping[str, Any]) -> str:
    """The page with the study's figures in all rows that name two arms.

    Raises:
        KeyError: a row names arms whose contrast is not in the study's results.
    """
    known = {(one["arm"], one["against"]): one for one in told["contrasts"]}

    def filled(line: str) -> str:
        named = ARMS.search(line)
        if not named:
            return line
        situation, recommendation = (cell.strip() for cell in (line.split("|")[1], line.split("|")[4]))
        return row(known[named["arm"], named["against"]], situation, recommendation)

    return "\n".join(map(filled, page.split("\n")))


def row(contrast: Mapping[str, Any], situation: str, recommendation: str) -> str:
    """A line of the table.

    Args:
        contrast: as `study.json` has it.
    """
    gain, interval = findings.in_units(contrast)
    minutes = " / ".join(f"{value:.1f}" for value in contrast["minutes"])
    arms = f"{LINK}: `{contrast['arm']}`, `{contrast['against']}`"
    return f"| {situation} | {gain} ({interval}): {contrast['word']} | {minutes} | {recommendation} | {arms} |"


def lacking(page: str, told: Mapping[str, Any]) -> list[str]:
    """Rows for the contrasts that the page does not have, without a recommendation."""
    there = {(one["arm"], one["against"]) for one in ARMS.finditer(page)}
    contrasts = (one for one in told["contrasts"] if (one["arm"], one["against"]) not in there)
    return [row(one, one["situation"], "") for one in contrasts]


if __name__ == "__main__":
    main()
