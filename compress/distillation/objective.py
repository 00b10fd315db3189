"""The student's training objective: its distance from teachers and labels, and from the teacher's hidden layers."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor

from compress.distillation import laws
from compress.distillation.layer_losses import FEATURE, Batch, Terms, layer_losses
from compress.distillation.loss_config import LossConfig
from compress.distillation.token_distributions import PREFIX, in_batch, mixed, whole
from compress.models import forward
from compress.models.kinds import kind_of_model
from compress.tasks.kinds import Kind
from compress.tasks.kinds.answers import Answers

OUTPUT = "teacher.output."
"""What the batch's names of the teachers' outputs begin with, each [batch, teachers, ...], or [batch, tokens, teachers, ...]."""
Sample = Callable[[Any, Batch, int], dict[str, Any]]
"""(student, batch, seed) -> the batch with what the student itself generates as labels."""
Asked = Callable[[], list[Tensor]]
"""() -> the answers of each online teacher to the step's batch, [answers, outcomes]; they are asked once a step at most."""


@contextmanager
def objective_of(
    student: Any,
    config: LossConfig,
    teacher_config: Any = None,
    *,
    seed: int,
    online_teachers: Sequence[Any] = (),
    bf16: bool = False,
    sample: Sample | None = None,
) -> Iterator[Callable[[Any, Batch, float], tuple[Tensor, Terms]]]:
    """The objective of a student; inside the context its learned projections are part of it.

    `alpha * T^2 * D(teacher || student) + (1 - alpha) * the loss with the labels`, and the layer losses. Where rows lack a label
    or an answer, another weight takes alpha's place: `laws.weight_of_teachers`. On the student's own samples, which no gradient
    flows into, the divergence alone: Agarwal et al. 2024, "On-Policy Distillation of Language Models", algorithm 1. Which
    batches are sampled, and what is, depends on the seed, the progress and the batch alone, so a resumed run repeats it.

    Args:
        student: the bare model; the objective may be called with a wrapper of it.
        teacher_config: of the teacher whose layers are matched; None where none are.
        seed: for the projections, which are there where the widths differ, and for samples.
        online_teachers: models to ask at each step (online) for what batches do not bring: the first one's features, or the
            next tokens of all.
        bf16: whether the online teachers run under autocast.
        sample: what samples from the student; None where `on_policy` is 0.

    Yields:
        (model, batch, progress) -> (loss, its terms by name); see `compress.training.objectives.Objective`.
    """

    def asking(batch: Batch) -> Asked:
        @cache
        def asked() -> list[Tensor]:
            device, read = batch["input_ids"].device, _without_teacher(batch)
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                return [forward.answers(teacher.to(device), read).values for teacher in online_teachers]

        return asked

    def next_tokens(found: Answers, batch: Batch, temperature: float, asked: Asked) -> Tensor:
        if f"{PREFIX}ids" in batch:
            theirs = in_batch(batch, shifted=not student.config.is_encoder_decoder)
        else:
            theirs = whole(mixed(asked(), config.teacher_weights, temperature), temperature)
        return laws.next_tokens(found, theirs, temperature, config.divergence, config.beta)

    def of_answers(
        found: Answers, batch: Batch, progress: float, terms: Terms, asked: Asked, *, is_sampled: bool
    ) -> Tensor:
        alpha = 1.0 if is_sampled else config.alpha.at(progress)
        # Terms are averaged over batches and gathered from processes, so each batch has the same ones: own samples lack labels.
        if config.on_policy:
            terms["share of own samples"] = torch.tensor(float(is_sampled), device=found.values.device)
        # Over a vocabulary the loss with the labels costs as much as the other one: it is not computed to be shown alone.
        is_shown = not config.law.of_vocabulary or config.alpha.lowest < 1
        hard = laws.hard(config.law, found) if is_shown and not is_sampled else None
        if hard is not None and not config.on_policy:
            terms["labels"] = hard
        if hard is not None and alpha == 0:
            return hard
        at = config.temperature.at(progress)
        if config.law.of_vocabulary:
            soft, of_soft = next_tokens(found, batch, at, asked), alpha
        else:
            theirs = soft_targets(kind_of_model(student), batch, len(config.teacher_weights))[1]
            soft = laws.soft(config.law, found, theirs, config.teacher_weights, at)
            of_soft = laws.weight_of_teachers(config.law, found, theirs, config.teacher_weights, alpha)
        if not config.on_policy or config.alpha.lowest > 0:
            terms["soft targets"] = soft
        return soft if hard is None else laws.weighted(soft, hard, of_soft)

    first = online_teachers[0] if online_teachers else None
    with layer_losses(student, config, teacher_config, seed, first) as of_layers:

        def objective(trained: Any, batch: Batch, progress: float) -> tuple[Tensor, Terms]:
            is_sampled = False
            if sample is not None:
                chance, of_sample = _draws(seed, progress, batch)
                is_sampled = chance < config.on_policy
                batch = sample(student, batch, of_sample) if is_sampled else batch
            found = forward.answers(trained, _without_teacher(batch), inside=student, states=True)
            terms: Terms = {}
            asked = asking(batch)
            if config.predictions:
                loss = of_answers(found, batch, progress, terms, asked, is_sampled=is_sampled)
            else:
                # Data-parallel training wants a gradient for every weight: without predictions the head's is 0, not none.
                loss = 0.0 * found.values.float().sum()
            return sum(of_layers(batch, progress, terms, asked), loss), terms

        yield objective


def soft_targets(kind: Kind, batch: Batch, teachers: int) -> tuple[Answers, Tensor]:
    """The first teacher's answers to a batch that has the teachers' outputs, and the scores of all of them, [answers, teachers,
    outcomes].

    Args:
        kind: the student's.
        teachers: how many there are.
    """
    given = {one.name: (batch[f"{OUTPUT}{one.name}"], 1 if one.of == "row" else 2) for one in kind.outputs}
    each = ({name: value.select(axis, one) for name, (value, axis) in given.items()} for one in range(teachers))
    answers = [kind.answers(one, batch) for one in each]
    return answers[0], torch.stack([one.values for one in answers], dim=1)


def _without_teacher(batch: Batch) -> dict[str, Any]:
    """A batch without the teachers' values."""
    return {name: value for name, value in batch.items() if not name.startswith(FEATURE)}


def _draws(seed: int, progress: float, batch: Mapping[str, Any]) -> tuple[float, int]:
    """A number from 0 to 1 and a seed, reproducible in a resumed run."""
    ids = batch["input_ids"].cpu().numpy().tobytes()
    value = hashlib.blake2b(struct.pack("<qd", seed, progress) + ids, digest_size=16).digest()
    return int.from_bytes(value[:8], "little") / 2**64, int.from_bytes(value[8:15], "little")
