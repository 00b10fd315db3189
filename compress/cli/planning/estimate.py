"""Estimates what steps will take before they run: rows, training steps, minutes and disk.

A few training steps of the model are timed on this machine; everything else is computed from them. What is not known
beforehand (texts that are generated, searches) is left out, and said to be.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from compress.core.artifact import Artifact, finished
from compress.core.errors import CompressError
from compress.core.time_left import about
from compress.tasks.task import DescribedTask

BATCH, TIMED = 8, 2
"""Rows of a timed training step, and how many of them are timed after one that is not."""
FORWARD = 1 / 3
"""The share of a training step that a forward pass takes: the backward pass takes twice as long."""
START_SECONDS = 8.0
"""Opening and writing a model, of each step."""
GRAPH_SECONDS_PER_MB = 0.15
"""Exporting, rewriting and checking a graph, for each MB of fp32 weights."""
SHARE_OF_BYTES = {"int8": 0.26, "int4": 0.2, "nf4": 0.2, "fp16": 0.5, "bf16": 0.5}
"""Bytes relative to fp32; int4 keeps embeddings in more bits."""
TRAINING_BYTES = 12
"""For each parameter of a model in training, on disk: the checkpoint's weights and AdamW's two moments, in fp32."""


@dataclass(frozen=True)
class Planned:
    """A step whose cost is to be estimated."""

    name: str
    technique: str
    settings: Any
    expected: Artifact
    source: str | None = None
    """The planned step that it starts from; None for a model that is there."""


@dataclass(frozen=True)
class StepEstimate:
    """What one step will take; None where it is not known."""

    name: str
    technique: str
    training_rows: int | None
    training_steps: int | None
    minutes: float | None
    megabytes: float
    done: bool = False
    """Whether it is finished already, and will be reused."""


@dataclass(frozen=True)
class Estimate:
    """What a run will take, as far as it is known."""

    steps: tuple[StepEstimate, ...]
    measuring_minutes: float | None
    minutes: float
    megabytes: float
    """On disk at most, checkpoints included, which are removed after each step."""
    basis: str
    not_counted: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """As a JSON dictionary."""
        return dataclasses.asdict(self)

    def lines(self) -> list[str]:
        """The estimate in words, a line a step and one for all."""
        found = []
        for one in self.steps:
            if one.done:
                found.append(f"  {one.name}: finished already")
                continue
            parts = []
            if one.training_steps is not None and one.training_rows is not None:
                parts.append(f"{one.training_rows:,} rows, {one.training_steps:,} training steps")
            parts.append("time unknown" if one.minutes is None else about(one.minutes * 60))
            found.append(f"  {one.name}: {', '.join(parts)}, {one.megabytes:.0f} MB")
        if self.measuring_minutes is not None:
            found.append(f"  measuring: {about(self.measuring_minutes * 60)}")
        left_out = f" Not counted: {', '.join(self.not_counted)}." if self.not_counted else ""
        found.append(
            f"Estimate: {about(self.minutes * 60)}, {self.megabytes:.0f} MB of disk at most. {self.basis}{left_out}"
        )
        return found


def estimated(
    model: Artifact,
    steps: Sequence[Planned],
    task: DescribedTask | None,
    *,
    tokens: float | None = None,
    suite: Any = None,
) -> Estimate:
    """What the steps will take on this machine.

    Args:
        model: where they start; it is opened, and a few training steps of it are timed.
        tokens: the mean length of a row; None: it is read from some rows of the task.
        suite: how the results are measured; None: they are not.

    Raises:
        CompressError: the data cannot be read.
    """
    rows = _rows(task, "train")
    trains = any(_epochs(one.settings) for one in steps if not _done(one))
    long = tokens or _tokens(model, task)
    timed = _timed(model, task, long) if (trains or suite is not None) else None
    fp32 = _parameters(model) * 4 if timed is None else timed.parameters * 4
    shares: dict[str | None, float] = {None: 1.0}
    found: list[StepEstimate] = []
    temporary = 0.0
    for one in steps:
        shares[one.name] = share = shares.get(one.source, 1.0) * _kept(one, model)
        size = fp32 * share * SHARE_OF_BYTES.get(one.expected.precision, 1.0)
        if _done(one):
            found.append(StepEstimate(one.name, one.technique, None, None, 0.0, _megabytes(one.expected), True))
            continue
        epochs = _epochs(one.settings)
        count, cost, read = None, START_SECONDS, rows
        if epochs and rows:
            read = rows + _further_rows(one.settings, task, rows)
            batch = one.settings.batch_size * one.settings.gradient_accumulation_steps
            count = max(1, math.ceil(read * epochs / batch))
            temporary = max(temporary, 2 * TRAINING_BYTES * fp32 / 4 * share)
            if timed is not None:
                cost += count * batch * timed.seconds_per_row * share
                if one.technique == "distill":  # the teacher's answers are computed once
                    cost += read * timed.seconds_per_row * FORWARD * shares.get(one.source, 1.0)
        if one.expected.format == "onnx":
            cost += GRAPH_SECONDS_PER_MB * fp32 * share / 1e6
        unknown = epochs and timed is None
        found.append(
            StepEstimate(
                one.name, one.technique, read if epochs else None, count, None if unknown else cost / 60, size / 1e6
            )
        )
    measuring = None if suite is None or timed is None else _measuring(suite, len(steps) + 2, task, timed, long) / 60
    generates = task is not None and task.task.is_generative
    return Estimate(
        steps=tuple(found),
        measuring_minutes=measuring,
        minutes=sum(one.minutes or 0 for one in found) + (measuring or 0),
        megabytes=sum(one.megabytes for one in found if not one.done) + temporary / 1e6,
        basis="Not timed: nothing of this trains." if timed is None else timed.basis,
        not_counted=("texts that are generated to be scored",) if generates and (trains or suite is not None) else (),
    )


@dataclass(frozen=True)
class _Timed:
    seconds_per_row: float
    """Of a training step."""
    parameters: int
    basis: str


def _timed(model: Artifact, task: DescribedTask | None, tokens: float) -> _Timed | None:
    """Some training steps of the model, timed; None where it cannot be opened alone."""
    import torch

    from compress.models import load as models

    try:
        if task is not None and not task.task.is_generative:
            opened = models.for_task(model.folder, task.task, seed=0).float()
        else:
            opened = models.load(model).float()
    except CompressError:
        return None
    opened.train()
    length = max(4, round(tokens))
    ids = torch.randint(0, min(opened.config.vocab_size, 1000), (BATCH, length))
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if opened.config.is_encoder_decoder:
        given["labels"] = ids[:, : max(4, length // 4)]
    seconds = []
    for _ in range(1 + TIMED):
        began = time.perf_counter()
        opened(**given).logits.float().square().mean().backward()
        opened.zero_grad()
        seconds.append(time.perf_counter() - began)
    per_row = sum(seconds[1:]) / TIMED / BATCH
    parameters = sum(one.numel() for one in opened.parameters())
    return _Timed(
        per_row,
        parameters,
        f"Based on {TIMED} training steps of {BATCH} rows of {length} tokens, timed here ({per_row * 1000:.1f} ms a row); "
        "the true time can be half or twice that.",
    )


def _measuring(suite: Any, models: int, task: DescribedTask | None, timed: _Timed, tokens: float) -> float:
    """Seconds: every artifact reads the evaluation rows once, and each condition's calls in each round."""
    forward = timed.seconds_per_row * FORWARD
    rows = _rows(task, "evaluation") or 0
    plan = suite.for_generation() if task is not None and task.task.is_generative else suite
    calls = 0.0
    for one in plan.conditions:
        length = tokens if one.length == "real" else float(one.length)
        calls += one.calls * one.batch * forward * length / max(tokens, 1)
    return models * (START_SECONDS + rows * forward + plan.rounds * calls)


