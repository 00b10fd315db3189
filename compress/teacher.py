"""The teacher's forward pass, done once: its logits are kept on disk by content and serve every epoch, step and seed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.artifact import digest, is_main_process, wait_until
from compress.batching import collate, row_lengths
from compress.models import load
from compress.progress import bar, say
from compress.training import wants_bf16

BATCH = 64


@dataclass(frozen=True)
class TeacherLogits:
    """The teacher's logits for a tokenized split, and what they cost."""

    logits: np.ndarray
    """[rows, labels], float32, memory-mapped, in the rows' order."""
    seconds: float
    """What computing them took, whenever that was."""
    reused: bool


def teacher_logits(
    teacher: Any,
    rows: Any,
    its_tokenizer: Any,
    *,
    max_length: int,
    precision: str,
    identity: Mapping[str, Any],
    cache: Path,
) -> TeacherLogits:
    """The logits of a teacher for all rows: read from the cache, or computed in batches sorted by length.

    Args:
        teacher: the torch artifact of the teacher.
        rows: tokenized rows.
        precision: `auto`, `fp32` or `bf16`, as for training.
        identity: what the rows are (files' hashes, split): a change of data or teacher is another key.
        cache: the folder for content-keyed results.
    """
    autocast = "bf16" if wants_bf16(precision) else "fp32"
    # The rows' own fingerprint is a hash over their text, the tokenizer and the greatest length.
    key = digest([teacher.fingerprint(), digest(teacher.files), identity, max_length, rows._fingerprint, autocast])
    folder = cache / "teacher-logits" / key
    file, took = folder / "logits.npy", folder / "seconds.txt"
    if not is_main_process():
        wait_until(lambda: file.is_file(), "the first process to compute the teacher's logits")
    if file.is_file() and took.is_file():
        found = np.load(file, mmap_mode="r", allow_pickle=False)
        if len(found) == len(rows):
            say(f"The teacher's logits for {len(rows)} rows are in the cache: {took.read_text()} seconds saved.")
            return TeacherLogits(found, float(took.read_text()), reused=True)
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    partial = folder / "logits.npy.partial"
    _compute(load(teacher), rows, its_tokenizer, partial, bf16=autocast == "bf16")
    seconds = round(time.perf_counter() - started, 1)
    took.write_text(str(seconds))
    partial.replace(file)
    return TeacherLogits(np.load(file, mmap_mode="r", allow_pickle=False), seconds, reused=False)


def _compute(model: Any, rows: Any, its_tokenizer: Any, target: Path, *, bf16: bool) -> None:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    order = np.argsort(-row_lengths(rows), kind="stable")
    shape = (len(rows), model.config.num_labels)
    logits = np.lib.format.open_memmap(target, mode="w+", dtype=np.float32, shape=shape)
    with (
        torch.inference_mode(),
        torch.autocast(device, torch.bfloat16, enabled=bf16),
        bar("teacher", len(rows)) as running,
    ):
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH].tolist()
            batch = collate([rows[place] for place in places], its_tokenizer, {})
            batch.pop("labels")
            found = model(**{name: value.to(device) for name, value in batch.items()}).logits
            logits[places] = found.float().cpu().numpy()
            running.advance(len(places))
    logits.flush()
