"""The teacher's distribution after each token of the references, asked once: its k likeliest tokens, and what the rest have.

They lie in the cache, memory-mapped, under a hash of the teacher, the token ids and how they were computed. A run that is stopped
goes on behind the last part that was written. How much the coarsening changes a loss is measured on some of the
rows, against the teacher's whole distributions.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from compress.core.artifact import Artifact, digest, write_whole
from compress.core.cache import entry
from compress.core.disk import allocated, take_room
from compress.core.labels import NO_LABEL
from compress.core.progress import bar, say
from compress.data.collate import ByToken, Collate, step_lengths
from compress.distillation import laws
from compress.distillation.loss_config import LossConfig
from compress.distillation.token_distributions import PREFIX, in_batch, mass, top_k, whole
from compress.models.forward import answers as next_tokens
from compress.models.load import load
from compress.training.train import wants_bf16

BATCH = 16
WRITE_SECONDS = 20.0
"""How often what was computed is written through, so that it need not be computed again."""
PARTS = "parts.json"
"""While the entry is being made: how far it is, and the hash of each part."""
SAMPLE = 64
"""Rows on which the error is measured."""
KEPT = {"log_probabilities": np.float16, "ids": np.int32, "rest": np.float16}
"""What is kept of each token. The rounding of a log-probability is 0.05 % of it."""


@dataclass(frozen=True)
class TokenAnswers:
    """What a teacher says after each token of tokenized rows, and what that cost."""

    extras: Mapping[str, ByToken]
    """By the names that a batch has them under: log-probabilities [tokens, k], ids [tokens, k] and the rest [tokens]."""
    seconds: float = 0.0
    """What computing them took, whenever that was."""
    seconds_saved: float = 0.0
    """How much of that was not spent now, since it lay in the cache."""


def token_answers(
    teacher: Artifact,
    rows: Any,
    its_tokenizer: Any,
    its_collate: Collate,
    *,
    k: int,
    temperature: float,
    precision: str,
    cache: Path,
) -> TokenAnswers:
    """A teacher's next-token distributions for all rows: read from the cache, or computed.

    Args:
        teacher: the torch artifact of an encoder-decoder or a decoder.
        rows: tokenized rows; without `labels` their `input_ids` are the labels.
        its_collate: makes a batch of them, with labels.
        k: how many tokens are kept; no more than the vocabulary has.
        temperature: that of the distributions.
        precision: `auto`, `fp32` or `bf16`, as for training.
        cache: the folder for content-keyed results.
    """
    counts, content = _counted(rows)
    autocast = "bf16" if wants_bf16(precision) else "fp32"
    key = digest([teacher.fingerprint(), digest(teacher.files), content, k, temperature, autocast])
    folder = cache / "teacher-tokens" / key
    starts = np.concatenate([[0], np.cumsum(counts)])

    def make(work: Path) -> Mapping[str, Any]:
        model = load(teacher).float()
        bf16 = autocast == "bf16"
        return {"seconds": _compute(model, rows, its_tokenizer, its_collate, starts, k, temperature, work, bf16=bf16)}

    kept = entry(folder, make, resumes=True)
    seconds = float(kept.facts["seconds"])
    if not kept.is_new:
        say(f"The teacher's next tokens for {len(rows)} rows are in the cache: {seconds:.1f} seconds saved.")
    return TokenAnswers(
        {
            f"{PREFIX}{name}": ByToken(np.load(_file(kept.folder, name), mmap_mode="r"), starts, of_labels=True)
            for name in KEPT
        },
        seconds=seconds,
        seconds_saved=0.0 if kept.is_new else seconds,
    )


def bytes_needed(rows: Any, k: int) -> int:
    """What the answers for all rows take on disk."""
    counts, _ = _counted(rows)
    return int(counts.sum()) * (6 * k + 2)


def coarsening_error(
    student: Any,
    teacher: Any,
    rows: Any,
    its_tokenizer: Any,
    its_collate: Collate,
    kept: Mapping[str, ByToken],
    config: LossConfig,
) -> dict[str, Any]:
    """What is lost of the student's loss by what is kept of the teacher's distributions, on some of the rows.

    Args:
        student, teacher: bare models of one vocabulary; left as they were.
        rows: tokenized training rows, evenly spaced ones of which are taken.
        kept: `TokenAnswers.extras` of these rows.
        config: tells the temperature and the divergence.

    Returns:
        `rows` and `tokens`: how many; `whole` and `kept`: the divergence of the whole distributions and of the coarsened and
        rounded ones, the mean over tokens, then rows, without the factor T^2; `mass`: the least and the mean share that the
        kept tokens have of the teacher's distribution.
    """
    places = np.unique(np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(int)).tolist()
    temperature = config.temperature.start
    found: dict[str, float] = {"whole": 0.0, "kept": 0.0}
    shares = []
    modes = [(model, model.training) for model in (student, teacher)]
    device = next(student.parameters()).device
    teacher.to(device)
    with torch.no_grad():
        for model, _ in modes:
            model.eval()
        for start in range(0, len(places), BATCH):
            some = places[start : start + BATCH]
            batch = _batch(rows, some, its_tokenizer, its_collate, kept)
            batch = {name: value.to(device) for name, value in batch.items()}
            ours, theirs = next_tokens(student, batch), next_tokens(teacher, batch).values
            targets = in_batch(batch, shifted=not student.config.is_encoder_decoder)
            for name, one in (("whole", whole(theirs, temperature)), ("kept", targets)):
                value = laws.next_tokens(ours, one, temperature, config.divergence, config.beta) / temperature**2
                found[name] += float(value) * len(some) / len(places)
            shares.append(mass(targets))
    for model, mode in modes:
        model.train(mode)
    share = torch.cat(shares)
    return {
        "rows": len(places),
        "tokens": len(share),
        **{name: round(value, 6) for name, value in found.items()},
        "mass": {"least": round(float(share.min()), 6), "mean": round(float(share.mean()), 6)},
    }


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def _counted(rows: Any) -> tuple[np.ndarray, str]:
    """How many tokens of each row are predicted and count, [rows], and a hash of all that the models read and write."""
    counts = np.empty(len(rows), np.int64)
    content = hashlib.sha256()
    is_decoders = "labels" not in rows.column_names or "prompt" in rows.column_names
    place = 0
    for batch in rows.iter(1000):
        for ids, labels in zip(batch["input_ids"], batch.get("labels", batch["input_ids"]), strict=True):
            for one in (ids, labels):
                content.update(np.asarray([len(one), *one], np.int32).tobytes())
            counts[place] = sum(token != NO_LABEL for token in labels[1 if is_decoders else 0 :])
            place += 1
    return counts, content.hexdigest()


def _batch(rows: Any, places: list[int], its_tokenizer: Any, its_collate: Collate, kept: Any) -> dict[str, Any]:
    return its_collate([{**rows[place], "place": place} for place in places], its_tokenizer, kept)


def _compute(
    model: Any,
    rows: Any,
    its_tokenizer: Any,
    its_collate: Collate,
    starts: np.ndarray,
    k: int,
    temperature: float,
    folder: Path,
    *,
    bf16: bool,
) -> float:
    """Write the files in batches of like length, behind the parts of them that are there; returns the seconds of all parts."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    k = min(k, int(model.config.vocab_size))
    order = np.argsort(-step_lengths(rows), kind="stable")
    batches = [order[start : start + BATCH].tolist() for start in range(0, len(order), BATCH)]

    def tokens(places: Iterable[int]) -> np.ndarray:
        return np.concatenate([np.arange(starts[place], starts[place + 1]) for place in places])

    shapes = {name: (int(starts[-1]),) if name == "rest" else (int(starts[-1]), k) for name in KEPT}
    arrays, parts = _resumed(folder, shapes, [tokens(places) for places in batches])
    if arrays is None:
        arrays = {name: allocated(_file(folder, name), KEPT[name], shape) for name, shape in shapes.items()}
    done, before = (parts[-1]["batches"], parts[-1]["seconds"]) if parts else (0, 0.0)
    fresh: list[np.ndarray] = []
    began = written = time.perf_counter()

    with (
        torch.inference_mode(),
        torch.autocast(device, torch.bfloat16, enabled=bf16),
        bar("teacher", len(batches), done) as running,
    ):
        for number, places in enumerate(batches[done:], done + 1):
            batch = {
                name: value.to(device) for name, value in _batch(rows, places, its_tokenizer, its_collate, {}).items()
            }
            logits = next_tokens(model, batch).values
            found = top_k(logits, k, temperature)
            fresh.append(tokens(places))
            for name, array in arrays.items():
                array[fresh[-1]] = getattr(found, name).cpu().numpy()
            running.advance(1)
            if time.perf_counter() - written > WRITE_SECONDS:
                for array in arrays.values():
                    array.flush()
                seconds = round(before + time.perf_counter() - began, 3)
                parts.append({"batches": number, "seconds": seconds, "hash": _hash(arrays, fresh)})
                write_whole(folder / PARTS, json.dumps(parts))
                fresh, written = [], time.perf_counter()
    for array in arrays.values():
        array.flush()
    (folder / PARTS).unlink(missing_ok=True)
    return round(before + time.perf_counter() - began, 3)