def _rows(task: DescribedTask | None, split: str) -> int | None:
    if task is None:
        return None
    from compress.data import loading

    return len(loading.load(task.task, task.data, split).rows)


def _further_rows(settings: Any, task: DescribedTask | None, rows: int) -> int:
    """The unlabelled and augmented rows that a student also learns from, at most: some of them may be left out."""
    from compress.data import unlabelled

    where = getattr(settings, "unlabelled_data", None)
    text = unlabelled.path_of(where, task.task) if where and task is not None else None
    texts = (
        0 if text is None or task is None else sum(1 for _ in unlabelled.read(task.task, text, unlabelled.Skipped()))
    )
    return texts + round(getattr(settings, "augment", 0) * rows)


def _tokens(model: Artifact, task: DescribedTask | None) -> float:
    """The mean tokens of the first training rows."""
    if task is None:
        return 64.0
    from compress.data import loading
    from compress.models.tokenizing import tokenizer

    some = loading.load(task.task, task.data, "train").rows[:200]
    texts = [one if isinstance(one, str) else " ".join(one) for one in some["text"]]
    pairs = some.get("text_pair")
    lengths = [len(one) for one in tokenizer(model.folder)(texts, pairs, truncation=True, max_length=512)["input_ids"]]
    return sum(lengths) / max(len(lengths), 1)


def _megabytes(expected: Artifact) -> float:
    """What a finished step takes on disk; nothing where its files are gone, since a plan can be read without them."""
    from compress.measure.size import disk_bytes

    try:
        return disk_bytes(Artifact.open(expected.folder, verify=False)) / 1e6
    except (CompressError, OSError):
        return 0.0


def _parameters(model: Artifact) -> float:
    from compress.measure.size import disk_bytes

    return disk_bytes(model) / (2 if model.precision in ("fp16", "bf16") else 4)


def _kept(step: Planned, model: Artifact) -> float:
    """The share of its source that a step keeps."""
    ratio = getattr(step.settings, "target_ratio", None)
    if isinstance(ratio, float):
        return ratio
    from compress.models.layers import layer_count
    from compress.models.pretrained import config

    shares = []
    for setting, side in (("layers", "decoder"), ("encoder_layers", "encoder"), ("decoder_layers", "decoder")):
        wanted = getattr(step.settings, setting, None)
        if wanted is None:
            continue
        try:
            total = layer_count(config(model.folder), side)
        except (CompressError, AttributeError):
            continue
        shares.append((wanted if isinstance(wanted, int) else len(wanted)) / total)
    return min(1.0, sum(shares) / len(shares)) if shares else 1.0


def _epochs(settings: Any) -> float:
    return float(getattr(settings, "epochs", 0) or 0)


def _done(step: Planned) -> bool:
    return finished(step.expected.folder, step.expected.fingerprint())
