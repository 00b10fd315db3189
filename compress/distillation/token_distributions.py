"""Next-token distributions of a teacher, full or top k with the rest as one outcome, and their divergence from a
student's.

A vocabulary has tens of thousands of tokens, and nearly all of the teacher's mass lies on a few. Both distributions are
coarsened alike: the k tokens stay, all others are added up. A divergence of the coarsened two is never above that of the whole
ones (the log-sum inequality: f-divergences do not grow when outcomes are merged; Cover & Thomas, "Elements of Information
Theory", theorem 2.7.1), so what is lost is at least 0, and it can be measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from compress.core.labels import LABELS, NO_LABEL
from compress.tasks.kinds.losses import in_fp32, mixed_targets

Divergence = Literal["forward_kl", "reverse_kl", "jsd"]

LOWEST = -60.0
"""A log-probability below which there is nothing to learn: of a bucket that is empty it would be minus infinity."""
PARTS = ("log_probabilities", "ids", "rest")
PREFIX = "teacher.next."
"""What the names begin with that a batch has a teacher's distributions under."""


@dataclass(frozen=True)
class NextTokens:
    """A teacher's softened distribution after each of some tokens."""

    log_probabilities: Tensor
    """[..., k], the most likely first, or of all tokens in their order, [..., vocabulary], where `ids` is None."""
    ids: Tensor | None = None
    """Which tokens those are, [..., k], int64."""
    rest: Tensor | None = None
    """The log of what all other tokens have together, [...]."""

    def at(self, mask: Tensor) -> NextTokens:
        """Those of the tokens where a boolean mask of the leading dimensions is true, [true ones, ...]."""
        some = (None if one is None else one[mask] for one in (self.ids, self.rest))
        return NextTokens(self.log_probabilities[mask], *some)


def mixed(teachers: Sequence[Tensor], weights: Sequence[float], temperature: float) -> Tensor:
    """Logits whose distribution at this temperature is the weighted mean of several teachers' at it, see `mixed_targets`.

    Args:
        teachers: the logits of each, [tokens, vocabulary].
        weights: one a teacher.

    Returns:
        [tokens, vocabulary]; of a single teacher its own as they are.
    """
    if len(teachers) == 1:
        return teachers[0]
    return mixed_targets(torch.stack(list(teachers), dim=1), weights, temperature)


def whole(logits: Tensor, temperature: float) -> NextTokens:
    """All of a teacher's softened distribution: `softmax(logits / T)`, in fp32, without a gradient."""
    return NextTokens(F.log_softmax(in_fp32(logits.detach()) / temperature, dim=-1))


def top_k(logits: Tensor, k: int, temperature: float) -> NextTokens:
    """The k most likely tokens of a teacher's softened distribution, and the log of the others' mass.

    The rest's mass is summed, not taken as one minus the sum of the k, which would leave rounding errors where it is small.

    Args:
        logits: [..., vocabulary].
        k: how many tokens; no more than there are.
        temperature: T, above 0. It belongs to the result: the rest's mass at another one cannot be known from it.
    """
    log = whole(logits, temperature).log_probabilities
    kept, ids = log.topk(min(k, log.shape[-1]), dim=-1)
    return NextTokens(kept, ids, _of_others(log, ids).clamp(min=LOWEST))


def alike(student: Tensor, teacher: NextTokens, temperature: float) -> tuple[Tensor, Tensor]:
    """The student's and the teacher's log-probabilities of the same outcomes: all tokens, or the k and the rest.

    Args:
        student: logits, [..., vocabulary].
        teacher: its distributions at the same temperature.

    Returns:
        Two tensors, [..., vocabulary] or [..., k + 1], in fp32.
    """
    softened = in_fp32(student) / temperature
    if teacher.ids is None or teacher.rest is None:
        return F.log_softmax(softened, dim=-1), teacher.log_probabilities
    kept = softened.gather(-1, teacher.ids)
    found = torch.cat([kept, _of_others(softened, teacher.ids)[..., None]], dim=-1)
    # The logsumexp of these outcomes is that of the whole vocabulary, which is so read only once.
    ours = found - torch.logsumexp(found, dim=-1, keepdim=True)
    theirs = torch.cat([in_fp32(teacher.log_probabilities), in_fp32(teacher.rest)[..., None]], dim=-1)
    return ours.clamp(min=LOWEST), theirs


def mass(teacher: NextTokens) -> Tensor:
    """The probability of the teacher's k tokens, [...]."""
    return in_fp32(teacher.log_probabilities).exp().sum(-1)


def in_batch(batch: Mapping[str, Any], *, shifted: bool) -> NextTokens:
    """The distributions in a batch, one for each label that counts, [labels that count, ...].

    Args:
        batch: `labels`, and `PARTS` under `PREFIX` at each of them, [batch, label tokens, ...].
        shifted: of a decoder, whose first token nothing predicts.
    """
    counted = batch[LABELS] != NO_LABEL
    if shifted:
        counted = counted & (torch.arange(counted.shape[1], device=counted.device) > 0)
    log_probabilities, ids, rest = (batch[f"{PREFIX}{name}"][counted] for name in PARTS)
    return NextTokens(log_probabilities, ids.long(), rest)


def divergences(
    student: Tensor, teacher: NextTokens, temperature: float, divergence: Divergence, beta: float = 0.5
) -> Tensor:
    """The divergence at each token, [tokens], without the factor T^2; student: logits [tokens, vocabulary]."""
    ours, theirs = alike(student, teacher, temperature)
    if divergence == "forward_kl":
        return forward_kl(ours, theirs)
    return reverse_kl(ours, theirs) if divergence == "reverse_kl" else jsd(ours, theirs, beta)


def forward_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """Forward KL(teacher || student): the student covers everything that the teacher finds likely.

    Args:
        student: log-probabilities, [..., outcomes].
        teacher: the same.

    Returns:
        [...], at least 0 but for rounding.
    """
    return F.kl_div(student, teacher, reduction="none", log_target=True).sum(-1)


def reverse_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """Reverse KL(student || teacher): mode-seeking; the student avoids what the teacher finds unlikely.

    Gu et al. 2024, "MiniLLM: Knowledge Distillation of Large Language Models", equation 1, at each token. Args as `forward_kl`.
    """
    return F.kl_div(teacher, student, reduction="none", log_target=True).sum(-1)


def jsd(student: Tensor, teacher: Tensor, beta: float) -> Tensor:
    """The generalized Jensen-Shannon divergence, with M = beta teacher + (1 - beta) student.

    beta KL(teacher || M) + (1 - beta) KL(student || M):
    Agarwal et al. 2024, "On-Policy Distillation of Language Models: Learning from Self-Generated Mistakes" (GKD), equation 1.
    Divided by beta it nears the forward KL as beta nears 0, divided by 1 - beta the reverse KL as beta nears 1.

    Args:
        student: log-probabilities, [..., outcomes].
        teacher: the same.
        beta: between 0 and 1, both excluded.
    """
    share = torch.as_tensor(beta, dtype=student.dtype, device=student.device)
    mixed = torch.logaddexp(teacher + share.log(), student + torch.log1p(-share))
    return beta * forward_kl(mixed, teacher) + (1 - beta) * forward_kl(mixed, student)


def _of_others(values: Tensor, ids: Tensor) -> Tensor:
    """The logsumexp over all tokens but those, [...]."""
    return torch.logsumexp(values.scatter(-1, ids, -torch.inf), dim=-1)
