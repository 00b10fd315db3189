"""Makes a split of a task's data: from files, the hub or a generator to a memory-mapped Arrow file.

The Arrow file lies in a cache under a name that is a hash of everything it depends on: the contents of the source, the
task, the split. So reading costs memory for one batch of rows, and reading again costs nothing.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import logging
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.core.cache import entry
from compress.core.errors import CompressError, guess
from compress.data.documents import documents
from compress.data.rows import Example, LeftOut, examples, refuse
from compress.data.sources import NoSuchSplit, Origin, origin
from compress.tasks.task import FURTHER_SPLITS, SPLITS, Task

if TYPE_CHECKING:
    from datasets import Dataset

CACHE_VERSION = 3
BATCH = 1000
ROWS = "rows.arrow"
"""The one file of an entry of rows in the cache."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """The rows of one split, and what exactly they are.

    `rows` has the columns `text`, `text_pair` where an example is two texts, `label` (class id, score or target text; no
    such column where the labels are hidden, or where there is nothing but the text) and `row_hash` (16 hex digits of the
    texts). In token classification `text` is a list of words and `label` a list with the id of each word's tag; in multi-label
    classification `label` is a list of 0.0 and 1.0, one for each of the task's labels. `identity` is plain data for
    manifests: the files' hashes, the split, its settings, how many rows it has, a hash of their content, and what was left out.
    """

    name: str
    rows: Dataset
    identity: dict[str, Any]

    @property
    def is_labelled(self) -> bool:
        """Whether the rows have labels."""
        return "label" in self.rows.column_names


def load(task: Task, data: str | Path | None, split: str, cache: Path | None = None) -> Split:
    """One split of the task's data: `train`, `holdout`, `evaluation` or `test`.

    `data` is a folder with the task's files; None means the hub, or the task's own generator. `holdout` is the share
    `task.holdout` of the training rows, chosen by the hash of their folded texts, and `train` is the rest (a data source
    with a holdout of its own keeps it). `cache` is where Arrow files are kept, `default_cache()` when None.

    Raises CompressError for a missing file or column, bad rows (unless the task skips them), an empty split, no network.
    """
    if split not in (*SPLITS, *FURTHER_SPLITS):
        raise CompressError(f"There is no split '{split}'.{guess(split, SPLITS)} Splits: {', '.join(SPLITS)}.")
    if split in FURTHER_SPLITS and split not in task.files:
        raise NoSuchSplit(f"Task '{task.name}' has no {split} split.")
    cut_out_of_train = split in ("train", "holdout") and not _has_own_holdout(task)
    source = origin(task, data, "train" if cut_out_of_train else split)
    identity = {"task": task.name, "split": split, **source.identity, **_settings(task, split, cut_out_of_train)}
    key = _digest([CACHE_VERSION, identity, source.layout, _reading(task)])[:32]
    kept = entry(
        (cache or default_cache()) / "rows" / key,
        lambda folder: _write(folder / ROWS, task, split, source, cut_out_of_train),
    )
    found = dict(kept.facts)
    _report(source.name, found)
    rows = arrow_rows(kept.folder / ROWS, found["content"])
    return Split(split, rows if found.pop("labelled") else rows.remove_columns("label"), {**identity, **found})


def kept_apart(task: Task, data: str | Path | None) -> Iterator[Dataset]:
    """The rows that no student is trained on: held-out rows, and those of every split that is measured and is there.

    Raises:
        CompressError: a split that is there cannot be read, or there are no training rows to hold any out of.
    """
    yield load(task, data, "holdout").rows
    for name in ("evaluation", "test", *FURTHER_SPLITS):
        with suppress(NoSuchSplit):
            yield load(task, data, name).rows


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/compress-transformers`, or the same under `~/.cache`."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "compress-transformers"


def arrow_rows(path: Path, fingerprint: str) -> Dataset:
    """The rows of an Arrow file, mapped into memory; equal content has an equal fingerprint."""
    from datasets import Dataset

    mapped = Dataset.from_file(str(path))
    return Dataset(mapped.data, info=mapped.info, fingerprint=fingerprint[:16])


def limit_of(task: Task, split: str) -> int | None:
    """The most rows of a split; rows held out of limited training rows are as few in proportion.

    >>> from compress.data.loading import resolve
    >>> limit_of(resolve({"name": "sst2", "limit": {"train": 1500}})[0], "holdout")
    79
    """
    if split == "holdout" and split not in task.limit and "train" in task.limit and not _has_own_holdout(task):
        return math.ceil(task.limit["train"] * task.holdout / (1 - task.holdout))
    return task.limit.get(split)


def _has_own_holdout(task: Task) -> bool:
    return bool(task.generator) or "holdout" in task.files


def _settings(task: Task, split: str, cut_out_of_train: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {"bad_rows": task.bad_rows}
    if task.labels_from:
        settings["labels_from"] = task.labels_from
    if cut_out_of_train:
        settings["holdout"] = task.holdout
    limit = limit_of(task, split)
    if limit is not None:
        settings |= {"limit": limit, "seed": task.seed}
    if task.generation is not None:
        settings |= {
            "empty": task.generation.empty,
            "documents": task.generation.documents,
            "separate": task.generation.separate,
        }
    return settings


def _reading(task: Task) -> list[Any]:
    """The task's settings that change how its rows are read."""
    plain = task.to_json()
    names = ("kind", "text_columns", "label_column", "label_names", "label_range", "absent_labels", "empty_text_is_bad")
    several = {name: plain[name] for name in ("label_columns", "label_separator") if name in plain}
    return [*(plain[name] for name in names), plain.get("label_values"), *([several] if several else [])]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _write(path: Path, task: Task, split: str, source: Origin, cut_out_of_train: bool) -> dict[str, Any]:
    """The split's Arrow file; returns what was found."""
    left_out = LeftOut()

    def chosen(left_out: LeftOut) -> Iterator[Example]:
        raw = source.read()
        if task.generation is not None:
            said = task.generation
            raw = documents(raw, source.columns.text[0], said.documents, separate=said.separate)
        found = examples(raw, task, source.columns, split == "test", left_out)
        if not cut_out_of_train:
            return found
        return (one for one in found if one.is_held_out(task.holdout) == (split == "holdout"))

    limit = limit_of(task, split)
    stream = chosen(left_out)
    if limit is not None:
        stream = _limited(stream, _drawn(chosen(LeftOut()), limit, task.seed), task.seed)
    try:
        count, labelled, content = _write_arrow(path, task, stream)
    except OSError as error:
        raise CompressError(f"The rows of task '{task.name}' cannot be kept in {path.parent} ({error}).") from error
    if left_out.bad and task.bad_rows == "error":
        raise refuse(left_out, source.name, task)
    if not count:
        also = f" ({left_out.sentence()})" if left_out.bad else ""
        raise CompressError(f"The {split} split of task '{task.name}' is empty: {source.name} has no rows{also}.")
    if labelled not in (0, count):
        raise CompressError(f"{source.name} has a label in {labelled} of {count} rows: label all rows, or none.")
    found = {"rows": count, "labelled": labelled > 0, "content": content}
    if left_out.bad or left_out.without_label:
        found["left_out"] = {
            "bad_rows": left_out.bad,
            "places": left_out.places,
            "without_label": left_out.without_label,
        }
    if task.generation is not None:
        found["empty_rows"] = left_out.empty
    return found


