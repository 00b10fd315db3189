"""Locates the raw rows of a split: in the files of a folder, on the hub, or generated."""

from __future__ import annotations

import hashlib
import importlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError, guess, shown
from compress.core.progress import warn
from compress.data import files
from compress.data.files import FORMATS, OF_WORDS, RawRow
from compress.data.quotes import quoting
from compress.data.rows import Columns
from compress.tasks.task import SPLITS, Source, Task

STEMS = {
    "train": ("train", "training"),
    "holdout": ("holdout",),
    "evaluation": ("dev", "validation", "valid", "val", "eval", "evaluation"),
    "evaluation_mismatched": ("dev_mismatched", "validation_mismatched"),
    "test": ("test",),
}
OTHER_SEPARATORS = (";", "\t", "|", ",")


class NoSuchSplit(CompressError):  # noqa: N818 - it reads as what is found
    """The task's data has no such split; some that only evaluate need none to train on."""


@dataclass(frozen=True)
class Origin:
    """The source of a split's raw rows.

    `identity` is what manifests remember of it; `layout` how its columns lie. `read` starts over at each call.
    """

    name: str
    identity: dict[str, Any]
    columns: Columns
    layout: str
    read: Callable[[], Iterator[RawRow]]
    file: tuple[Path, Source] | None = None
    """The file and how it is read, where the rows lie in one."""


def origin(task: Task, data: str | Path | None, split: str) -> Origin:
    """The location of a split's rows; raises CompressError if there is none, or a column is missing."""
    if task.generator:
        return _generated(task, split)
    if data is None:
        return _on_the_hub(task, split)
    return _in_files(task, Path(data), split)


def generator(task: Task) -> Any:
    """The module that generates the task's rows: `rows(split, seed)`, `SIZES` by split, and its `VERSION`.

    Raises:
        CompressError: the task names one that does not exist.
    """
    if not task.generator.isidentifier():
        raise CompressError(f"Task '{task.name}' names the generator '{task.generator}', which does not exist.")
    return importlib.import_module(f"compress.data.corpora.{task.generator.removesuffix('_corpus')}")


def _generated(task: Task, split: str) -> Origin:
    module = generator(task)
    if split not in module.SIZES:
        raise NoSuchSplit(f"Task '{task.name}' generates no {split} split.")

    def read() -> Iterator[RawRow]:
        for number, (text, label) in enumerate(module.rows(split, task.seed), start=1):
            yield RawRow(f"row {number}", {"text": text, "label": label})

    identity = {"generator": task.generator, "version": module.VERSION, "seed": task.seed}
    return Origin(task.name, identity, Columns(("text",), "label"), "", read)


def _in_files(task: Task, folder: Path, split: str) -> Origin:
    if is_file(folder):
        raise which_split(task.name, folder)
    if not is_folder(folder):
        raise CompressError(f"{folder} does not exist. Name the folder that holds the data of task '{task.name}'.")
    there = [source for source in _sources(task, split) if is_file(folder / source.file)]
    if not there:
        raise _no_file(task, folder, split)
    for source in there:
        path = folder / source.file
        wanted = _columns(task, source)
        found = as_described(task, path, source, of_known_layout=task.hub is not None)
        # A test file without a label column is one with hidden labels, whatever its source expects.
        if split == "test" and not any(files.holds(path, found, name) for name in wanted.needed[len(wanted.text) :]):
            wanted = Columns(wanted.text, "")
        needed = wanted.needed
        if all(files.holds(path, found, name) for name in needed):
            _refuse_twice(path, files.columns(path, found), needed)
            _warn_of_others(source, there, task.files.get(split, ()))
            identity = {"files": {path.name: _file_hash(path)}}
            read = partial(files.rows, path, found, needed)
            return Origin(str(path), identity, wanted, repr(found), read, (path, found))
    path = folder / there[0].file
    raise _missing_column(path, task, as_described(task, path, there[0], of_known_layout=True))


