"""Linear modules in both orientations: `nn.Linear` keeps [outputs, inputs], GPT-2's `Conv1D` [inputs, outputs]."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

LINEAR = (nn.Linear, Conv1D)


def is_linear(module: object) -> bool:
    """Whether it multiplies by a matrix and adds a bias, if any."""
    return isinstance(module, LINEAR)


def weight_of(module: nn.Module) -> Tensor:
    """Its weight as [outputs, inputs]: the very memory of its parameter, so that what is written there stays."""
    weight = module.get_parameter("weight")
    return weight.T if isinstance(module, Conv1D) else weight


def axes_of(module: nn.Module) -> tuple[int, int]:
    """The axes of its stored weight along which its outputs and its inputs lie."""
    return (1, 0) if isinstance(module, Conv1D) else (0, 1)


def outputs_of(module: nn.Module) -> int:
    """How many outputs it has."""
    return int(weight_of(module).shape[0])


def inputs_of(module: nn.Module) -> int:
    """How many inputs it has."""
    return int(weight_of(module).shape[1])


def keep_outputs_(module: Any, indices: Tensor) -> None:
    """Leave only some of its outputs."""
    module.weight = _part(module.weight, axes_of(module)[0], indices)
    if module.bias is not None:
        module.bias = _part(module.bias, 0, indices)
    setattr(module, "nf" if isinstance(module, Conv1D) else "out_features", len(indices))


def keep_inputs_(module: Any, indices: Tensor) -> None:
    """Leave only some of its inputs."""
    module.weight = _part(module.weight, axes_of(module)[1], indices)
    setattr(module, "nx" if isinstance(module, Conv1D) else "in_features", len(indices))


def _part(whole: nn.Parameter, axis: int, indices: Tensor) -> nn.Parameter:
    part = whole.detach().index_select(axis, indices.to(whole.device)).contiguous()
    return nn.Parameter(part, requires_grad=whole.requires_grad)
