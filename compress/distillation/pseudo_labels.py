"""The teacher's own beam outputs in the place of references: sequence-level distillation (Kim & Rush 2016).

They are texts, so teacher and student need not share a tokenizer. Each is kept in the cache by a hash of what the teacher read,
some dozens in an entry, beneath a hash of the teacher and its decoding: a stopped run goes on, and rows that were asked before,
for another share or another student, are not asked again.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import Artifact, digest
from compress.core.cache import locked, making, opened
from compress.core.disk import DiskFull
from compress.core.errors import CompressError
from compress.core.progress import bar, say, warn
from compress.data import prompt_templates as texts
from compress.data.max_lengths import fitted
from compress.data.tokenized import generative_tokens
from compress.models.load import load
from compress.runtimes.generating import Decoding, rules
from compress.tasks.task import DescribedTask
from compress.training.validation import generated

BATCH = 16
WRITE_SECONDS = 20.0
"""How often what was written is kept, so that it need not be written again."""
WORTH_AN_EXPORT = 200
"""Rows from which on an export is soon made up for: ONNX Runtime wrote 4 beams in 0.61 of torch's processor time."""


@dataclass(frozen=True)
class PseudoLabels:
    """Training rows, some with the teacher's text as their target."""

    rows: Any
    """As they were given, but for `label`."""
    facts: Mapping[str, Any] = field(default_factory=dict)


def pseudo_labelled(
    teacher: Artifact,
    rows: Any,
    task: Any,
    its_tokenizer: Any,
    *,
    share: float,
    beams: int,
    cache: Path,
    described: DescribedTask | None = None,
) -> PseudoLabels:
    """Training rows where a share of the references are what the teacher writes: Kim & Rush 2016, section 3.2.

    Which rows is decided by their hashes, so those of a smaller share are among those of a greater one. Where the teacher
    writes nothing, the reference stays.

    Args:
        teacher: the torch artifact of an encoder-decoder or a decoder.
        rows: with the columns `text`, `label` and `row_hash`.
        task: a summarization or translation.
        its_tokenizer: the teacher's.
        share: of the rows, 0 to 1.
        beams: of the teacher's search; 1 is greedy.
        cache: the folder for content-keyed results.
        described: the task with its data, on whose rows an export of the teacher is compared with it.

    Raises:
        CompressError: the task has no sources to write for.
    """
    if not task.of_kind.has_references:
        raise CompressError(
            f"'{task.name}' has no sources that a teacher could write targets for. Leave sequence_kd out; for a decoder that "
            "learns from samples there is on_policy."
        )
    places = [place for place, value in enumerate(rows["row_hash"]) if _at(value) < share]
    if not places:
        return PseudoLabels(rows)
    written, seconds = _written(teacher, rows.select(places), task, its_tokenizer, beams, cache, described)
    labels = list(rows["label"])
    for place, text in zip(places, written, strict=True):
        labels[place] = text or labels[place]
    facts = {
        "pseudo_labels": {
            "rows": len(places),
            "of": len(rows),
            "beams": beams,
            "empty": sum(not text for text in written),
            "distinct": len(set(written)) / len(written),
            "seconds": seconds,
        }
    }
    return PseudoLabels(_with_labels(rows, labels), facts)


def _at(row_hash: str) -> float:
    """Where a row stands between 0 and 1; another hash of the hash, since rows are held out by the first."""
    return (
        int.from_bytes(hashlib.blake2b(row_hash.encode(), digest_size=8, person=b"pseudo").digest(), "little") / 2**64
    )


def _with_labels(rows: Any, labels: list[str]) -> Any:
    """The same rows under other targets; their fingerprint depends on nothing but both."""
    from datasets import Dataset

    found = rows.remove_columns("label").add_column("label", labels)
    return Dataset(found.data, info=found.info, fingerprint=digest([rows._fingerprint, labels]))