def _warn_of_others(source: Source, there: list[Source], layouts: tuple[Source, ...]) -> None:
    """Say which files are not read, although they are this split too by their names. A known task's own layouts come first."""
    others = dict.fromkeys(other.file for other in there if other.file != source.file)
    if others and source not in layouts:
        warn(
            f"{source.file} is read, and {', '.join(others)} beside it is not. Name the file of each split under `data`."
        )


def _sources(task: Task, split: str) -> tuple[Source, ...]:
    named = () if task.only_these_files else _named_columns(split, task)
    return (*task.files.get(split, ()), *named)


def as_described(task: Task, path: Path, source: Source, *, of_known_layout: bool) -> Source:
    """The source with what the task, or else the file itself, tells of separators, encoding and quotes.

    Args:
        of_known_layout: see `compress.data.quotes.quoting`.
    """
    told = replace(source, separator=task.separator, encoding=task.encoding, quoting=task.quoting)
    if task.reads_words:
        return replace(told, format=source.format or formats(task).get(path.suffix.lower(), ""))
    if task.quoting or files.format_of(path, source) != "tsv":
        return told
    return replace(told, quoting=quoting(path, told, of_known_layout=of_known_layout))


def formats(task: Task) -> Mapping[str, str]:
    """How the name of a file ends that the task's rows may lie in, to the file's format."""
    return OF_WORDS if task.reads_words else FORMATS


def _named_columns(split: str, task: Task) -> tuple[Source, ...]:
    """Files in any format whose columns have the task's names."""
    return tuple(Source(f"{stem}{suffix}") for stem in STEMS[split] for suffix in formats(task))


def _columns(task: Task, source: Source) -> Columns:
    texts = source.text or task.text_columns
    if not source.labelled:
        return Columns(texts, "")
    return Columns(texts, "" if task.label_columns else source.label or task.label_column, task.label_columns)


def _no_file(task: Task, folder: Path, split: str) -> CompressError:
    named = [source.file for source in task.files.get(split, ())]
    if task.only_these_files:
        missing = next((file for file in named), "")
        if missing:
            return CompressError(
                f"{folder / missing} does not exist. It is to hold the {split} data of task '{task.name}'."
            )
        others = ", ".join(name for name in SPLITS if task.files.get(name))
        return NoSuchSplit(
            f"Task '{task.name}' has no file for the {split} split: its `data` names only {others}. Add `{split}: FILE`."
        )
    general = f"{STEMS[split][0]}.{{{','.join(suffix[1:] for suffix in formats(task))}}}"
    where = f"{', '.join(dict.fromkeys(named))} or {general}" if named else general
    return NoSuchSplit(f"{folder} has no file for the {split} split of task '{task.name}'; looked for {where}.")


def split_by_name(file: Path) -> str:
    """The split that a file's name tells: `train` of `reviews-train.csv`; empty where it tells none, or two.

    >>> split_by_name(Path("dev_matched.tsv")), split_by_name(Path("reviews.csv"))
    ('evaluation', '')
    """
    words = set(re.split(r"[-_. ]+", file.stem.lower()))
    found = [split for split, stems in STEMS.items() if words & set(stems)]
    return found[0] if len(found) == 1 else ""


def which_split(name: str, file: Path) -> CompressError:
    """The error for a file in the place of a folder that does not say which split it is."""
    return CompressError(
        f"{file} is a file, and its name does not say which split of task '{name}' it is. Write `data: {{train: FILE}}` or "
        "`data: {evaluation: FILE}`, or name a folder."
    )


def is_file(path: Path) -> bool:
    """Whether there is such a file; a path that no system can hold is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or a character that no path has
        return False


def is_folder(path: Path) -> bool:
    """Whether there is such a folder."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _refuse_twice(path: Path, names: tuple[str, ...], needed: tuple[str, ...]) -> None:
    for name in needed:
        if names.count(name) > 1:
            raise CompressError(f"{path} has {names.count(name)} columns called {shown(name)}. Rename all but one.")


