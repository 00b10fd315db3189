"""Checks where a report may be written: over an earlier report, never over other files or into a model's folder."""

from __future__ import annotations

import json
from pathlib import Path

from compress.core.artifact import MANIFEST
from compress.core.destination import check_beside_models, check_path
from compress.core.errors import CompressError
from compress.core.measurement import FILE

BESIDE = (".md", ".json", ".csv")
"""What is written beside the page."""
MARK = b'<meta name="generator" content="compress">'
OLDER_MARK = b"<code>compress "
"""What pages had before; somebody's notes may hold it too."""


def check_page(out: Path) -> Path:
    """The HTML file of a report at `out`.

    Raises:
        CompressError: nothing can be written there, something is there that is no report, or it is a model's folder.
    """
    page = out / "report.html" if out.is_dir() or not out.suffix else out
    if page.suffix not in {".html", ".htm"}:
        raise CompressError(f"The report is an HTML file, but {out} ends in '{page.suffix}'. Give a name in .html.")
    if page.with_suffix(".json").name in {FILE, MANIFEST}:
        raise CompressError(f"{page.with_suffix('.json')} would be written over. Give the report another name.")
    check_path(page)
    check_beside_models(page, page.parent)
    for file in (page, *(page.with_suffix(suffix) for suffix in BESIDE)):
        if file.exists() and not _is_report(file, page):
            raise CompressError(f"{file} already exists and is not a report made by compress. Choose another name.")
    return page


def _is_report(file: Path, page: Path) -> bool:
    """Whether an earlier report wrote a file; Markdown and CSV are recognized by their beginning or end."""
    text = _bytes(file)
    if file == page:
        return MARK in text or (OLDER_MARK in text and _is_report(page.with_suffix(".json"), page))
    if not page.exists():
        return False
    if file.suffix == ".md":
        return text.rstrip().rpartition(b"\n")[2].startswith(b"Made with ")
    if file.suffix == ".csv":
        return text.startswith(b"run,name,role,")
    try:
        return bool(json.loads(text)["format"] == "compress-report")
    except (ValueError, TypeError, LookupError, RecursionError):
        return False


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