def _written(
    teacher: Artifact,
    rows: Any,
    task: Any,
    its_tokenizer: Any,
    beams: int,
    cache: Path,
    described: DescribedTask | None,
) -> tuple[list[str], float]:
    """What the teacher writes for each row, and the seconds that took now."""
    from compress.models import load as models
    from compress.models.generation_config import generation_config

    config = models.config(teacher.folder)
    fitting = fitted(task, config)
    settings = generation_config(teacher.folder).to_dict()
    decoding = Decoding(beams, texts.settings(fitting).max_target, rules(settings))
    read, _ = generative_tokens(rows.remove_columns("label"), fitting, its_tokenizer, config, 0)
    hashes = [_hash(ids) for ids in read["input_ids"]]
    key = digest([teacher.fingerprint(), digest(teacher.files), beams, decoding.max_new_tokens, dict(decoding.rules)])
    folder = cache / "pseudo-labels" / key
    started = time.perf_counter()
    kept = _kept(folder)
    before = len(hashes)
    if set(hashes) - kept.keys():
        with locked(folder):
            kept = _kept(folder, mends=True)  # another process may have asked meanwhile
            lacking = [place for place, value in enumerate(hashes) if value not in kept]
            before = len(hashes) - len(lacking)
            if lacking:
                _write(
                    folder,
                    _writer(teacher, described, cache, len(lacking)),
                    read.select(lacking),
                    [hashes[place] for place in lacking],
                    its_tokenizer,
                    decoding,
                )
                kept = _kept(folder)
    if before:
        say(f"The teacher's outputs for {before} of {len(hashes)} rows are in the cache.")
    return [kept[value] for value in hashes], round(time.perf_counter() - started, 1)


def _writer(teacher: Artifact, described: DescribedTask | None, cache: Path, rows: int) -> Any:
    """The teacher as it writes fastest: on a GPU by torch, else, for many rows, by its fp32 ONNX graphs, with the same tokens."""
    import torch

    if torch.cuda.is_available():
        return load(teacher).float().to("cuda")
    if rows < WORTH_AN_EXPORT:
        return load(teacher).float()
    from compress.onnx.exported import exported
    from compress.runtimes.onnx_generation import open_generator_in
    from compress.runtimes.runtime import Serving

    try:
        found = exported(teacher, described, cache)
        # The teacher's own folder says how it writes.
        graphs = {part: str(path.resolve()) for part, path in found.paths.items()}
        return open_generator_in(teacher.folder, graphs, Serving(threads=torch.get_num_threads()))
    except DiskFull:
        raise
    except CompressError as error:
        say(f"The teacher writes by torch, since it cannot by ONNX Runtime: {error}")
        return load(teacher).float()


def _write(folder: Path, model: Any, read: Any, hashes: list[str], its_tokenizer: Any, decoding: Decoding) -> None:
    """Keep what the model writes for each row, now and then as an entry; the longest rows come first."""
    texts: dict[str, str] = {}

    def keep() -> None:
        with making(folder / digest(sorted(texts))) as work:
            work.facts.update(texts)
        texts.clear()

    written = time.perf_counter()
    with bar("teacher writes", len(read)) as running:
        for places, found in generated(model, read, its_tokenizer, decoding, BATCH):
            texts |= {hashes[place]: text for place, text in zip(places, found, strict=True)}
            running.advance(len(places))
            if time.perf_counter() - written > WRITE_SECONDS:
                keep()
                written = time.perf_counter()
    if texts:
        keep()


def _kept(folder: Path, *, mends: bool = False) -> dict[str, str]:
    """What was written before, by the hash of what was read.

    Args:
        mends: remove entries that are damaged, so that their rows are asked again; call it under the lock.
    """
    found: dict[str, str] = {}
    for part in sorted(folder.iterdir()) if folder.is_dir() else ():
        one = opened(part)
        if one is not None:
            found |= one.facts
        elif mends and part.is_dir():
            warn(f"{part} is damaged, so the teacher is asked again.")
            shutil.rmtree(part)
    return found


def _hash(ids: Any) -> str:
    return hashlib.blake2b(np.asarray(ids, np.int32).tobytes(), digest_size=16).hexdigest()
