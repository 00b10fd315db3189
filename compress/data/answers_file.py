"""Reads what another model answered to texts of a task: a label, probabilities, a number, tags, or a text in each row.

A row has the task's columns of text, or `text` (and `pair`), or `words`; and its answer in the task's own column of labels, or in
the one that `compress predict --json` has it in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.errors import CompressError, guess, shown
from compress.data import files, several_labels
from compress.data.label_ids import Bad, Empty, known_label, number_of, text_cell
from compress.data.raw_row import RawRow
from compress.data.rows import Columns, Example, LeftOut, examples
from compress.data.sources import as_described, is_file
from compress.tasks.task import Source, Task

PROBABILITIES, CONFIDENCE = "probabilities", "confidence"
TEXTS, WORDS = ("text", "pair"), ("words",)
"""What `compress predict --json` calls the texts."""

Given = NDArray[np.float32] | str
"""An answer: the scores of a model that is as sure, [outputs], or those of each word, [words, outputs]; or a text."""


@dataclass(frozen=True)
class Answer:
    """What the file has for one text."""

    place: str
    """`line 4`."""
    example: Example
    """Its texts, without a label."""
    given: Given


@dataclass(frozen=True)
class AnswersFile:
    """The answers of a file."""

    answers: Mapping[str, Answer]
    """By the hash of a row's texts, in the file's order; each text once."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Rows that were not kept, a count for each reason: `bad`, `empty`, `duplicate`."""


def read(task: Task, file: Path) -> AnswersFile:
    """The answers of a file in any format of rows (JSON lines, JSON, CSV, TSV, Parquet).

    Raises:
        CompressError: there is no such file, or it has no rows; the task's kind has no such answers; a column is missing; a row
            is bad (unless the task skips those); or one text has two different answers.
    """
    generic = task.of_kind.answer_columns.get(task.kind)
    if generic is None:
        instead = " Put the texts that another model wrote into its training file." if task.is_generative else ""
        raise CompressError(f"Answers to '{task.name}' ({task.kind_in_words}) are not read from a file.{instead}")
    check(file)
    layout, texts = _layout(task, file)
    columns = _answer_columns(task, file, layout, generic)
    left_out, found = LeftOut(), dict[str, Answer]()
    empty = duplicates = 0
    plain = replace(task, empty_text_is_bad=True)
    for row in files.rows(file, layout):
        if row.defect == files.EMPTY_LINE:
            empty += 1
            continue
        example = next(examples([row], plain, Columns(texts, ""), False, left_out), None)
        if example is None:
            continue
        try:
            answer = Answer(row.place, example, _given(row, example, task, columns, left_out.labels))
        except Bad as bad:
            if isinstance(bad, Empty) and task.generation is not None and task.generation.empty == "drop":
                empty += 1
            else:
                left_out.add(row.place, str(bad))
            continue
        first = found.setdefault(example.row_hash, answer)
        if first is not answer:
            _check_equal(first, answer, file)
            duplicates += 1
    if left_out.bad and task.bad_rows == "error":
        skip = ", or skip such rows with `bad_rows: skip` in the task" if left_out.few else ""
        raise CompressError(f"{file} has {left_out.sentence()}. Correct the file{skip}.")
    if not found:
        also = f" ({left_out.sentence()})" if left_out.bad else ""
        raise CompressError(f"{file} has no answers{also}. Write a row for each text: {_example(task, texts, columns)}")
    return AnswersFile(found, {"bad": left_out.bad, "empty": empty, "duplicate": duplicates})


def check(file: Path) -> None:
    """Whether there is such a file.

    Raises:
        CompressError: there is none.
    """
    if not is_file(file):
        raise CompressError(f"{file} is not a file. Name one with a row for each answer (answers.jsonl).")


