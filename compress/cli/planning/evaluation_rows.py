"""Sets a share of a file's rows aside for evaluation, by a hash of their texts.

Rows with the same text stay together, so that nothing that is measured was learned.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from compress.core.errors import CompressError
from compress.data.files import TEXT
from compress.data.profile import Profile

SHARE, MOST = 0.2, 2000
"""This share of the rows, so many at most."""


def set_aside(rows: Profile, texts: Sequence[str], folder: Path) -> dict[str, Path]:
    """Write the rows for training and for evaluation to files of their own, in a new folder.

    Args:
        texts: the columns that the model reads.

    Raises:
        CompressError: there are too few rows.
    """
    if rows.source.format == TEXT:
        return _divided_text(rows, folder)
    names = ["tokens", "tags"] if rows.source.format == "conll" else [one.name for one in rows.columns]
    good = [row for row in rows.read() if not row.defect]
    read = texts or names[:1]
    keys = [hashlib.sha256(repr([row.cell(name) for name in read]).encode()).hexdigest() for row in good]
    most = min(MOST, int(SHARE * len(good)))
    chosen: set[str] = set()
    taken = 0
    for key, count in sorted(Counter(keys).items()):
        if taken + count > most:
            break
        chosen.add(key)
        taken += count
    if not chosen:
        raise CompressError(f"{rows.path} has too few rows to set some aside. Give a second file for evaluation.")
    folder.mkdir(parents=True)
    files = {"train": folder / "train.jsonl", "evaluation": folder / "evaluation.jsonl"}
    with files["train"].open("w", encoding="utf-8") as train, files["evaluation"].open("w", encoding="utf-8") as other:
        for row, key in zip(good, keys, strict=True):
            cells = {name: row.cell(name) for name in names}
            print(json.dumps(cells, ensure_ascii=False, default=str), file=other if key in chosen else train)
    return files


def _divided_text(train: Profile, folder: Path) -> dict[str, Path]:
    """Running text is divided at one place, so that both parts go on as they did: the last tenth is for evaluation."""
    lines = [str(row.cell(TEXT)) for row in train.read() if not row.defect]
    at = round(0.9 * len(lines))
    at = next((place + 1 for place in range(at, len(lines) - 1) if not lines[place].strip()), at)
    if not 0 < at < len(lines):
        raise CompressError(f"{train.path} has too few lines to set some aside. Give a second file for evaluation.")
    folder.mkdir(parents=True)
    files = {"train": folder / "train.txt", "evaluation": folder / "evaluation.txt"}
    files["train"].write_text("".join(lines[:at]), encoding="utf-8", newline="")
    files["evaluation"].write_text("".join(lines[at:]), encoding="utf-8", newline="")
    return files
