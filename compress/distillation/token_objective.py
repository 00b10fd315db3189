"""What a generative student minimises: the distance of its next tokens from its teacher's and from references."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from compress.core.labels import NO_LABEL
from compress.distillation.losses import weighted
from compress.distillation.objective import NEVER, PLAIN
from compress.distillation.schedules import Schedule
from compress.distillation.token_losses import Divergence, reference_tokens, soft_tokens
from compress.models.forward import counted_logits, in_batch, whole

Sample = Callable[[Any, Mapping[str, Any], int], dict[str, Any]]
"""(student, batch, seed) -> the batch with what the student itself writes as labels."""


@dataclass(frozen=True)
class TokenGoal:
    """All that a generative student minimises."""

    alpha: Schedule = NEVER
    temperature: Schedule = PLAIN
    divergence: Divergence = "forward_kl"
    beta: float = 0.5
    """Of the divergence `jsd`."""
    on_policy: float = 0.0
    """The share of the batches whose references are replaced by the student's own samples."""


def learning_tokens(
    student: Any,
    goal: TokenGoal,
    *,
    seed: int,
    live_teacher: Any = None,
    from_cache: bool = False,
    bf16: bool = False,
    sample: Sample | None = None,
) -> Callable[[Any, Mapping[str, Any], float], tuple[Tensor, dict[str, Tensor]]]:
    """The objective for a generative student.

    On references: `alpha * T^2 * D(teacher || student) + (1 - alpha) * cross-entropy`. On the student's own samples, which
    no gradient flows into, the divergence alone: Agarwal et al. 2024, "On-Policy Distillation of Language Models", algorithm 1.
    Which batches are sampled, and what is, depends on the seed, the progress and the batch alone, so a resumed run repeats it.

    Args:
        student: the bare model; the objective may be called with a wrapper of it.
        seed: of the samples.
        live_teacher: a model to ask at each step: on samples, and on references that bring no cached distributions.
        from_cache: whether batches of references bring them.
        bf16: whether the live teacher runs under autocast.
        sample: what samples from the student.

    Returns:
        (model, batch, progress) -> (loss, its terms by name); see `compress.training.objectives.Objective`.
    """

    def objective(trained: Any, batch: Mapping[str, Any], progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        chance, of_sample = _draws(seed, progress, batch) if goal.on_policy else (1.0, 0)
        is_sampled = sample is not None and chance < goal.on_policy
        if sample is not None and is_sampled:
            batch = sample(student, batch, of_sample)
        logits, labels = counted_logits(trained, batch, inside=student, states=True)
        counted = labels != NO_LABEL
        alpha, temperature = 1.0 if is_sampled else goal.alpha.at(progress), goal.temperature.at(progress)
        # Terms are averaged over batches and gathered from processes, so each batch has the same ones: own samples lack labels.
        share = (
            {"share of own samples": torch.tensor(float(is_sampled), device=logits.device)} if goal.on_policy else {}
        )
        if alpha == 0:
            hard = reference_tokens(logits, labels)
            return hard, share or {"labels": hard}
        if from_cache and not is_sampled:
            targets = in_batch(batch, labels.shape[1]).at(counted)
        else:
            live_teacher.to(logits.device)
            with torch.no_grad(), torch.autocast(logits.device.type, torch.bfloat16, enabled=bf16):
                theirs, _ = counted_logits(live_teacher, batch)
            targets = whole(theirs, temperature)
        soft = soft_tokens(logits, targets, counted, temperature, goal.divergence, goal.beta)
        if share:
            terms = share if goal.alpha.lowest == 0 else {"soft targets": soft, **share}
            return soft if alpha == 1 else weighted(soft, reference_tokens(logits, labels), alpha), terms
        if alpha == 1:
            return soft, {"soft targets": soft}
        hard = reference_tokens(logits, labels)
        return weighted(soft, hard, alpha), {"labels": hard, "soft targets": soft}

    return objective


def _draws(seed: int, progress: float, batch: Mapping[str, Any]) -> tuple[float, int]:
    """A number from 0 to 1 and a seed, from what a resumed run sees again."""
    ids = batch["input_ids"].cpu().numpy().tobytes()
    value = hashlib.blake2b(struct.pack("<qd", seed, progress) + ids, digest_size=16).digest()
    return int.from_bytes(value[:8], "little") / 2**64, int.from_bytes(value[8:15], "little")
