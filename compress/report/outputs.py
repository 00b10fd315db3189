"""Example outputs: the texts that artifacts generated for the same inputs, from `outputs/ARTIFACT.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.report.comparison import Comparison

FOLDER = "outputs"
ROWS = 3
MOST = 1200
"""The most characters of a text that are shown; a page of whole articles would not be read."""
SOURCES, REFERENCES, OUTPUTS = (
    ("source", "input", "document"),
    ("reference", "target"),
    ("output", "prediction", "text"),
)
"""The names under which a row may hold its texts."""


@dataclass(frozen=True)
class Example:
    """One row of the evaluation split."""

    number: int
    """From 1."""
    source: str
    """What was read; empty where the files do not say."""
    reference: str
    outputs: tuple[tuple[str, str], ...]
    """Artifact -> what it generated, in the table's order."""


def examples(file: Path, comparison: Comparison) -> tuple[Example, ...]:
    """The first rows of each artifact's outputs; empty where there are no such files.

    Args:
        file: of the measurements, beside which the outputs lie.
        comparison: the run.
    """
    found = {row.name: _rows(file.parent / FOLDER, row.name) for row in comparison.rows}
    whole = []
    for n in range(max((len(rows) for rows in found.values()), default=0)):
        here = {name: rows[n] for name, rows in found.items() if n < len(rows)}
        source, reference = (
            next((text for row in here.values() if (text := _text(row, names))), "") for names in (SOURCES, REFERENCES)
        )
        # Two runs may have left their files in one folder: a row of another text is not this example's.
        alike = {name: row for name, row in here.items() if _text(row, SOURCES) in ("", source)}
        whole.append(
            Example(n + 1, source, reference, tuple((name, _text(row, OUTPUTS)) for name, row in alike.items()))
        )
    return tuple(whole)


def _rows(folder: Path, name: str) -> list[Mapping[str, Any]]:
    """The first rows of one file; none where it cannot be read, since they are beside the point of a report."""
    # A name is somebody's text: it must not lead out of the folder. The benchmark replaces the same sign.
    file = folder / f"{name.replace('/', '_')}.jsonl"
    found: list[Mapping[str, Any]] = []
    try:
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                found.append(row if isinstance(row, Mapping) else {"output": row})
                if len(found) == ROWS:
                    break
    except (OSError, ValueError):
        return found
    return found


def _text(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    text = next((row[name] for name in names if isinstance(row.get(name), str)), "").strip()
    return text if len(text) <= MOST else f"{text[:MOST]}…"
