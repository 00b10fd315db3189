"""Reads unlabelled texts for a task from a file or a folder: text lines, or the columns of a table; or generates them.

Where a task reads words, a line's words stand between blanks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from compress.core.artifact import digest
from compress.core.cache import entry
from compress.core.errors import CompressError, guess, shown
from compress.core.paths import named
from compress.core.progress import warn
from compress.data import decoding, files
from compress.data.files import FORMATS, RawRow
from compress.data.rows import Columns, LeftOut, examples, refuse
from compress.data.sources import as_described, generator
from compress.data.splits import default_cache
from compress.tasks.task import DescribedTask, Source, Task

PLAIN = ".txt"
GENERATED = "generated"
SPLIT = "unlabelled"


@dataclass
class Skipped:
    """Counts of skipped rows."""

    empty: int = 0
    bad: int = 0


def path_of(given: str | None, task: Task) -> Path | None:
    """The file or folder that a setting names.

    `generated` names further texts that the task's own generator draws, without labels; they are written to the cache.

    Raises:
        CompressError: `generated`, and the task has no generator, or one without such texts.
    """
    if given != GENERATED:
        return named(given) if given else None
    module = generator(task) if task.generator else None
    if module is None or SPLIT not in module.SIZES:
        raise CompressError(
            f"Task '{task.name}' generates no unlabelled texts. Name a file of texts, or a folder of such files. "
            f"(For a folder called {GENERATED}, write ./{GENERATED}.)"
        )

    def write(folder: Path) -> None:
        texts = (text for text, _ in module.rows(SPLIT, task.seed))
        (folder / f"{SPLIT}{PLAIN}").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")

    decided_by = [task.generator, module.VERSION, task.seed]
    return entry(default_cache() / "generated-texts" / digest(decided_by), write).folder / f"{SPLIT}{PLAIN}"


def text_files(where: Path) -> tuple[Path, ...]:
    """The file, or the folder's files in order of their names: those of a known format that are not hidden.

    Raises:
        CompressError: there are none.
    """
    if where.is_file():
        return (where,)
    if not where.is_dir():
        raise CompressError(f"{where} does not exist. Name a file of texts, or a folder of such files.")
    there = sorted(file for file in where.iterdir() if file.is_file() and not file.name.startswith("."))
    readable = tuple(file for file in there if file.suffix.lower() in FORMATS)
    if not readable:
        raise CompressError(f"{where} has no file of texts. Put files there that end in {' '.join(FORMATS)}.")
    return readable


def check(task: Task, where: Path) -> None:
    """Look at the first row of each file.

    Raises:
        CompressError: a file is missing, of an unknown format, or without the columns of the task's texts.
    """
    for file in text_files(where):
        if file.suffix.lower() == PLAIN:
            _check_plain(task, file)
        else:
            _source(task, file)


def read(task: Task, where: Path, skipped: Skipped) -> Iterator[tuple[str, ...]]:
    """The texts of each row, in order; rows with an empty text are counted and left out.

    Raises:
        CompressError: what `check` finds, or a row that cannot be read, unless the task skips those.
    """
    check(task, where)
    _warn_of_others(where)
    may_be_empty = replace(task, empty_text_is_bad=False)
    for file in text_files(where):
        left_out = LeftOut()
        for one in examples(_raw(task, file, skipped), may_be_empty, _columns(task, file), False, left_out):
            if one.of_words or all(one.texts):
                yield one.texts
            else:
                skipped.empty += 1
        if left_out.bad and task.bad_rows == "error":
            raise refuse(left_out, str(file))
        skipped.bad += left_out.bad


def count(described: DescribedTask, given: str | None) -> int:
    """How many texts a setting names, those that are empty left out; they are read once for a task on its way.

    Raises:
        CompressError: see `path_of` and `read`.
    """
    where = path_of(given, described.task)
    if where is None:
        return 0
    return described.once(f"texts in {where}", lambda: sum(1 for _ in read(described.task, where, Skipped())))


def _warn_of_others(where: Path) -> None:
    """The files in the folder that are not read."""
    read = set(text_files(where))
    others = [file.name for file in sorted(where.iterdir()) if file not in read] if where.is_dir() else []
    others = [name for name in others if not name.startswith(".")]
    if others:
        warn(f"{where}: not read: {', '.join(others)}. Texts are in files that end in {' '.join(FORMATS)}.")


def _columns(task: Task, file: Path) -> Columns:
    if file.suffix.lower() == PLAIN:
        return Columns(task.text_columns, "")
    return Columns(_source(task, file).text or task.text_columns, "")


def _raw(task: Task, file: Path, skipped: Skipped) -> Iterator[RawRow]:
    if file.suffix.lower() == PLAIN:
        for row in _lines(task, file):
            if task.reads_words and not row.defect and not row.cell(task.text_columns[0]):
                skipped.empty += 1
            else:
                yield row
        return
    for row in files.rows(file, _source(task, file)):
        if row.defect == files.EMPTY_LINE:
            skipped.empty += 1
        else:
            yield row


def _source(task: Task, file: Path) -> Source:
    """Columns with the task's names, or with those of one of its own files."""
    own = [source for sources in task.files.values() for source in sources if source.text and source.columns is None]
    plainly = as_described(task, file, Source(file.name), of_known_layout=False)
    for layout in (plainly, *(replace(plainly, text=source.text) for source in own)):
        if all(files.holds(file, layout, name) for name in layout.text or task.text_columns):
            return layout
    found = files.columns(file, plainly)
    if not found:
        raise CompressError(f"{file} is empty. Put texts into it, or leave it out.")
    missing = next(name for name in task.text_columns if not files.holds(file, plainly, name))
    listed = ", ".join(shown(name, 32)[1:-1] for name in found[:12])
    plain = "" if task.is_pair else " A file with a text a line and no header is called *.txt."
    raise CompressError(f"{file} has no column '{missing}'.{guess(missing, found)} Its columns: {listed}.{plain}")


def _check_plain(task: Task, file: Path) -> None:
    if task.is_pair:
        raise CompressError(
            f"{file} has a text a line, but task '{task.name}' has pairs of texts: give a table with the columns "
            f"{' and '.join(task.text_columns)} (.tsv, .csv, .jsonl, .parquet)."
        )
    first = next(_lines(task, file), None)
    if first is None:
        raise CompressError(f"{file} is empty. Put texts into it, or leave it out.")
    line = first.cells.get(task.text_columns[0], "")
    if isinstance(line, str) and task.text_columns[0] in line.strip().split("\t"):
        raise CompressError(f"{file} begins with the names of columns, so it is a table. Call it {file.stem}.tsv.")


def _lines(task: Task, file: Path) -> Iterator[RawRow]:
    try:
        for number, text, defect in decoding.lines(file, task.encoding):
            cell = text.split() if task.reads_words else text
            yield RawRow(f"line {number}", {} if defect else {task.text_columns[0]: cell}, defect)
    except OSError as error:
        raise CompressError(f"{file} cannot be read ({error.strerror or error}).") from error
