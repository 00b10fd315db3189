"""A split of a task's data: from files, the hub or a generator into an Arrow file that is read in place.

The Arrow file lies in a cache folder under a name that is a hash of everything it depends on: the contents of the source, the
task, the split. So reading costs memory for one batch of rows, and reading again costs nothing.
"""

from __future__ import annotations

import hashlib
import heapq
import importlib
import json
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.errors import CompressError, guess
from compress.tasks.loading import files
from compress.tasks.loading.files import FORMATS, RawRow
from compress.tasks.loading.rows import Columns, Example, LeftOut, examples, refuse
from compress.tasks.task import SPLITS, Source, Task

if TYPE_CHECKING:
    from datasets import Dataset

CACHE_VERSION = 1
BATCH = 1000
STEMS = {
    "train": ("train", "training"),
    "holdout": ("holdout",),
    "evaluation": ("dev", "validation", "valid", "val", "eval", "evaluation"),
    "test": ("test",),
}
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """The rows of one split, and what exactly they are.

    `rows` has the columns `text`, `text_pair` where an example is two texts, `label` (class id or score; no such column
    where the labels are hidden) and `row_hash` (16 hex digits of the texts). `identity` is plain data for manifests:
    the files' hashes, the split, its settings, how many rows it has, a hash of their content, and what was left out.
    """

    name: str
    rows: Dataset
    identity: dict[str, Any]

    @property
    def is_labelled(self) -> bool:
        """Whether the rows have labels."""
        return "label" in self.rows.column_names


@dataclass(frozen=True)
class _Origin:
    """Where the raw rows of a split come from; `read` starts anew at each call."""

    name: str
    identity: dict[str, Any]
    columns: Columns
    read: Callable[[], Iterator[RawRow]]


