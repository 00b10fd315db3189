"""Rows written as files of every format that is read: CSV as a spreadsheet saves it, JSON lines, JSON and Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def as_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    def quoted(value: Any) -> str:
        return '"' + str(value).replace('"', '""') + '"'

    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    path.write_text("".join(",".join(map(quoted, line)) + "\r\n" for line in lines), encoding="utf-8-sig", newline="")


def as_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def as_json(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps(rows, indent=2))


def as_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    from datasets import Dataset

    Dataset.from_list(rows).to_parquet(path)


WRITERS: dict[str, Callable[[Path, list[dict[str, Any]]], None]] = {
    "csv": as_csv,
    "jsonl": as_jsonl,
    "json": as_json,
    "parquet": as_parquet,
}
