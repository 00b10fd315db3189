"""Writes a pipeline as YAML with a comment on every line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 88
"""Comments begin no further to the right."""
PLAIN = re.compile(r"[A-Za-z_/][\w ./@-]*")
READ_AS_ELSE = {"true", "false", "yes", "no", "on", "off", "null", "none", "y", "n"}


class Line(tuple[str, Any, str]):
    """A key, its value (None: what follows is indented below it), and a comment."""

    __slots__ = ()

    def __new__(cls, key: str, value: Any, comment: str = "") -> Line:
        return super().__new__(cls, (key, value, comment))


def text(title: str, blocks: Sequence[tuple[int, Line]]) -> str:
    """The file's text.

    Args:
        title: the first comment.
        blocks: (depth, line) in order.

    >>> print(text("Mine", [(0, Line("model", "runs/a", "a folder")), (0, Line("task", None)), (1, Line("name", "no"))]))
    # Mine
    model: runs/a  # a folder
    task:
      name: "no"
    <BLANKLINE>
    """
    lines = [f"# {one_line(title)}"]
    for depth, (key, value, comment) in blocks:
        written = f"{'  ' * depth}{scalar(key)}:" + ("" if value is None else f" {scalar(value)}")
        if comment and len(written) > WIDTH:
            lines.append(f"{'  ' * depth}# {one_line(comment)}")
            comment = ""
        lines.append(f"{written}  # {one_line(comment)}" if comment else written)
    return "\n".join(lines) + "\n"


def scalar(value: Any) -> str:
    """A value in one line of YAML: plain where that is read as text, else in quotes as JSON has them.

    >>> [scalar(one) for one in ("review", "no", "1", 2.0, ["a", "b c"], {"1": "bad"}, True)]
    ['review', '"no"', '"1"', '2.0', '[a, b c]', '{"1": bad}', 'true']
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {scalar(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(scalar, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and "e" in repr(value):
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    if isinstance(value, int | float):
        return repr(value)
    plain = str(value)
    is_plain = PLAIN.fullmatch(plain) and plain.lower() not in READ_AS_ELSE and plain == plain.strip()
    return plain if is_plain else json.dumps(plain, ensure_ascii=False)


def one_line(comment: str) -> str:
    """A comment without line ends and other control characters."""
    return "".join(one if one.isprintable() else " " for one in comment)
