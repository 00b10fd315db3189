"""The losses of a generative student at each token: its distance from the teacher's distribution there, and from the reference.

As in `losses`, all compute in fp32, let no gradient into the teacher, and are means over a row's counted tokens, then over
the rows. Logits are those of the tokens that count alone, row after row, [counted tokens, vocabulary].
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from compress.core.labels import NO_LABEL
from compress.models.forward import NextTokens, alike

Divergence = Literal["forward_kl", "reverse_kl", "jsd"]


def soft_tokens(
    student: Tensor,
    teacher: NextTokens,
    counted: Tensor,
    temperature: float,
    divergence: Divergence = "forward_kl",
    beta: float = 0.5,
) -> Tensor:
    """`T^2 * D(teacher || student)` of the softened next-token distributions.

    Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2, at every token of the reference: word-level
    distillation (Kim & Rush 2016, "Sequence-Level Knowledge Distillation", section 3.1).

    Args:
        student: logits, [counted tokens, vocabulary].
        teacher: at the same tokens and the same temperature, [counted tokens, ...].
        counted: true where a token is predicted that counts, [batch, tokens].
        temperature: T, above 0.
        divergence: `forward_kl`, `reverse_kl` or `jsd`; see the functions of these names.
        beta: of `jsd`.

    Returns:
        A scalar, at least 0 but for rounding.
    """
    found = divergences(student, teacher, temperature, divergence, beta)
    return temperature**2 * mean_of_rows(found, counted)


def divergences(
    student: Tensor, teacher: NextTokens, temperature: float, divergence: Divergence, beta: float = 0.5
) -> Tensor:
    """The divergence at each token, [tokens], without the factor T^2; student: logits [tokens, vocabulary]."""
    ours, theirs = alike(student, teacher, temperature)
    if divergence == "forward_kl":
        return forward_kl(ours, theirs)
    return reverse_kl(ours, theirs) if divergence == "reverse_kl" else jsd(ours, theirs, beta)


def forward_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(teacher || student): the student is to cover all that the teacher may say.

    Args:
        student: log-probabilities, [..., outcomes].
        teacher: the same.

    Returns:
        [...], at least 0 but for rounding.
    """
    return F.kl_div(student, teacher, reduction="none", log_target=True).sum(-1)


def reverse_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(student || teacher): the student is to say nothing that the teacher would not.

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


def reference_tokens(student: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with the references' tokens at temperature 1.

    Args:
        student: logits, [counted tokens, vocabulary].
        labels: token ids, [batch, tokens]; -100 where nothing is counted.
    """
    counted = labels != NO_LABEL
    wide = student.float() if student.dtype in (torch.float16, torch.bfloat16) else student
    return mean_of_rows(F.cross_entropy(wide, labels[counted], reduction="none"), counted)


def mean_of_rows(values: Tensor, counted: Tensor) -> Tensor:
    """The mean over rows of each row's mean; a row where nothing is counted is 0.

    Args:
        values: of the counted tokens, row after row, [counted tokens].
        counted: [batch, tokens], boolean.
    """
    counts = counted.sum(1)
    shares = 1 / (counts.clamp(min=1) * len(counts)).to(values.dtype)
    return (values * shares.repeat_interleave(counts)).sum()
