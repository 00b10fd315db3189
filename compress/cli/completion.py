"""What the shell completes beyond commands and options: names of tasks, pipelines, suites, calibration sets and runtimes."""

from __future__ import annotations

from collections.abc import Callable

import click
from click.shell_completion import CompletionItem

from compress.core import catalogue, shipped

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

FOLDERS = {"pipelines": "pipelines", "calibration": "calibration", "suites": "benchmarks"}
"""What is listed by the YAML files of a shipped folder."""
KINDS = (*catalogue.MARKS, *FOLDERS)
"""What `compress list` lists."""


def names(kind: str) -> dict[str, str]:
    """The names of one of the `KINDS`, each with a line that says what it is; nothing is imported for it."""
    if kind not in FOLDERS:
        return {name: catalogue.summary(kind, name) for name in catalogue.names(kind)}
    found = {}
    for name in shipped.names(FOLDERS[kind]):
        first = shipped.find(FOLDERS[kind], name).read_text(encoding="utf-8").split("\n", 1)[0]
        found[name] = first.lstrip("# ") if first.startswith("#") else ""
    return found


def of(kind: str, *, files: bool = False) -> Complete:
    """Completes the names of one of the `KINDS`.

    Args:
        kind: one of them.
        files: whether a file can be given instead of a name; files are offered where no name begins as typed.
    """

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found = [CompletionItem(name, help=text) for name, text in names(kind).items() if name.startswith(incomplete)]
        return found or ([CompletionItem(incomplete, type="file")] if files else [])

    return complete


def kinds(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completes what `compress list` lists."""
    return [CompletionItem(kind) for kind in KINDS if kind.startswith(incomplete)]


def folders(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completes a model or an artifact: the shell's own files and folders."""
    return [CompletionItem(incomplete, type="file")]
