"""The report, made from manifests and measurements only: no model is opened, torch is not imported."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from compress.core.artifact import write_whole
from compress.core.errors import CompressError
from compress.core.measurement import Measurements
from compress.core.printable import lines
from compress.report import csv_file, data_files, pages
from compress.report.budget import Verdict, judge, verdict
from compress.report.comparison import compare
from compress.report.limits import Budget, kept
from compress.report.page_file import check_page
from compress.report.section import Section, section
from compress.report.sources import find
from compress.report.terminal import table
from compress.report.wording import path

__all__ = ["Budget", "Report", "Verdict", "check_page", "compare", "judge", "table", "verdict", "write"]


@dataclass(frozen=True)
class Report:
    """The files that were written."""

    html: Path
    markdown: Path
    json: Path
    csv: Path
    verdicts: tuple[Verdict, ...] = ()
    """One for each run, newest first; empty when no budget was given."""
    leads: tuple[str, ...] = ()
    """What each run's section opens with, newest first: its sentence, and where it was measured again what that confirms."""

    def __iter__(self) -> Iterator[Path]:
        """The files, the page first."""
        return iter((self.html, self.markdown, self.json, self.csv))

    @property
    def met(self) -> bool | None:
        """Whether the newest run meets the budget; None when none was given."""
        return self.verdicts[0].met if self.verdicts else None


def write(
    sources: Sequence[Path],
    out: Path,
    *,
    budget: Budget | Mapping[str, Any] | None = None,
    title: str | None = None,
    command: str | None = None,
    examples: bool = True,
) -> Report:
    """Write `out` (HTML) and, beside it, the verdict as Markdown and every value as JSON and CSV.

    Every file of measurements found is a section of its own: artifacts are compared within one run only, since only
    there they shared the machine, the rounds and the rows.

    Args:
        sources: folders, searched however deep, or files of measurements.
        out: the HTML file, or a folder, which then gets a `report.html`.
        budget: limits to hold each run against, see `Budget`; by default those of the pipeline that measured it.
        title: the page's; made of the model's and the task's name by default.
        command: what the page says it was made with.
        examples: whether texts of the evaluation split are shown: what models generated, and what only a compressed one gets
            wrong.

    Raises:
        CompressError: nothing was measured, a file cannot be read or written, or the budget is not one.
    """
    page = check_page(out)
    found = find(sources)
    sections = tuple(_section(file, measurements, budget, with_examples=examples) for file, measurements in found.runs)
    document = pages.Document(
        title=title or _title(sections[0]),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command
        or shlex.join(["compress", "report", *(path(str(source)) for source in sources), "-o", path(str(out))]),
        sections=sections,
        unmeasured=found.unmeasured,
    )
    with _as_written(", ".join(str(file) for file, _ in found.runs)):
        files = {
            page: lines(pages.html(document)),
            page.with_suffix(".md"): lines(pages.markdown(document)),
            page.with_suffix(".json"): data_files.as_json(document),
            page.with_suffix(".csv"): lines(csv_file.as_csv(document)),
        }
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            write_whole(file, text)
    except OSError as error:
        raise CompressError(f"{page} cannot be written ({error.strerror}). Choose another place with -o.") from error
    verdicts = tuple(one.budget for one in sections if one.budget)
    html, markdown, json, csv = files
    return Report(html, markdown, json, csv, verdicts, tuple(map(_opening, sections)))


def _opening(one: Section) -> str:
    again = one.confirmation
    return one.lead if again is None or again.held is None else f"{one.lead} {again.words}"


def _section(
    file: Path, measurements: Measurements, budget: Budget | Mapping[str, Any] | None, *, with_examples: bool
) -> Section:
    limits = kept(file) if budget is None else budget
    with _as_written(str(file)):
        return section(file, measurements, limits, with_examples=with_examples)


@contextmanager
def _as_written(what: str) -> Iterator[None]:
    """A step's metadata, the suite and the task are read as they were written; somebody may have changed them."""
    try:
        yield
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        ArithmeticError,
        RecursionError,
        TemplateError,
    ) as error:
        raise CompressError(f"{what} has content that no benchmark writes ({error}). Measure again.") from error


def _title(first: Section) -> str:
    root = first.comparison.root or next(iter(first.comparison.rows), None)
    origin = str(root.artifact.manifest.get("origin", {}).get("name", "")) if root else ""
    model = Path(origin).name or "Model"
    task = first.measurements.task.get("name")
    return f"{model} on {task}, compressed" if task else f"{model}, compressed"