def _layout(task: Task, file: Path) -> tuple[Source, tuple[str, ...]]:
    """How the file is read, and its columns of text: those of the task, of one of its own files, or the general ones."""
    layout = as_described(task, file, Source(file.name), of_known_layout=False)
    known = files.columns(file, layout)
    if not known:
        defect = files.first_defect(file, layout)
        raise CompressError(f"{file} {defect or 'is empty'}. Write a row for each text, with the answer to it.")
    own = [source.text for sources in task.files.values() for source in sources if source.text]
    general = WORDS if task.reads_words else TEXTS[: len(task.text_columns)]
    for names in (task.text_columns, *own, general):
        if all(files.holds(file, layout, name) for name in names):
            return layout, tuple(names)
    missing = next(name for name in task.text_columns if not files.holds(file, layout, name))
    raise _no_column(f"'{missing}'", missing, file, known)


def _answer_columns(task: Task, file: Path, layout: Source, generic: str) -> tuple[str, ...]:
    """The columns that may hold the answer, those of the task first."""
    own = [source.label for sources in task.files.values() for source in sources if source.label]
    names = tuple(dict.fromkeys(name for name in (task.label_column, *own, generic) if name))
    chooses = task.law.chooses
    also = (PROBABILITIES, *(f"{PROBABILITIES}.{label}" for label in task.label_names)) if chooses else ()
    if task.label_columns and all(files.holds(file, layout, name) for name in task.label_columns):
        return names
    if not any(files.holds(file, layout, name) for name in (*names, *also)):
        listed = " or ".join(f"'{one}'" for one in (*names, *also[:1]))
        raise _no_column(f"{listed} with the answers", names[0], file, files.columns(file, layout))
    return names


def _no_column(what: str, name: str, file: Path, known: Sequence[str]) -> CompressError:
    listed = ", ".join(shown(one, 32)[1:-1] for one in known[:12])
    return CompressError(f"{file} has no column {what}.{guess(name, known)} Its columns: {listed}.")


def _given(row: RawRow, example: Example, task: Task, columns: Sequence[str], spellings: set[str]) -> Given:
    """A row's answer.

    Raises:
        Bad: it has none, or one that cannot be.
    """
    column = next((name for name in columns if not _is_empty(row.cell(name))), "")
    if task.is_generative:
        text = text_cell(row, column).strip() if column else ""
        if not text:
            raise Empty(f"{shown(columns[0])} is empty")
        return text
    if not task.law.chooses:
        if not column:
            raise Bad(f"{shown(columns[0])} is empty")
        return np.array([known_label(row.cell(column), task, spellings)], np.float32)
    words = len(example.texts) if example.of_words else None
    found = _probabilities(row, task, words, spellings)
    if found is None:
        found = _stated(row, task, column, words, spellings)
    scores = task.law.scores(found).astype(np.float32)
    return scores if example.of_words else scores[0]


def _stated(row: RawRow, task: Task, column: str, words: int | None, spellings: set[str]) -> NDArray[np.float64]:
    """The probabilities of stated labels, [answers, outputs]: of one row, or of each word."""
    labels: Any
    if words is not None:
        labels = several_labels.tags(row, task, column, words, False, spellings) if column else None
    elif task.is_multi_label:
        # Lists under a name come before a column for each label.
        names = () if column or not task.label_columns else task.label_columns
        labels = [several_labels.label_set(row, task, column, names, False, spellings)] if column or names else None
    else:
        labels = [_one_label(row, task, column, spellings)] if column else None
    if labels is None:
        raise Bad("it has neither a label nor probabilities")
    return task.law.stated(np.asarray(labels), task.num_labels, _confidence(row, task))


def _one_label(row: RawRow, task: Task, column: str, spellings: set[str]) -> int:
    value = row.cell(column)
    if isinstance(value, list | tuple | dict):
        raise Bad(
            f"{shown(column)} is {shown(value, 40)}, not one label; a number for each is called {PROBABILITIES!r}"
        )
    return int(known_label(value, task, spellings))


