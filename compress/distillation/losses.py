"""The losses of distillation, each a small function with its source."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def soft_targets(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """The distance of the student's softened distribution from the teacher's.

    `T^2 * KL(softmax(teacher / T) || softmax(student / T))`, the mean over the batch: Hinton et al. 2015, "Distilling the
    Knowledge in a Neural Network", section 2. The factor T^2 keeps the size of its gradient when T changes.

    Args:
        student: logits, [batch, labels].
        teacher: logits, [batch, labels]; no gradient flows into them.
        temperature: T, above 0; above 1 it broadens the teacher's distribution.

    Returns:
        A scalar, at least 0, in fp32.
    """
    student_log = F.log_softmax(student.float() / temperature, dim=-1)
    teacher_log = F.log_softmax(teacher.detach().float() / temperature, dim=-1)
    return temperature**2 * F.kl_div(student_log, teacher_log, reduction="batchmean", log_target=True)


def hard_labels(student: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with the labels at temperature 1, the mean over the batch.

    Args:
        student: logits, [batch, labels].
        labels: class ids, [batch].
    """
    return F.cross_entropy(student.float(), labels)


def scores(student: Tensor, target: Tensor) -> Tensor:
    """The mean squared error of a regression's scores.

    Args:
        student: scores, [batch, 1] or [batch].
        target: the labels' or the teacher's scores, of as many elements.
    """
    return F.mse_loss(student.float().reshape(-1), target.detach().float().reshape(-1))


def weighted(soft: Tensor, hard: Tensor, alpha: float) -> Tensor:
    """`alpha * soft + (1 - alpha) * hard`; exactly the other one where alpha is 0 or 1, so no gradient of 0 is computed."""
    if alpha == 0:
        return hard
    return soft if alpha == 1 else alpha * soft + (1 - alpha) * hard