def _resumed(
    folder: Path, shapes: Mapping[str, tuple[int, ...]], tokens: list[np.ndarray]
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The arrays that a stopped run left, and its first parts that are as they were written; None where there are none.

    Args:
        tokens: of each batch, in the order in which they are asked.
    """
    whole: list[dict[str, Any]] = []
    try:
        parts = json.loads((folder / PARTS).read_text(encoding="utf-8"))
        arrays = {name: np.load(_file(folder, name), mmap_mode="r+", allow_pickle=False) for name in KEPT}
        if any(array.shape != shapes[name] or array.dtype != KEPT[name] for name, array in arrays.items()):
            return None, []
        for name in KEPT:
            take_room(_file(folder, name))  # a file that was cut short is as long again, but with a hole
        for part in parts:
            done = whole[-1]["batches"] if whole else 0
            if part["hash"] != _hash(arrays, tokens[done : part["batches"]]):
                break
            whole.append(part)
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return None, []
    return arrays, whole


def _hash(arrays: Mapping[str, Any], tokens: list[np.ndarray]) -> str:
    """Of what the arrays have at some tokens."""
    found = hashlib.sha256()
    for places in tokens:
        for name in sorted(arrays):
            found.update(arrays[name][places].tobytes())
    return found.hexdigest()