def _drawn(stream: Iterator[Example], limit: int, seed: int) -> Counter[int]:
    """The rows with the least seeded hashes: the same rows whatever their order in the file."""
    return Counter(heapq.nsmallest(limit, (_draw(one, seed) for one in stream)))


def _limited(stream: Iterator[Example], drawn: Counter[int], seed: int) -> Iterator[Example]:
    for one in stream:
        key = _draw(one, seed)
        if drawn[key] > 0:
            drawn[key] -= 1
            yield one


def _draw(one: Example, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}\x1f{one.row_hash}\x1f{one.label}".encode()).digest()[:8])


def _write_arrow(path: Path, task: Task, stream: Iterator[Example]) -> tuple[int, int, str]:
    """Writes the rows; gives their count, how many have a label, and the SHA-256 of their content in order."""
    from datasets import Features, List, Value
    from datasets.arrow_writer import ArrowWriter

    label = Value(task.law.stored_as)
    features = {"text": List(Value("string")) if task.reads_words else Value("string")}
    if task.is_pair:
        features["text_pair"] = Value("string")
    has_several = task.reads_words or task.is_multi_label
    features |= {"label": List(label) if has_several else label, "row_hash": Value("string")}
    count = labelled = 0
    content = hashlib.sha256()
    writer = ArrowWriter(features=Features(features), path=str(path), writer_batch_size=BATCH)
    try:
        for one in stream:
            writer.write({**one.cells, "label": one.label, "row_hash": one.row_hash})
            content.update(f"{one.row_hash}{one.label}\n".encode())
            count += 1
            labelled += one.label is not None
        if count:
            writer.finalize()
    finally:
        writer.close()
    return count, labelled, content.hexdigest()


def _report(name: str, found: Mapping[str, Any]) -> None:
    left_out = found.get("left_out", {})
    if left_out.get("bad_rows"):
        places = LeftOut(left_out["bad_rows"], list(left_out["places"]))
        logger.warning("%s: left out %s.", name, places.sentence())
    if left_out.get("without_label"):
        logger.warning(
            "%s: left out %d rows whose annotators did not agree on a label.", name, left_out["without_label"]
        )
    if found.get("empty_rows"):
        count = "1 row has" if found["empty_rows"] == 1 else f"{found['empty_rows']} rows have"
        logger.warning("%s: %s an empty text; see `empty` in the task.", name, count)
