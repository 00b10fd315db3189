"""The answers of a batch: what losses, soft targets, Fisher scores and comparisons read, whatever the kind of task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compress.core.labels import ANSWERED, LABELS

if TYPE_CHECKING:
    from torch import Tensor

Outputs = Mapping[str, Any]
"""What a model gives by the names of its outputs, each a tensor [batch, ...]."""
Batch = Mapping[str, Any]
"""What it reads, and the labels, by name; each a tensor [batch, ...]."""


@dataclass(frozen=True)
class Answers:
    """The answers of a batch, one after another."""

    values: Tensor
    """Scores, [answers, outcomes]: of classes, of labels, of a row's tokens, a number alone, or a vector."""
    targets: Tensor | None
    """Class ids or numbers, [answers], or a value for each outcome, [answers, outcomes]; `Law.no_label` where there is none. None
    where nothing is labelled at all."""
    row: Tensor | None = None
    """The batch's row of each answer, [answers]; None where each row has exactly one."""
    valid: Tensor | None = None
    """Which outcomes exist, [answers, outcomes], boolean: a row's own tokens, a query's own candidates; None where all do."""
    batch_loss: Tensor | None = None
    """A loss of the batch as a whole, a scalar, see `Kind.batch_loss`; None where the kind has none."""


def marked(outputs: Outputs, batch: Batch) -> Answers:
    """The answers of a model with `logits`: of [batch, outputs] one a row, of [batch, tokens, outputs] those of the tokens that
    the batch marks, or of all that are read where it marks none."""
    logits, labels = outputs["logits"], batch.get(LABELS)
    answered = batch.get(ANSWERED)
    if answered is None and logits.ndim == 3:
        answered = batch["attention_mask"]
    if answered is None:
        return Answers(logits, labels)
    mask = answered.bool().to(logits.device)
    return Answers(logits[mask], None if labels is None else labels[mask], mask.nonzero()[:, 0])
