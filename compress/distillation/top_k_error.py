"""How much of a student's loss is lost by caching only the k most likely tokens of its teachers' distributions, in 16 bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from compress.data.collate import ByToken, Collate
from compress.distillation import laws
from compress.distillation.loss_config import LossConfig
from compress.distillation.token_distributions import in_batch, mass, mixed, whole
from compress.models.forward import answers

ROWS, BATCH = 64, 16
"""Rows on which it is measured, and at once."""


def truncation_error(
    student: Any,
    teachers: Sequence[Any],
    rows: Any,
    its_tokenizer: Any,
    its_collate: Collate,
    extras: Mapping[str, ByToken],
    config: LossConfig,
) -> dict[str, Any]:
    """The top-k truncation error: how much of the student's loss is lost by the cached distributions, on some of the rows.

    Args:
        student, teachers: bare models of one vocabulary; left as they were.
        rows: tokenized training rows, evenly spaced ones of which are taken.
        extras: the teachers' next tokens of these rows, as they are kept.
        config: tells the temperature, the divergence and the teachers' weights.

    Returns:
        `rows` and `tokens`: how many; `whole` and `kept`: the divergence of the whole distributions and of the coarsened and
        rounded ones, the mean over tokens, then rows, without the factor T^2; `mass`: the least and the mean share that the
        kept tokens have of the teacher's distribution.
    """
    places = np.unique(np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(int)).tolist()
    temperature = config.temperature.start
    found: dict[str, float] = {"whole": 0.0, "kept": 0.0}
    shares = []
    modes = [(model, model.training) for model in (student, *teachers)]
    device = next(student.parameters()).device
    for teacher in teachers:
        teacher.to(device)
    with torch.no_grad():
        for model, _ in modes:
            model.eval()
        for start in range(0, len(places), BATCH):
            some = places[start : start + BATCH]
            features: list[Mapping[str, Any]] = [{**rows[place], "place": place} for place in some]
            batch = its_collate(features, its_tokenizer, extras)
            batch = {name: value.to(device) for name, value in batch.items()}
            each = [answers(teacher, batch).values for teacher in teachers]
            ours, theirs = answers(student, batch), mixed(each, config.teacher_weights, temperature)
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
