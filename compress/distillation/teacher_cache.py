"""A classifier's cached outputs as a teacher: logits, and hidden states if needed, for all epochs, steps and seeds.

They lie in the cache in 16 bits, under a hash of the teacher, the rows and how they were computed. Each is an entry, so that
what is there already is not computed again. Those of generative teachers are in `compress.distillation.generative_cache`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import digest
from compress.core.cache import Entry, locked, making, opened
from compress.core.errors import CompressError
from compress.core.labels import ANSWERED, inputs_of
from compress.core.progress import say
from compress.data.collate import ByToken, Extra, batches_by_length, collate_of
from compress.distillation.counted_rows import CountedRows, starts
from compress.distillation.features import FeatureSpec, Side, capture
from compress.distillation.teacher import Teacher
from compress.models.kinds import trained_kind
from compress.tasks.kinds import Output
from compress.training.kept_outputs import Table, write_outputs
from compress.training.train import wants_bf16

BATCH = 64
"""Rows that the teacher is asked for at once."""
OUTPUT = "output."
"""What the names of outputs begin with, where they lie beside those of features."""
VALUES = "values.npy"


@dataclass(frozen=True)
class Outputs:
    """A teacher's outputs for tokenized rows, and the time they took."""

    given: Mapping[str, Extra] = field(default_factory=dict)
    """An encoder's outputs by name, float16, memory-mapped, in the rows' order: [rows, ...], or those of each word or token."""
    extras: Mapping[str, ByToken] = field(default_factory=dict)
    """By the names of `FeatureSpec.names()`: vectors of each token, float16, memory-mapped. Or by the names that a batch has next
    tokens under: log-probabilities [tokens, k], ids [tokens, k] and the rest [tokens]."""
    seconds: float = 0.0
    """What computing them took, whenever that was."""
    seconds_saved: float = 0.0
    """How much of that was not spent now, since it lay in the cache."""

    @property
    def logits(self) -> np.ndarray:
        """Of a kind that gives them: [answers, labels], one answer a row, or one a word."""
        found = self.given["logits"]
        return found.values if isinstance(found, ByToken) else found


def outputs(
    teacher: Teacher,
    rows: CountedRows,
    its_tokenizer: Any,
    *,
    features: FeatureSpec,
    precision: str,
    identity: Mapping[str, Any],
    cache: Path,
) -> Outputs:
    """What an encoder gives for all rows, and features of its layers: read from the cache, or computed.

    Args:
        teacher: it is opened only if something is lacking in the cache.
        rows: as the teacher reads them.
        features: which ones, besides its outputs.
        precision: `auto`, `fp32` or `bf16`, as for training.
        identity: what the rows are (files' hashes, split, length): a change of data or teacher is another key.
        cache: the folder for content-keyed results.

    Raises:
        CompressError: a feature does not fit into 16 bits, or the disk is full.
    """
    autocast = "bf16" if wants_bf16(precision) else "fp32"
    key = digest([*teacher.identity, rows.hash_of_inputs, identity, autocast])
    folder = cache / "teacher" / key
    of_tokens = starts(rows.read)
    given = {f"{OUTPUT}{one.name}": one for one in trained_kind(teacher.folder).outputs}
    names = [*given, *features.names()]
    kept = _opened(folder, names)
    lacking = [name for name in names if name not in kept]
    if lacking:
        with locked(folder):
            kept = _opened(folder, names)  # another process may have asked meanwhile
            lacking = [name for name in names if name not in kept]
            if lacking:
                _write(teacher, rows, its_tokenizer, features, lacking, folder, bf16=autocast == "bf16")
                kept = _opened(folder, names)
    seconds = max(one.facts["seconds"] for one in kept.values())
    # Where anything was lacking the teacher ran after all, and what it gave again was no more work.
    saved = 0.0 if lacking else seconds
    if saved:
        say(f"The teacher's answers to {len(rows)} rows are in the cache: {saved:.1f} seconds saved.")
    arrays = {name: np.load(one.folder / VALUES, mmap_mode="r", allow_pickle=False) for name, one in kept.items()}
    return Outputs(
        {one.name: _by_row(arrays[name], one, rows) for name, one in given.items()},
        {name: ByToken(arrays[name], of_tokens) for name in features.names()},
        seconds=seconds,
        seconds_saved=saved,
    )


