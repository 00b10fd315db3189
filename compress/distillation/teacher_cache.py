"""The teacher's forward pass, done once: its logits, and hidden states where asked for, serve every epoch, step and seed.

They lie in the cache in 16 bits, under a hash of the teacher, the data and how they were computed. What is there already is not
computed again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import Artifact, digest
from compress.core.cache import Entry, locked, making, opened
from compress.core.disk import allocated
from compress.core.errors import CompressError
from compress.core.labels import TARGETS
from compress.core.progress import bar, say
from compress.data.collate import ByToken, answer_starts, by_length, row_lengths
from compress.distillation.features import FeatureSpec, capture
from compress.distillation.scores import answer_places, flat
from compress.models.load import load
from compress.training.train import wants_bf16

BATCH = 64
LOGITS = "logits"
VALUES = "values.npy"


@dataclass(frozen=True)
class Answers:
    """What a teacher says of tokenized rows, and what that cost."""

    logits: np.ndarray
    """[answers, labels], float16, memory-mapped, in the rows' order: one answer a row, or one a word."""
    features: Mapping[str, ByToken] = field(default_factory=dict)
    """By the names of `FeatureSpec.names()`: vectors of each token, float16, memory-mapped."""
    seconds: float = 0.0
    """What computing them took, whenever that was."""
    seconds_saved: float = 0.0
    """How much of that was not spent now, since it lay in the cache."""


def answers(
    teacher: Any,
    rows: Any,
    its_tokenizer: Any,
    *,
    wanted: FeatureSpec,
    precision: str,
    identity: Mapping[str, Any],
    cache: Path,
) -> Answers:
    """A teacher's logits and features for all rows: read from the cache, or computed in batches sorted by length.

    Args:
        teacher: the torch artifact of the teacher.
        rows: tokenized rows.
        wanted: which features, besides the logits.
        precision: `auto`, `fp32` or `bf16`, as for training.
        identity: what the rows are (files' hashes, split, length): a change of data or teacher is another key.
        cache: the folder for content-keyed results.

    Raises:
        CompressError: a feature does not fit into 16 bits, or the disk is full.
    """
    autocast = "bf16" if wants_bf16(precision) else "fp32"
    hashes = _row_hashes(rows)
    content = hashlib.sha256(hashes.tobytes()).hexdigest()
    key = digest([teacher.fingerprint(), digest(teacher.files), content, identity, autocast])
    folder = cache / "teacher" / key
    lengths = row_lengths(rows)
    names = [LOGITS, *wanted.names()]
    kept = _opened(folder, names)
    lacking = [name for name in names if name not in kept]
    if lacking:
        with locked(folder):
            kept = _opened(folder, names)  # another process may have asked meanwhile
            lacking = [name for name in names if name not in kept]
            if lacking:
                _compute(teacher, rows, its_tokenizer, lengths, wanted, lacking, folder, bf16=autocast == "bf16")
                kept = _opened(folder, names)
    seconds = max(one.facts["seconds"] for one in kept.values())
    # Where anything was lacking the teacher ran after all, and what it gave again was no more work.
    saved = 0.0 if lacking else seconds
    if saved:
        say(f"The teacher's answers to {len(rows)} rows are in the cache: {saved:.1f} seconds saved.")
    starts = np.concatenate([[0], np.cumsum(lengths)])
    arrays = {name: np.load(one.folder / VALUES, mmap_mode="r", allow_pickle=False) for name, one in kept.items()}
    return Answers(
        logits=arrays[LOGITS],
        features={name: ByToken(arrays[name], starts) for name in wanted.names()},
        seconds=seconds,
        seconds_saved=saved,
    )


def bytes_needed(rows: Any, wanted: FeatureSpec, width: int) -> int:
    """What the features of all rows take on disk, for a teacher of that hidden width."""
    return int(row_lengths(rows).sum()) * len(wanted.names()) * width * 2


def _row_hashes(rows: Any) -> np.ndarray:
    """A hash of what the model reads of each row, [rows]: equal rows of another data set are another key's, by order."""
    names = [name for name in ("input_ids", "token_type_ids") if name in rows.column_names]
    found = np.empty(len(rows), dtype=np.uint64)
    place = 0
    for batch in rows.iter(1000):
        for columns in zip(*(batch[name] for name in names), strict=True):
            value = hashlib.blake2b(digest_size=8)
            for ids in columns:
                value.update(np.asarray(ids, dtype=np.int32).tobytes())
            found[place] = int.from_bytes(value.digest(), "little")
            place += 1
    return found


def _opened(folder: Path, names: list[str]) -> dict[str, Entry]:
    """Those of the names that are in the cache: one pass may make several entries, and later ones are added."""
    found = {name: opened(folder / name) for name in names}
    return {name: one for name, one in found.items() if one is not None}


def opened_teacher(teacher: Artifact) -> Any:
    """The teacher's model; one that is stored in fp16 computes in fp32, since fp16 overflows and is slow on a CPU."""
    import torch

    model = load(teacher)
    return model.float() if model.dtype == torch.float16 else model


def _compute(
    teacher: Any,
    rows: Any,
    its_tokenizer: Any,
    lengths: np.ndarray,
    wanted: FeatureSpec,
    names: list[str],
    folder: Path,
    *,
    bf16: bool,
) -> None:
    import torch

    started = time.perf_counter()
    model = opened_teacher(teacher)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    answered = answer_starts(rows)
    arrays: dict[str, np.ndarray] = {}

    with ExitStack() as stack:
        work = {name: stack.enter_context(making(folder / name)) for name in names}

        def keep(name: str, places: Any, values: np.ndarray) -> None:
            if name not in arrays:
                shape = (int(answered[-1]) if name == LOGITS else int(starts[-1]), values.shape[1])
                arrays[name] = allocated(work[name].folder / VALUES, np.float16, shape)
            arrays[name][places] = values

        found = stack.enter_context(capture(model, wanted))
        stack.enter_context(torch.inference_mode())
        stack.enter_context(torch.autocast(device, torch.bfloat16, enabled=bf16))
        running = stack.enter_context(bar("teacher", len(rows)))
        for places, batch in by_length(rows, its_tokenizer, BATCH):
            inputs = {name: value.to(device) for name, value in batch.items() if name not in TARGETS}
            logits = flat(model(**inputs).logits, batch)
            mask = batch["attention_mask"].bool()
            of_tokens = np.concatenate([np.arange(starts[place], starts[place + 1]) for place in places])
            for name in names:
                if name == LOGITS:
                    keep(name, answer_places(places, answered), _narrowed(logits, name))
                else:
                    keep(name, of_tokens, _narrowed(found[name][mask.to(device)], name))
            running.advance(len(places))
        seconds = round(time.perf_counter() - started, 3)
        for name in names:
            arrays[name].flush()  # type: ignore[attr-defined]  # numpy.memmap's
            work[name].facts["seconds"] = seconds  # one pass makes them all


def _narrowed(value: Any, name: str) -> np.ndarray:
    """In 16 bits; half precision, whose rounding of 0.05 % is finer than that of bf16."""
    import torch

    narrow = value.float().cpu().numpy()
    largest = float(np.abs(narrow).max(initial=0.0))
    if not largest <= torch.finfo(torch.float16).max:
        raise CompressError(
            f"The teacher's {name} reaches {largest:g}, which 16 bits do not hold. "
            "Let the teacher run at each step: --teacher-cache-gb 0."
        )
    return narrow.astype(np.float16)
