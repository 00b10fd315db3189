"""What generative teachers give for all rows, cached: next-token distributions, and the features of the first one's layers.

They lie in the cache in 16 bits, under a hash of the teachers, the rows and how they were computed. They take hours, so each
kind is one entry, and a stopped run goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import Artifact, digest
from compress.core.cache import entry
from compress.core.labels import LABELS, NO_LABEL
from compress.core.progress import say
from compress.data.collate import ByToken, Collate, batches_by_length, row_lengths, step_lengths
from compress.distillation.features import FeatureSpec, Side, capture, side_of
from compress.distillation.teacher_cache import Outputs, narrowed
from compress.distillation.token_distributions import PREFIX, mixed, top_k
from compress.models import forward
from compress.models.load import load
from compress.training.kept_outputs import Table, write_outputs
from compress.training.train import wants_bf16

TEXTS = 16
"""Rows that a teacher is asked for at once."""
KEPT = {"log_probabilities": np.float16, "ids": np.int32, "rest": np.float16}
"""What is kept of each next token. The rounding of a log-probability is 0.05 % of it."""


def next_tokens(
    teachers: Sequence[Artifact],
    rows: Any,
    its_tokenizer: Any,
    its_collate: Collate,
    *,
    k: int,
    temperature: float,
    precision: str,
    cache: Path,
    weights: Sequence[float] = (1.0,),
) -> Outputs:
    """The k tokens that are most likely at each label that counts, and the probability of all others: read from the cache, or
    computed.

    Of several teachers the weighted mean of their softened distributions is kept, for which each runs once in the same pass.

    Args:
        teachers: the torch artifacts of encoder-decoders or decoders with one vocabulary.
        rows: tokenized rows; without `labels` their `input_ids` are the labels.
        its_collate: makes a batch of them, with labels.
        k: how many tokens are kept; no more than the vocabulary has.
        temperature: that of the distributions.
        precision: `auto`, `fp32` or `bf16`, as for training.
        cache: the folder for content-keyed results.
        weights: one a teacher.
    """
    import torch

    counts, content = _counted(rows)
    autocast = "bf16" if wants_bf16(precision) else "fp32"
    key = digest([*_whose(teachers, weights), content, k, temperature, autocast])
    starts = np.concatenate([[0], np.cumsum(counts)])

    def make(work: Path) -> Mapping[str, Any]:
        models = torch.nn.ModuleList([load(teacher).float() for teacher in teachers])

        def batch_of(places: list[int]) -> Mapping[str, Any]:
            return its_collate([rows[place] for place in places], its_tokenizer, {})

        def ask(batch: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
            each = [forward.answers(model, batch).values for model in models]
            found = top_k(mixed(each, weights, temperature), k, temperature)
            return {name: getattr(found, name).cpu().numpy() for name in KEPT}

        tables = {name: Table(work / f"{name}.npy", starts, dtype) for name, dtype in KEPT.items()}
        batches = batches_by_length(step_lengths(rows), TEXTS)
        bf16 = autocast == "bf16"
        return {
            "seconds": write_outputs(models, batches, batch_of, ask, tables, name="teacher", bf16=bf16, resumes=work)
        }

    kept = entry(cache / "teacher-tokens" / key, make, resumes=True)
    seconds = float(kept.facts["seconds"])
    if not kept.is_new:
        say(f"The teacher's next tokens for {len(rows)} rows are in the cache: {seconds:.1f} seconds saved.")
    arrays = {name: np.load(kept.folder / f"{name}.npy", mmap_mode="r") for name in KEPT}
    return Outputs(
        {},
        {f"{PREFIX}{name}": ByToken(array, starts, of_labels=True) for name, array in arrays.items()},
        seconds=seconds,
        seconds_saved=0.0 if kept.is_new else seconds,
    )


def layer_features(
    teacher: Artifact,
    rows: Any,
    its_tokenizer: Any,
    its_collate: Collate,
    features: Mapping[Side, FeatureSpec],
    *,
    precision: str,
    cache: Path,
) -> Outputs:
    """The features of a generative teacher's layers: read from the cache, or computed.

    Those of an encoder-decoder's decoder are kept at each label that counts, all others at each token that is read.

    Args:
        teacher: the torch artifact of an encoder-decoder or a decoder.
        rows: tokenized rows, as of `next_tokens`.
        its_collate: makes a batch of them, with labels.
        features: which ones of each side.
        precision: `auto`, `fp32` or `bf16`, as for training.
        cache: the folder for content-keyed results.

    Returns:
        `extras` by the features' names, that of their side in front.

    Raises:
        CompressError: a feature does not fit into 16 bits, or the disk is full.
    """
    counts, content = _counted(rows)
    autocast = "bf16" if wants_bf16(precision) else "fp32"
    names = {side_of(name, side): side for side, wanted in features.items() for name in wanted.names()}
    key = digest([*_whose([teacher], ()), content, list(names), autocast])
    starts = {
        side: np.concatenate([[0], np.cumsum(counts if side == "decoder" else row_lengths(rows))]) for side in features
    }

    def make(work: Path) -> Mapping[str, Any]:
        model = load(teacher).float()

        def batch_of(places: list[int]) -> Mapping[str, Any]:
            return its_collate([rows[place] for place in places], its_tokenizer, {})

        def ask(batch: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
            forward.answers(model, batch)
            values = {side_of(name, side): value for side in found for name, value in found[side].items()}
            read, written = batch["attention_mask"].bool(), batch[LABELS] != NO_LABEL
            places = {name: written if side == "decoder" else read for name, side in names.items()}
            return {name: narrowed(values[name][places[name]], name) for name in names}

        tables = {name: Table(work / f"{name}.npy", starts[side]) for name, side in names.items()}
        batches = batches_by_length(step_lengths(rows), TEXTS)
        with ExitStack() as hooks:
            found = {side: hooks.enter_context(capture(model, wanted, side)) for side, wanted in features.items()}
            bf16 = autocast == "bf16"
            return {
                "seconds": write_outputs(
                    model, batches, batch_of, ask, tables, name="teacher's layers", bf16=bf16, resumes=work
                )
            }

    kept = entry(cache / "teacher-features" / key, make, resumes=True)
    seconds = float(kept.facts["seconds"])
    if not kept.is_new:
        say(f"The features of the teacher's layers for {len(rows)} rows are in the cache: {seconds:.1f} seconds saved.")
    extras = {}
    for name, side in names.items():
        values = np.load(kept.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        extras[name] = ByToken(values, starts[side], of_labels=side == "decoder")
    return Outputs({}, extras, seconds=seconds, seconds_saved=0.0 if kept.is_new else seconds)


def bytes_of_tokens(rows: Any, k: int) -> int:
    """The bytes on disk of the next-token distributions of all rows."""
    counts, _ = _counted(rows)
    return int(counts.sum()) * (6 * k + 2)


def bytes_of_layer_features(rows: Any, features: Mapping[Side, FeatureSpec], config: Any) -> int:
    """The bytes on disk of the features of all rows, for a teacher with this config."""
    counts, _ = _counted(rows)
    tokens = {side: int((counts if side == "decoder" else row_lengths(rows)).sum()) for side in features}
    return sum(tokens[side] * wanted.width(config, side) * 2 for side, wanted in features.items())


def _whose(teachers: Sequence[Artifact], weights: Sequence[float]) -> list[Any]:
    """What identifies the teachers in a key; of a single one there is no weight."""
    each = [[one.fingerprint(), digest(one.files)] for one in teachers]
    if len(each) == 1:
        return each[0]
    return [[*one, weight / sum(weights)] for one, weight in zip(each, weights, strict=True)]


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