def _by_row(array: np.ndarray, output: Output, rows: CountedRows) -> Extra:
    """An output as a batch looks it up."""
    if output.of == "row":
        return array
    return ByToken(array, _starts(output, rows), of_labels=output.of == "word")


def _starts(output: Output, rows: CountedRows) -> np.ndarray:
    """Where each row's entries begin, and the end of the last one's, [rows + 1]."""
    if output.of == "row":
        return np.arange(len(rows) + 1)
    return starts(rows.read) if output.of == "token" else rows.answer_starts


def tokens_with_features(rows: CountedRows, side: Side) -> np.ndarray:
    """How many tokens of each row features are kept of, [rows]: an encoder-decoder's decoder has them at labels that count."""
    return rows.predicted if side == "decoder" else rows.read


def bytes_of_features(rows: CountedRows, features: Mapping[Side, FeatureSpec], config: Any) -> int:
    """The bytes on disk of the features of all rows, for a teacher with this config."""
    return sum(
        int(tokens_with_features(rows, side).sum()) * wanted.width(config, side) * 2
        for side, wanted in features.items()
        if wanted.names()
    )


def _write(
    teacher: Teacher,
    rows: CountedRows,
    its_tokenizer: Any,
    features: FeatureSpec,
    names: list[str],
    folder: Path,
    *,
    bf16: bool,
) -> None:
    """Makes several cache entries in one pass."""
    began = time.perf_counter()
    model, kind = teacher.model, trained_kind(teacher.folder)
    its_collate = collate_of(kind)

    def batch_of(places: list[int]) -> Mapping[str, Any]:
        return its_collate([rows.rows[place] for place in places], its_tokenizer, {})

    with ExitStack() as stack:
        work = {name: stack.enter_context(making(_entry(folder, name))) for name in names}
        found = stack.enter_context(capture(model, features))

        def ask(batch: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
            given, real = kind.named(model(**inputs_of(batch))), batch["attention_mask"].bool()
            values = {name: value[real] for name, value in found.items() if name in names}
            for one in kind.outputs:
                places = {"row": slice(None), "token": real}.get(one.of, batch.get(ANSWERED))
                values[f"{OUTPUT}{one.name}"] = given[one.name][places]
            return {name: narrowed(values[name], name) for name in names}

        lines = dict.fromkeys(features.names(), starts(rows.read))
        lines |= {f"{OUTPUT}{one.name}": _starts(one, rows) for one in kind.outputs}
        tables = {name: Table(work[name].folder / VALUES, lines[name]) for name in names}
        write_outputs(model, batches_by_length(rows.read, BATCH), batch_of, ask, tables, name="teacher", bf16=bf16)
        for name in names:
            work[name].facts["seconds"] = round(time.perf_counter() - began, 3)


def _entry(folder: Path, name: str) -> Path:
    """The entry of an output or a feature; that of logits is named as it was when there were no other outputs."""
    return folder / ("logits" if name == f"{OUTPUT}logits" else name)


def _opened(folder: Path, names: list[str]) -> dict[str, Entry]:
    """Those of the names that are in the cache: one pass may make several entries, and later ones are added."""
    found = {name: opened(_entry(folder, name)) for name in names}
    return {name: one for name, one in found.items() if one is not None}


def has_room(what: str, needed: int, most_gigabytes: float, cache: Path) -> bool:
    """Whether a teacher's outputs of so many bytes are kept on disk; says so where they would take too much."""
    if not needed:
        return True
    cache.mkdir(parents=True, exist_ok=True)
    room = min(most_gigabytes * 1e9, 0.8 * shutil.disk_usage(cache).free)
    if needed > room:
        say(
            f"The teacher's {what} would take {needed / 1e9:.1f} GB, above the {room / 1e9:.1f} GB there are for "
            "them (--teacher-cache-gb): the teacher runs at each step instead."
        )
    return needed <= room


def narrowed(value: Any, name: str) -> np.ndarray:
    """The values in fp16, whose rounding of 0.05 % is finer than that of bf16.

    Raises:
        CompressError: a value does not fit into them.
    """
    import torch

    narrow = value.float().cpu().numpy()
    largest = float(np.abs(narrow).max(initial=0.0))
    if not largest <= torch.finfo(torch.float16).max:
        raise CompressError(
            f"The teacher's {name} reaches {largest:g}, which does not fit into 16 bits. "
            "Let the teacher run at each step: --teacher-cache-gb 0."
        )
    return narrow.astype(np.float16)
