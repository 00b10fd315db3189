"""An export's decoder in the middle of its texts: what it has read stays with ONNX Runtime.

A step gets the keys and values as ONNX Runtime gave them at the step before it, without copies, and what does not change is
bound once. The same step by `GenerationSessions.step` costs more time than a small model's own operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnxruntime import OrtValue

from compress.runtimes.sessions_with_cache import GenerationSessions, TensorSession

_NUMPY = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


class BoundDecoder:
    """The decoder for some rows, from an empty cache on. On the CPU only, see `why_unbound`.

    Args:
        graphs: the open export.
        mask: of the tokens of the first step, or of the source where there is an encoder; [rows, length].
        cross: what the encoder gave, by layer; [rows, heads, source, head width] each.
        positions: of a decoder's tokens of the first step, [rows, length]; by default each token's number among those
            that are not masked.
    """

    def __init__(
        self,
        graphs: GenerationSessions,
        mask: torch.Tensor,
        *,
        cross: Sequence[tuple[torch.Tensor, torch.Tensor]] = (),
        positions: torch.Tensor | None = None,
    ) -> None:
        self._graphs = graphs
        self._inputs = graphs.decode.inputs
        self._caches = [f"past.{layer}.{kind}" for layer in range(graphs.layers) for kind in ("key", "value")]
        self._presents = [_present(name) for name in self._caches]
        self._values: dict[str, OrtValue] = {}
        self._given: dict[str, NDArray[Any]] = {}  # the memory of what is not the runtime's own
        self._mask = mask.numpy()
        if graphs.encoder is not None:
            self._give("encoder_attention_mask", self._mask)
            for layer, tensors in enumerate(cross):
                for kind, tensor in zip(("key", "value"), tensors, strict=True):
                    self._give(f"cross.{layer}.{kind}", tensor.numpy())
        elif positions is None:
            positions = (mask.long().cumsum(-1) - 1).clamp(min=0)
        self._positions = None if positions is None else positions.expand(len(mask), -1).numpy()
        for name in self._caches:
            _, heads, _, width = self._inputs[name].shape
            self._give(name, np.zeros((len(mask), heads, 0, width), np.float32))
        self._session = graphs.prefill or graphs.decode

    def step(self, ids: NDArray[np.int64]) -> torch.Tensor:
        """The logits [rows, vocabulary], float32, after the last of the new tokens `ids` [rows, new].

        Raises CompressError where ONNX Runtime refuses the shapes, as beyond the model's positions.
        """
        self._give("input_ids", ids)
        if self._positions is not None:
            self._give("attention_mask", self._mask)
            self._give("position_ids", self._positions)
            self._give("logits_to_keep", np.array([ids.shape[1] - 1]))
        found = self._session.run_values(self._values, ["logits", *self._presents])
        for name, value in zip(self._caches, found[1:], strict=True):
            self._values[name] = value
        self._session = self._graphs.decode
        if self._positions is not None:
            self._mask = np.pad(self._mask, ((0, 0), (0, 1)), constant_values=1)
            self._positions = self._positions[:, -1:] + 1
        logits: torch.Tensor = _tensor(found[0])[:, -1].float()
        return logits

    def reorder(self, rows: NDArray[np.int64]) -> None:
        """Continue from the texts of these rows, [rows], among beams of one input only: they share its source."""
        if np.array_equal(rows, np.arange(len(rows))):
            return
        places = torch.from_numpy(rows)
        for name in self._caches:
            self._values[name] = _value(_tensor(self._values[name]).index_select(0, places).numpy())

    def _give(self, name: str, values: Any) -> None:
        """Bind an input to values; those of the same shape as before are written where the former ones were."""
        if name not in self._inputs:  # of some inputs a graph has no need
            return
        former = self._given.get(name)
        if former is not None and former.shape == values.shape:
            former[...] = values
        else:
            # A copy where it will be written to, and none of the source's keys and values.
            copied = None if name.startswith("cross.") else True
            self._given[name] = np.array(values, _NUMPY[self._inputs[name].type], order="C", copy=copied)
            self._values[name] = _value(self._given[name])


def why_unbound(graphs: GenerationSessions) -> str | None:
    """Why this export cannot run in a `BoundDecoder`; None where it can."""
    if graphs.device.type != "cpu":
        return f"the model runs on {graphs.device.type}"
    sessions = [session for session in (graphs.decode, graphs.prefill) if session is not None]
    if any(type(session) is not TensorSession for session in sessions):
        return "its sessions are watched"
    unknown = [item.type for session in sessions for item in session.inputs.values() if item.type not in _NUMPY]
    if unknown:
        return f"NumPy has no {unknown[0]}"
    caches = [(name, item.type) for name, item in graphs.decode.inputs.items() if name.startswith("past.")]
    differ = [name for name, kind in caches for one in sessions if one.outputs[_present(name)] != kind]
    return f"the graph gives {differ[0]} in another type than it reads" if differ else None


def _present(past: str) -> str:
    """The output that is an input of the next step."""
    return past.replace("past.", "present.", 1)


def _value(values: NDArray[Any]) -> OrtValue:
    return OrtValue.ortvalue_from_numpy(values)


def _tensor(value: OrtValue) -> torch.Tensor:
    return torch.from_dlpack(value._ortvalue.to_dlpack())
