"""The report as pages: HTML that asks the network for nothing, and Markdown; see `data_files` for JSON, `csv_file` for CSV."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from compress.core import shipped
from compress.report import wording
from compress.report.recommendations import RULE
from compress.report.section import Section
from compress.report.sources import Unmeasured


@dataclass(frozen=True)
class Document:
    """The content of the files."""

    title: str
    created: str
    """ISO time in UTC."""
    command: str
    sections: tuple[Section, ...]
    unmeasured: tuple[Unmeasured, ...]


@dataclass
class Footnotes:
    """Numbers texts as they are first cited, so that each is printed once below its table."""

    prefix: str
    texts: list[str] = field(default_factory=list)

    def number(self, text: str) -> int:
        """The text's number, from 1."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


def html(document: Document) -> str:
    """One self-contained page."""
    script = (shipped.folder("reports/templates") / "sort.js").read_text(encoding="utf-8").strip()
    template = _environment(autoescape=True).get_template("report.html.j2")
    return template.render(**_given(document), script=Markup(script), script_hash=content_hash(script))


def content_hash(script: str) -> str:
    """What a Content-Security-Policy allows a script by: `sha256-...` of exactly the text between its tags."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def markdown(document: Document) -> str:
    """The verdict and its table in Markdown, for a pull request."""
    environment = _environment(autoescape=False)
    environment.finalize = _markdown_escaped
    text = environment.get_template("report.md.j2").render(**_given(document))
    return text.strip() + "\n"


def _given(document: Document) -> dict[str, Any]:
    return {"report": document, "rule": RULE, "Footnotes": Footnotes, "shown": wording}


def _environment(*, autoescape: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(shipped.folder("reports/templates")),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("times", "times_range", "duration", "percent", "runtime", "p_value", "moment", "session_options")
    environment.filters.update({name: getattr(wording, name) for name in names}, plain=_plain)
    return environment


def _plain(value: Any, most: int = 400) -> str:
    """A setting or a fact as text: no braces and quotes, and not endlessly long."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        text = ", ".join(f"{name}: {_plain(one)}" for name, one in value.items()) or "none"
    elif isinstance(value, Sequence) and not isinstance(value, str):
        text = ", ".join(f"({_plain(one)})" if isinstance(one, Mapping) else _plain(one) for one in value) or "none"
    else:
        # A SHA-256 is whole in the JSON; its start is enough to compare by eye.
        text = re.sub(r"^([0-9a-f]{16})[0-9a-f]{48}$", r"\1…", wording.path(str(value)))
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def _markdown_escaped(value: Any) -> Any:
    """Text so that it stays text in Markdown and in the HTML made of it; `Markup` is taken as it is."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    escaped = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*[]|~":
        escaped = escaped.replace(sign, "\\" + sign)
    # Within a word an underscore is no emphasis, and only a line's first sharp makes a heading.
    escaped = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", escaped)
    escaped = re.sub(r"^(\s*)#", r"\1\\#", escaped)
    return " ".join(escaped.split())
