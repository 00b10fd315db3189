"""Groups text rows (lines of a file) into documents, which are held out, sampled and shuffled as units in language
modelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from compress.data.raw_row import RawRow

_HEADING = re.compile(r" = (?!= ).*(?<! =) = \n")
"""An article's title in WikiText; a section's has more signs: ` = = Career = = `."""


def documents(raw: Iterable[RawRow], column: str, how: str, *, separate: bool = False) -> Iterator[RawRow]:
    """The rows joined to documents, each at the place of its first row that is not empty.

    Args:
        raw: rows in order; one with a defect is passed on as it is.
        column: the text's.
        how: `rows`: each is a document already. `paragraphs`: rows up to an empty one. `wikitext`: from an article's title,
            which stands between empty rows, to the next (an expression with two signs of equality looks the same).
        separate: whether documents are texts of their own: then the white space around one, the empty rows with it, only
            parts it from the next. A generative model does not generate it, and would be scored for it.

    Returns:
        Documents that are the file's text again when they are joined, unless they are separate: a row that ends without a
        line feed gets one, and empty rows belong to the document before them (before the first one, to that).
    """
    if how == "rows":
        yield from raw
        return
    parts: list[str] = []
    place, has_text = "", False
    for row, after in _with_next(raw, column):
        if row.defect:
            yield row
            continue
        text = _text(row, column)
        follows_empty = not parts or not parts[-1].strip()
        starts = bool(text.strip()) and follows_empty
        if how == "wikitext":
            starts = starts and _HEADING.fullmatch(text) is not None and not after.strip()
        if starts and has_text:
            yield _document(place, column, parts, separate)
            parts, has_text = [], False
        if text.strip() and not has_text:
            place, has_text = row.place, True
        parts.append(text)
    if parts:
        yield _document(place, column, parts, separate)


def _document(place: str, column: str, parts: list[str], separate: bool) -> RawRow:
    text = "".join(parts)
    return RawRow(place, {column: text.strip() if separate else text})


def _with_next(raw: Iterable[RawRow], column: str) -> Iterator[tuple[RawRow, str]]:
    """Each row with the text of the next one; empty after the last."""
    before: RawRow | None = None
    for row in raw:
        if before is not None:
            yield before, _text(row, column)
        before = row
    if before is not None:
        yield before, ""


def _text(row: RawRow, column: str) -> str:
    """The row's text with a line feed at its end."""
    cell = row.cell(column)
    text = cell if isinstance(cell, str) else ""
    return text if text.endswith("\n") else f"{text}\n"