def _missing_column(path: Path, task: Task, source: Source) -> CompressError:
    found = files.columns(path, replace(source, columns=None))
    if not found:
        defect = files.first_defect(path, source)
        return CompressError(f"{path} {defect or 'is empty'}. Task '{task.name}' needs rows in it.")
    if source.columns is not None:
        return CompressError(
            f"{path} has {len(found)} columns in its first line where task '{task.name}' expects {len(source.columns)}"
            f" without a header: {', '.join(source.columns)}."
        )
    wanted = _columns(task, source)
    missing = next(name for name in wanted.needed if not files.holds(path, source, name))
    is_table = files.format_of(path, source) in ("csv", "tsv")
    separated = _other_separator(found, wanted) if is_table else ""
    advice = separated or f"{guess(missing, found)} Its columns: {_shortened(found)}."
    return CompressError(f"{path} has no column {shown(missing)}.{advice}")


def _other_separator(header: tuple[str, ...], wanted: Columns) -> str:
    """What to do where the header has the wanted names between other separators, or with white space around them."""
    needed = set(wanted.needed)
    spaced = next((name for name in header if name not in needed and name.strip() in needed), None)
    if spaced is not None:
        return f" Its column {shown(spaced)} has white space around its name: take it out of the first line."
    line = header[0] if len(header) == 1 else ",".join(header)
    for separator in OTHER_SEPARATORS:
        names = [name.strip().strip('"') for name in line.split(separator)]
        if needed <= set(names):
            shown_as = "\\t" if separator == "\t" else separator
            return f" Its first line is separated by '{shown_as}': set `separator: \"{shown_as}\"` in the task."
    return ""


def _shortened(names: tuple[str, ...]) -> str:
    short = [shown(name, 32)[1:-1] for name in names[:12]]
    return ", ".join(short) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _on_the_hub(task: Task, split: str) -> Origin:
    if task.hub is None:
        raise CompressError(f"Task '{task.name}' is not on the hub: name its files with `data`.")
    hub = task.hub
    if split not in hub.splits:
        raise NoSuchSplit(f"{hub.name} ({hub.config}) has no {split} split. Name local files with `data`.")
    try:
        from datasets import load_dataset

        with _quiet_retries():
            found = load_dataset(hub.name, hub.config, split=hub.splits[split])
    except Exception as error:  # the hub's client raises dozens of kinds: no network, no such name, no access
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise CompressError(
            f"The data of task '{task.name}' could not be read from the hub ({hub.name}, {hub.config}:"
            f" {type(error).__name__}: {reason[:120]}). Without a network, name a folder with its files:"
            f" `--data FOLDER`, or `task: {{name: {task.name}, data: FOLDER}}`."
        ) from error

    def read() -> Iterator[RawRow]:
        for number, cells in enumerate(found, start=1):
            yield RawRow(f"row {number}", cells)

    identity = {"hub": {"name": hub.name, "config": hub.config, "split": hub.splits[split], "is": found._fingerprint}}
    columns = _columns(task, Source(""))
    if not all(name.split(".")[0] in found.column_names for name in columns.needed[len(columns.text) :]):
        columns = Columns(task.text_columns, "")
    return Origin(f"{hub.name} ({hub.config}, {hub.splits[split]})", identity, columns, repr(columns), read)


@contextmanager
def _quiet_retries() -> Iterator[None]:
    """Silences the hub client's warning for each of its five tries without a network; the error says it once."""
    client = logging.getLogger("huggingface_hub")
    level = client.level
    client.setLevel(logging.ERROR)
    try:
        yield
    finally:
        client.setLevel(level)


def _file_hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CompressError(f"{path} cannot be read ({error.strerror or error}).") from error
