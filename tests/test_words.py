"""The field's words in whatever a user reads: pages, help texts, and the docstrings of public functions and classes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md")]
PRIVATE = {
    r"models? that writes?|writers? of text": "generative model",
    r"\banew\b": "again, from scratch, newly initialized",
    r"\b(un)?likeliest\b": "most likely",
    r"\bmakes? good\b": "compensates",
    r"\b(is|are|was|were|be) told\b|\btold (of|in)\b": "is reported, is given",
    r"\bheld to (the|its|fp32|what)\b": "compared with",
    r"\bstands? beside\b": "is shown beside",
    r"\b(train\w*|answers?|multipl\w+|computes?) in (the )?integers\b": "quantization-aware training, integer arithmetic",
    r"\btaught\b": "distilled",
    r"\blessons?\b": "transfer set, training rows",
    r"\bmended\b": "fixed",
    r"\bgo(es)? on from\b": "continues from",
    r"\b(starts?|made|making|trained) from nothing\b": "from scratch",
    r"\bweights alone\b": "weight-only",
    r"\bto the nearest\b": "to nearest",
    r"\bof ours\b": "say whose",
}
"""What only this project's authors would understand, and the field's words for it."""
ANY = re.compile("|".join(PRIVATE), re.IGNORECASE)


def refused(text: str, where: Path) -> None:
    prose = re.sub(r"`[^`]*`", "", " ".join(text.split()))  # names of files, settings and stored keys are what they are
    if found := ANY.search(prose):
        better = next(words for pattern, words in PRIVATE.items() if re.search(pattern, found[0], re.IGNORECASE))
        pytest.fail(f"{where.relative_to(ROOT)}: {found[0]!r}: write {better}")


def public_docstrings(source: str) -> Iterator[str]:
    tree = ast.parse(source)
    yield ast.get_docstring(tree) or ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef):
            for one in node.body:  # what is written below a constant or a field
                if (
                    isinstance(one, ast.Expr)
                    and isinstance(one.value, ast.Constant)
                    and isinstance(one.value.value, str)
                ):
                    yield one.value.value
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield ast.get_docstring(node) or ""
        if isinstance(node, ast.keyword) and node.arg in ("help", "description", "epilog"):
            yield "".join(
                part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_written_in_the_fields_words(page: Path) -> None:
    refused(page.read_text(encoding="utf-8"), page)


@pytest.mark.parametrize(
    "room", sorted(path.name for path in (ROOT / "compress").iterdir() if path.name[0] not in "_.")
)
def test_public_docstrings_and_helps_are_written_in_the_fields_words(room: str) -> None:
    path = ROOT / "compress" / room
    for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
        if "corpora" not in file.parts:  # what generated people say
            refused(" | ".join(public_docstrings(file.read_text(encoding="utf-8"))), file)


def test_the_glossary_has_at_most_forty_terms() -> None:
    rows = re.findall(r"^\| \*\*", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert 20 <= len(rows) <= 40
