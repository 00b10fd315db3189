"""Learned linear projections from the student's width to the teacher's, used during training only."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def projections(names: Iterable[str], student_width: int, teacher_width: int, seed: int) -> nn.ModuleDict:
    """One map without a bias for each name; none where the widths are equal.

    W_h and W_e of Jiao et al. 2020, "TinyBERT", equations 8 and 9. They start as random normal values that keep the
    variance. The seed alone decides them: torch's own random state is neither read nor changed.

    Args:
        names: of `compress.distillation.loss_config.LayerLoss.map_names`.
    """
    found = nn.ModuleDict()
    if student_width == teacher_width:
        return found
    generator = torch.Generator().manual_seed(seed)
    for name in names:
        linear = nn.utils.skip_init(nn.Linear, student_width, teacher_width, bias=False)
        nn.init.normal_(linear.weight, std=student_width**-0.5, generator=generator)
        found[name] = linear
    return found


def projected(maps: nn.ModuleDict, name: str, hidden: Tensor) -> Tensor:
    """A student's hidden states in the teacher's width: [batch, tokens, student's width] -> [..., teacher's width].

    As they are where the widths are equal, so where there are no maps.
    """
    return maps[name](hidden) if len(maps) else hidden
