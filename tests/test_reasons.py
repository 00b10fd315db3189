"""Whatever a checker or a test leaves out has its reason on the same line."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
IGNORED = re.compile(r"# (?:type: ignore(?:\[[\w, -]+\])?|noqa(?:: [A-Z\d, ]+)?)(?P<reason>.*)")
SKIPPED = re.compile(r"(?:\.(?:importorskip|xfail)|mark\.skip(?:if)?)\((?P<given>[^\n]*\n?[^\n]*\n?[^\n]*)")


def test_each_ignored_line_and_skipped_test_says_why() -> None:
    bare = []
    for folder in ("compress", "tests", "benchmarks", "docs"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            text = file.read_text(encoding="utf-8")
            found = [one for one in IGNORED.finditer(text) if not re.search(r"\w", one["reason"])]
            found += [one for one in SKIPPED.finditer(text) if "reason=" not in one["given"]]
            bare += [f"{file.relative_to(ROOT)}:{text.count(chr(10), 0, one.start()) + 1}" for one in found]
    assert bare == []
