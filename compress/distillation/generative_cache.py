"""What generative teachers give for all rows, cached: next-token distributions, and the features of the first one's layers.

They lie in the cache in 16 bits, under a hash of the teachers, the rows and how they were computed. They take hours, so each
kind is one entry, and a stopped run goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import digest
from compress.core.cache import entry
from compress.core.labels import LABELS, NO_LABEL
from compress.core.progress import say
from compress.data.collate import ByToken, Collate, batches_by_length
from compress.distillation.counted_rows import CountedRows, starts
from compress.distillation.features import FeatureSpec, Side, capture, side_of
from compress.distillation.teacher import Teacher
from compress.distillation.teacher_cache import Outputs, narrowed, tokens_with_features
from compress.distillation.token_distributions import PREFIX, mixed, top_k
from compress.models import forward
from compress.training.kept_outputs import Table, write_outputs
from compress.training.train import wants_bf16

TEXTS = 16
"""Rows that a teacher is asked for at once."""
KEPT = {"log_probabilities": np.float16, "ids": np.int32, "rest": np.float16}
"""What is kept of each next token. The rounding of a log-probability is 0.05 % of it."""


def next_tokens(
    teachers: Sequence[Teacher],
    rows: CountedRows,
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
        teachers: encoder-decoders or decoders with one vocabulary; they are opened only if the cache has nothing of them.
        rows: tokenized rows; without `labels` their `input_ids` are the labels.
        its_collate: makes a batch of them, with labels.
        k: how many tokens are kept; no more than the vocabulary has.
        temperature: that of the distributions.
        precision: `auto`, `fp32` or `bf16`, as for training.
        cache: the folder for content-keyed results.
        weights: one a teacher.
    """
    import torch

    autocast = "bf16" if wants_bf16(precision) else "fp32"
    key = digest([*_whose(teachers, weights), rows.hash_of_texts, k, temperature, autocast])
    lines = starts(rows.predicted)

    def make(work: Path) -> Mapping[str, Any]:
        models = torch.nn.ModuleList([teacher.model for teacher in teachers])

        def batch_of(places: list[int]) -> Mapping[str, Any]:
            return its_collate([rows.rows[place] for place in places], its_tokenizer, {})

        def ask(batch: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
            each = [forward.answers(model, batch).values for model in models]
            found = top_k(mixed(each, weights, temperature), k, temperature)
            return {name: getattr(found, name).cpu().numpy() for name in KEPT}

        tables = {name: Table(work / f"{name}.npy", lines, dtype) for name, dtype in KEPT.items()}
        batches = batches_by_length(rows.cost, TEXTS)
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
        {f"{PREFIX}{name}": ByToken(array, lines, of_labels=True) for name, array in arrays.items()},
        seconds=seconds,
        seconds_saved=0.0 if kept.is_new else seconds,
    )


def layer_features(
    teacher: Teacher,
    rows: CountedRows,
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
        teacher: an encoder-decoder or a decoder; it is opened only if the cache has nothing of it.
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
    autocast = "bf16" if wants_bf16(precision) else "fp32"
    names = {side_of(name, side): side for side, wanted in features.items() for name in wanted.names()}
    key = digest([*_whose([teacher], ()), rows.hash_of_texts, list(names), autocast])
    lines = {side: starts(tokens_with_features(rows, side)) for side in features}

    def make(work: Path) -> Mapping[str, Any]:
        model = teacher.model

        def batch_of(places: list[int]) -> Mapping[str, Any]:
            return its_collate([rows.rows[place] for place in places], its_tokenizer, {})

        def ask(batch: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
            forward.answers(model, batch)
            values = {side_of(name, side): value for side in found for name, value in found[side].items()}
            read, written = batch["attention_mask"].bool(), batch[LABELS] != NO_LABEL
            places = {name: written if side == "decoder" else read for name, side in names.items()}
            return {name: narrowed(values[name][places[name]], name) for name in names}

        tables = {name: Table(work / f"{name}.npy", lines[side]) for name, side in names.items()}
        batches = batches_by_length(rows.cost, TEXTS)
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
        extras[name] = ByToken(values, lines[side], of_labels=side == "decoder")
    return Outputs({}, extras, seconds=seconds, seconds_saved=0.0 if kept.is_new else seconds)


def bytes_of_tokens(rows: CountedRows, k: int) -> int:
    """The bytes on disk of the next-token distributions of all rows."""
    return int(rows.predicted.sum()) * (6 * k + 2)


def _whose(teachers: Sequence[Teacher], weights: Sequence[float]) -> list[Any]:
    """What identifies the teachers in a key; of a single one there is no weight."""
    each = [one.identity for one in teachers]
    if len(each) == 1:
        return each[0]
    return [[*one, weight / sum(weights)] for one, weight in zip(each, weights, strict=True)]