def load(task: Task, data: str | Path | None, split: str, cache: Path | None = None) -> Split:
    """One split of the task's data: `train`, `holdout`, `evaluation` or `test`.

    `data` is a folder with the task's files; None means the hub, or the task's own generator. `holdout` is the share
    `task.holdout` of the training rows, chosen by the hash of their texts, and `train` is the rest (a data source
    with a holdout of its own keeps it). `cache` is where Arrow files are kept, `default_cache()` when None.

    Raises CompressError for a missing file or column, bad rows (unless the task skips them), an empty split, no network.
    """
    if split not in SPLITS:
        raise CompressError(f"There is no split '{split}'.{guess(split, SPLITS)} Splits: {', '.join(SPLITS)}.")
    cut_out_of_train = split in ("train", "holdout") and not _has_own_holdout(task)
    origin = _origin(task, data, "train" if cut_out_of_train else split)
    identity = {"task": task.name, "split": split, **origin.identity, **_settings(task, split, cut_out_of_train)}
    key = _digest([CACHE_VERSION, identity, _reading(task)])[:32]
    folder = (cache or default_cache()) / "rows"
    facts = folder / f"{key}.json"
    if not (facts.is_file() and (folder / f"{key}.arrow").is_file()):
        _write(folder / f"{key}.arrow", facts, task, split, origin, cut_out_of_train)
    found = json.loads(facts.read_text(encoding="utf-8"))
    _report(origin.name, found)
    rows = arrow_rows(folder / f"{key}.arrow", found["content"])
    return Split(split, rows if found.pop("labelled") else rows.remove_columns("label"), {**identity, **found})


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/compress-transformers`, or the same under `~/.cache`."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "compress-transformers"


def arrow_rows(path: Path, fingerprint: str) -> Dataset:
    """The rows of an Arrow file, mapped into memory; equal content has an equal fingerprint."""
    from datasets import Dataset

    mapped = Dataset.from_file(str(path))
    return Dataset(mapped.data, info=mapped.info, fingerprint=fingerprint[:16])


# Where the rows come from ---------------------------------------------------------------------------------------------


def _has_own_holdout(task: Task) -> bool:
    return bool(task.generator) or "holdout" in task.files


def _origin(task: Task, data: str | Path | None, split: str) -> _Origin:
    if task.generator:
        return _generated(task, split)
    if data is None:
        return _on_the_hub(task, split)
    return _in_files(task, Path(data), split)


def _generated(task: Task, split: str) -> _Origin:
    if not task.generator.isidentifier():
        raise CompressError(f"Task '{task.name}' names the generator '{task.generator}', which is not one of ours.")
    module = importlib.import_module(f"compress.tasks.{task.generator}")

    def read() -> Iterator[RawRow]:
        for number, (text, label) in enumerate(module.rows(split, task.seed), start=1):
            yield RawRow(f"row {number}", {"text": text, "label": label})

    identity = {"generator": task.generator, "version": module.VERSION, "seed": task.seed}
    return _Origin(task.name, identity, Columns(("text",), "label"), read)


def _in_files(task: Task, folder: Path, split: str) -> _Origin:
    if folder.is_file():
        raise CompressError(f"{folder} is a file; data is a folder, or a mapping {{train: FILE, evaluation: FILE}}.")
    if not folder.is_dir():
        raise CompressError(f"{folder} does not exist. Name the folder that holds the data of task '{task.name}'.")
    sources = (*task.files.get(split, ()), *_named_columns(split))
    there = [source for source in sources if (folder / source.file).is_file()]
    if not there:
        looked_for = ", ".join(dict.fromkeys(source.file for source in task.files.get(split, ())))
        general = f"{STEMS[split][0]}.{{{','.join(suffix[1:] for suffix in FORMATS)}}}"
        where = f"{looked_for} or {general}" if looked_for else general
        raise CompressError(f"{folder} has no file for the {split} split of task '{task.name}'; looked for {where}.")
    for source in there:
        path = folder / source.file
        names = files.columns(path, source)
        wanted = _columns(task, source)
        # A test file without a label column is one with hidden labels, whatever its source expects.
        if split == "test" and wanted.label not in names and set(wanted.text) <= set(names):
            wanted = Columns(wanted.text, "")
        if names and {*wanted.text, *([wanted.label] if wanted.label else [])} <= set(names):
            identity = {"files": {path.name: _file_hash(path)}}
            return _Origin(str(path), identity, wanted, partial(files.rows, path, source))
    raise _missing_column(folder / there[0].file, task, there[0])


def _named_columns(split: str) -> list[Source]:
    """Files in any format whose columns are called as the task calls them."""
    return [Source(f"{stem}{suffix}") for stem in STEMS[split] for suffix in FORMATS]


def _columns(task: Task, source: Source) -> Columns:
    return Columns(source.text or task.text_columns, (source.label or task.label_column) if source.labelled else "")


def _missing_column(path: Path, task: Task, source: Source) -> CompressError:
    found = files.columns(path, _as_it_stands(source))
    if not found:
        return CompressError(f"{path} is empty. Task '{task.name}' needs rows in it.")
    if source.columns is not None:
        return CompressError(
            f"{path} has {len(found)} columns in its first line where task '{task.name}' expects {len(source.columns)}"
            f" without a header: {', '.join(source.columns)}."
        )
    wanted = _columns(task, source)
    missing = [name for name in (*wanted.text, wanted.label) if name and name not in found]
    return CompressError(
        f"{path} has no column '{missing[0]}'.{guess(missing[0], found)} Its columns: {_shortened(found)}."
    )


def _as_it_stands(source: Source) -> Source:
    """The source as one whose first line is shown as it is."""
    return Source(source.file, format=source.format)


def _shortened(names: tuple[str, ...]) -> str:
    shown = [name if len(name) <= 30 else f"{name[:27]}..." for name in names[:12]]
    return ", ".join(shown) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _on_the_hub(task: Task, split: str) -> _Origin:
    if task.hub is None:
        raise CompressError(f"Task '{task.name}' is not on the hub: name its files with `data`.")
    hub = task.hub
    if split not in hub.splits:
        raise CompressError(f"{hub.name} ({hub.config}) has no {split} split. Name local files with `data`.")
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
    columns = Columns(task.text_columns, task.label_column if task.label_column in found.column_names else "")
    return _Origin(f"{hub.name} ({hub.config}, {hub.splits[split]})", identity, columns, read)


@contextmanager
def _quiet_retries() -> Iterator[None]:
    """Without a network the hub's client warns of each of its five tries; our error says it once."""
    client = logging.getLogger("huggingface_hub")
    level = client.level
    client.setLevel(logging.ERROR)
    try:
        yield
    finally:
        client.setLevel(level)


# What the rows depend on ----------------------------------------------------------------------------------------------


def _settings(task: Task, split: str, cut_out_of_train: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {"bad_rows": task.bad_rows}
    if cut_out_of_train:
        settings["holdout"] = task.holdout
    if split in task.limit:
        settings |= {"limit": task.limit[split], "seed": task.seed}
    return settings


def _reading(task: Task) -> list[Any]:
    """What of the task changes how its rows are read."""
    plain = task.to_json()
    names = ("kind", "text_columns", "label_column", "label_names", "label_range", "absent_labels", "empty_text_is_bad")
    return [plain[name] for name in names]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Writing --------------------------------------------------------------------------------------------------------------


def _write(path: Path, facts: Path, task: Task, split: str, origin: _Origin, cut_out_of_train: bool) -> None:
    """The split's Arrow file, then the JSON file whose presence means that it is whole."""
    left_out = LeftOut()

    def chosen(left_out: LeftOut) -> Iterator[Example]:
        found = examples(origin.read(), task, origin.columns, split == "test", left_out)
        if not cut_out_of_train:
            return found
        return (one for one in found if (int(one.row_hash, 16) / 16**16 < task.holdout) == (split == "holdout"))

    limit = task.limit.get(split)
    stream = chosen(left_out)
    if limit is not None:
        stream = _limited(stream, _drawn(chosen(LeftOut()), limit, task.seed), task.seed)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as work:
            count, labelled, content = _write_arrow(Path(work) / "rows", task, stream)
            if left_out.bad and task.bad_rows == "error":
                raise refuse(left_out, origin.name)
            if not count:
                also = f" ({left_out.sentence()})" if left_out.bad else ""
                raise CompressError(
                    f"The {split} split of task '{task.name}' is empty: {origin.name} has no rows{also}."
                )
            if labelled not in (0, count):
                raise CompressError(
                    f"{origin.name} has a label in {labelled} of {count} rows: label all rows, or none."
                )
            found = {"rows": count, "labelled": labelled > 0, "content": content}
            if left_out.bad or left_out.without_label:
                found["left_out"] = {
                    "bad_rows": left_out.bad,
                    "places": left_out.places,
                    "without_label": left_out.without_label,
                }
            (Path(work) / "facts").write_text(json.dumps(found), encoding="utf-8")
            (Path(work) / "rows").replace(path)
            (Path(work) / "facts").replace(facts)
    except OSError as error:
        raise CompressError(f"The rows of task '{task.name}' cannot be kept in {path.parent} ({error}).") from error


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
    from datasets import Features, Value
    from datasets.arrow_writer import ArrowWriter

    features = {"text": Value("string")}
    if task.is_pair:
        features["text_pair"] = Value("string")
    features |= {"label": Value("float64" if task.kind == "regression" else "int64"), "row_hash": Value("string")}
    count = labelled = 0
    content = hashlib.sha256()
    writer = ArrowWriter(features=Features(features), path=str(path), writer_batch_size=BATCH)
    try:
        for one in stream:
            cells: dict[str, Any] = dict(zip(("text", "text_pair"), one.texts, strict=False))
            writer.write({**cells, "label": one.label, "row_hash": one.row_hash})
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