def _confidence(row: RawRow, task: Task) -> float:
    """How sure the model said it was; 1 where it said nothing."""
    value = row.cell(CONFIDENCE)
    if _is_empty(value):
        return 1.0
    number = None if isinstance(value, bool) else number_of(str(value))
    least = 0.5 if task.law.several else 1 / task.num_labels
    if number is None or not least - 1e-9 <= number <= 1:
        below = "; below that another label would be more likely" if number is not None and number < least else ""
        raise Bad(f"{CONFIDENCE!r} is {shown(value, 20)}, not a number from {least:.4g} to 1{below}")
    return number


def _probabilities(row: RawRow, task: Task, words: int | None, spellings: set[str]) -> NDArray[np.float64] | None:
    """The probabilities that a row states, [answers, outputs]; None where it states none."""
    value = row.cell(PROBABILITIES)
    if _is_empty(value):
        flat = {name: row.cell(f"{PROBABILITIES}.{name}") for name in task.label_names}  # a table's columns
        value = {name: one for name, one in flat.items() if not _is_empty(one)}
        if not value:
            return None
    if words is None:
        return _distribution(value, task, spellings)[None]
    if not isinstance(value, list | tuple) or len(value) != words:
        has = f"{len(value)} entries" if isinstance(value, list | tuple) else shown(value, 40)
        raise Bad(f"{PROBABILITIES!r} has {has}, not one for each word ({words})")
    found = []
    for number, one in enumerate(value, start=1):
        try:
            found.append(_distribution(one, task, spellings))
        except Bad as bad:
            raise Bad(f"word {number}: {bad}", number - 1) from bad
    return np.stack(found)


def _distribution(value: Any, task: Task, spellings: set[str]) -> NDArray[np.float64]:
    """The probability of each of the task's labels, [labels]. A label that is not there has 0, unless each is by itself."""
    names = task.label_names
    if isinstance(value, Mapping):
        given = [(int(known_label(name, task, spellings)), name, one) for name, one in value.items() if one is not None]
        missing = sorted(set(range(len(names))) - {place for place, _, _ in given})
        if len(given) + len(missing) > len(names):
            raise Bad(f"{PROBABILITIES!r} names a label twice: {shown(value, 60)}")
        if missing and task.law.several:
            raise Bad(f"{PROBABILITIES!r} has nothing for {names[missing[0]]}")
    elif isinstance(value, list | tuple) and len(value) == len(names):
        given = [(place, names[place], one) for place, one in enumerate(value)]
    else:
        has = f"{len(value)} entries" if isinstance(value, list | tuple) else shown(value, 40)
        raise Bad(f"{PROBABILITIES!r} has {has}; it is an object with the labels, or a list of {len(names)} numbers")
    found = np.zeros(len(names))
    for place, name, one in given:
        if isinstance(one, bool | Mapping | list | tuple) or one is None:
            raise Bad(f"the probability of {shown(name, 32)} is {shown(one, 20)}, not a number")
        try:
            found[place] = float(one)
        except (ValueError, OverflowError):
            raise Bad(f"the probability of {shown(name, 32)} is {shown(one, 20)}, not a number") from None
    defect = task.law.defect(found)
    if defect:
        raise Bad(defect)
    return found if task.law.several else found / found.sum()


def _check_equal(first: Answer, second: Answer, file: Path) -> None:
    one, other = first.given, second.given
    same = one == other if isinstance(one, str) or isinstance(other, str) else np.array_equal(one, other)
    if not same:
        text = shown(" ".join(first.example.texts), 40)
        raise CompressError(
            f"{file}: {first.place} and {second.place} answer the same text differently ({text}). Keep one of them."
        )


def _is_empty(value: Any) -> bool:
    """Whether a cell has nothing; an empty list of labels is an answer."""
    return value is None or (isinstance(value, str) and not value.strip())


def _example(task: Task, texts: Sequence[str], columns: Sequence[str]) -> str:
    return f"{{{', '.join(f'{shown(name)}: ...' for name in (*texts, columns[-1]))}}}."
