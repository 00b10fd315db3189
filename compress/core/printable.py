"""Escapes text for display: control characters, bidirectional marks and invisible characters."""

from __future__ import annotations

import json
import re
from typing import Any

LONGEST = 480
"""Characters of a message, so that with `Error: ` before it a line of 500 holds it."""
LONGEST_QUOTED = 120

_UNSEEN = (
    "\x00-\x1f\x7f-\x9f"  # controls: escape sequences clear a terminal or set its title
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional marks show a text in another order
    "\u00ad\u180e\u200b-\u200d\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"  # invisible, as are those used as tags:
    "\U000e0000-\U000e007f"
    "\u2028\u2029\ud800-\udfff"  # other line ends; halves of surrogate pairs, which no encoding writes
)
_ALL = re.compile(f"[{_UNSEEN}]")
_ALL_BUT_LINES = re.compile(f"(?!\n)[{_UNSEEN}]")
_BEYOND_JSON = re.compile(f"(?![\x00-\x1f])[{_UNSEEN}]")
_QUOTED = re.compile(rf"'[^']{{{LONGEST_QUOTED},}}'|\"[^\"]{{{LONGEST_QUOTED},}}\"|\S{{{2 * LONGEST_QUOTED},}}")
_LINE_END = re.compile(r"\s*[\r\n\u2028\u2029]\s*")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def one_line(text: str) -> str:
    """The text with all control and invisible characters escaped, line feeds too.

    >>> one_line("red \\x1b[31m, reversed \\u202e,\\n next")
    'red \\\\x1b[31m, reversed \\\\u202e,\\\\n next'
    """
    return _ALL.sub(_escape, text)


def lines(text: str) -> str:
    """The text with all control and invisible characters escaped except line feeds."""
    return _ALL_BUT_LINES.sub(_escape, text)


def message(text: str) -> str:
    """One line of at most `LONGEST` characters: lines are joined, long quoted values are shortened in their middle.

    >>> message("It is not YAML:\\n  while scanning.")
    'It is not YAML: while scanning.'
    """
    whole = one_line(_LINE_END.sub(" ", text.strip()))
    if len(whole) > LONGEST:
        whole = _QUOTED.sub(lambda found: shortened(found[0], LONGEST_QUOTED), whole)
    return shortened(whole, LONGEST)


def shortened(text: str, longest: int) -> str:
    """The text, or its beginning and its end.

    >>> shortened("abcdefghijkl", 9)
    'abc ... l'
    """
    if len(text) <= longest:
        return text
    end = (longest - 5) // 3
    return f"{text[: longest - 5 - end]} ... {text[len(text) - end :]}"


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON that keeps every character; control and invisible ones use JSON's own escapes."""
    return _BEYOND_JSON.sub(_json_escape, json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False))


def _escape(found: re.Match[str]) -> str:
    sign = found[0]
    code = ord(sign)
    if sign in _SHORT:
        return _SHORT[sign]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]
