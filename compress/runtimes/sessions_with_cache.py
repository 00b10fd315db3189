"""Runs a generative export's graphs on torch tensors: encodes an input once, then decodes tokens with a KV cache.

Tensors are bound in place and outputs are used where ONNX Runtime wrote them, so a step copies no cache but in the
graph itself, which appends to it. Imports ONNX Runtime and torch only: serving's memory is measured; and `sessions`, whose
memory is measured without torch, is a file of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime
import torch

from compress.core.errors import CompressError
from compress.runtimes.session_choices import DEFAULT, SessionChoice
from compress.runtimes.sessions import open_session

ENCODER, PREFILL, DECODE = "encoder", "prefill", "decode"
"""The parts of a generative export; `prefill` is the decoder's first run, where it has a graph of its own."""

KeysAndValues = list[tuple[torch.Tensor, torch.Tensor]]  # by layer; each [batch, heads, length, head width]

# What a graph says of an input: torch's type, and ONNX's number for it.
_TYPES = {
    "tensor(float)": (torch.float32, 1),
    "tensor(int32)": (torch.int32, 6),
    "tensor(int64)": (torch.int64, 7),
    "tensor(float16)": (torch.float16, 10),
    "tensor(double)": (torch.float64, 11),
    "tensor(bfloat16)": (torch.bfloat16, 16),
}


class TensorSession:
    """One graph, run from and to torch tensors without copies."""

    def __init__(self, session: onnxruntime.InferenceSession, path: Path) -> None:
        self.path = path
        self.inputs = {item.name: item for item in session.get_inputs()}
        self.outputs = {item.name: item.type for item in session.get_outputs()}
        self._session = session
        cuda = session.get_providers()[0] == "CUDAExecutionProvider"
        self.device = torch.device("cuda", 0) if cuda else torch.device("cpu")

    def run(self, feeds: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """All outputs by name. Tensors that the graph does not read are left out, and floats become the type it reads.

        Raises CompressError where an input is missing, or ONNX Runtime refuses the shapes.
        """
        self._check_inputs(feeds)
        binding = self._session.io_binding()
        kept = []  # ONNX Runtime reads these addresses until it has run
        for name, item in self.inputs.items():
            kind, number = _TYPES[item.type]
            # Shapes and positions are read on the CPU.
            place = self.device if kind.is_floating_point else torch.device("cpu")
            tensor = feeds[name].detach().to(place, kind).contiguous()
            memory = tensor if tensor.numel() else tensor.new_zeros(1)  # an empty tensor has no address
            kept.append(memory)
            binding.bind_input(name, place.type, 0, number, list(tensor.shape), memory.data_ptr())
        for name in self.outputs:
            binding.bind_output(name, self.device.type)
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:  # ONNX Runtime's errors share no base class but Exception
            raise self._failed({name: list(feeds[name].shape) for name in self.inputs}, error) from error
        found = (torch.from_dlpack(value._ortvalue.to_dlpack()) for value in binding.get_outputs())
        return dict(zip(self.outputs, found, strict=True))

    def run_values(
        self, feeds: Mapping[str, onnxruntime.OrtValue], outputs: Sequence[str]
    ) -> Sequence[onnxruntime.OrtValue]:
        """These outputs, from and to ONNX Runtime's own values, on the CPU. What the graph does not read is left out.

        Raises as `run`.
        """
        self._check_inputs(feeds)
        read = {name: feeds[name] for name in self.inputs}
        try:
            return self._session.run_with_ort_values(outputs, read)
        except Exception as error:  # ONNX Runtime's errors share no base class but Exception
            raise self._failed({name: list(value.shape()) for name, value in read.items()}, error) from error

    def _check_inputs(self, feeds: Mapping[str, Any]) -> None:
        missing = [name for name in self.inputs if name not in feeds]
        if missing:
            raise CompressError(
                f"{self.path} needs the input '{missing[0]}', which is missing. Export the model again."
            )

    def _failed(self, shapes: Mapping[str, Sequence[int]], error: Exception) -> CompressError:
        reason = (str(error).strip().splitlines() or [""])[0]
        return CompressError(
            f"{self.path} failed on inputs of {shapes}: {reason}. Give shorter ones if the model has no more "
            "positions, or export it again."
        )


@dataclass(frozen=True)
class GenerationSessions:
    """The open parts of a generative export.

    prefill: the decoder's first run, where it has a graph of its own; otherwise `decode` does it on an empty cache.
    """

    decode: TensorSession
    encoder: TensorSession | None = None
    prefill: TensorSession | None = None

    @property
    def device(self) -> torch.device:
        return self.decode.device

    @property
    def layers(self) -> int:
        return sum(name.startswith("past.") and name.endswith(".key") for name in self.decode.inputs)

    @property
    def counts_positions(self) -> bool:
        """Whether the decoder reads `position_ids`."""
        return "position_ids" in self.decode.inputs

    def encode(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, KeysAndValues]:
        """The encoder's states [batch, source, width], and the cross-attention's keys and values by layer."""
        if self.encoder is None:
            raise CompressError(f"{self.decode.path} is a decoder and has no encoder.")
        found = self.encoder.run({"input_ids": input_ids, "attention_mask": attention_mask})
        return found["encoder_hidden_states"], _layers(found, "cross", self.layers)

    def step(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        past: KeysAndValues | None = None,
        *,
        cross: Sequence[tuple[torch.Tensor, torch.Tensor]] = (),
        position_ids: torch.Tensor | None = None,
        kept: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, KeysAndValues]:
        """The logits [batch, kept, vocabulary] after new tokens `input_ids` [batch, new], and the cache with them.

        attention_mask: of past and new tokens [batch, past + new]; of the source [batch, source] where there is an
        encoder. past: None for an empty cache. cross: what `encode` gave. position_ids [batch, new]: by default each
        token's number among those not masked. kept: the new tokens whose logits are wanted, all by default; the decoder
        of a sequence-to-sequence model always gives all.
        """
        first = past is None or past[0][0].shape[2] == 0
        session = self.prefill if first and self.prefill is not None else self.decode
        past = self.empty(len(input_ids)) if past is None else past
        feeds = {"input_ids": input_ids, **_named("past", past)}
        if self.encoder is not None:
            feeds |= {"encoder_attention_mask": attention_mask, **_named("cross", cross)}
        else:
            new = input_ids.shape[1]
            if position_ids is None:
                position_ids = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, -new:]
            kept = torch.arange(new, device=input_ids.device) if kept is None else kept
            feeds |= {"attention_mask": attention_mask, "position_ids": position_ids, "logits_to_keep": kept}
        found = session.run(feeds)
        return found["logits"], _layers(found, "present", self.layers)

    def empty(self, batch: int) -> KeysAndValues:
        """A cache of no tokens."""
        shapes = [self.decode.inputs[f"past.{number}.key"].shape for number in range(self.layers)]
        widths = [self.decode.inputs[f"past.{number}.value"].shape for number in range(self.layers)]
        return [
            (torch.zeros(batch, *_cut(key), device=self.device), torch.zeros(batch, *_cut(value), device=self.device))
            for key, value in zip(shapes, widths, strict=True)
        ]


def open_generation(
    parts: Mapping[str, Path],
    *,
    threads: int,
    provider: str = "CPUExecutionProvider",
    options: SessionChoice = DEFAULT,
) -> GenerationSessions:
    """Sessions for the files of a generative export, by part.

    Raises CompressError where there is no `decode`, a part is unknown or cannot be opened, or the file of weights that
    the graphs share is not beside them.
    """
    unknown = set(parts) - {ENCODER, PREFILL, DECODE}
    if unknown or DECODE not in parts:
        raise CompressError(
            f"A generative model's components are encoder, prefill and decode (required), not {', '.join(parts)}. "
            "Export the model again."
        )
    opened = {
        part: TensorSession(open_session(path, threads=threads, provider=provider, options=options), path)
        for part, path in parts.items()
    }
    return GenerationSessions(opened[DECODE], opened.get(ENCODER), opened.get(PREFILL))


def _named(stem: str, layers: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {
        f"{stem}.{number}.{kind}": tensor
        for number, layer in enumerate(layers)
        for kind, tensor in zip(("key", "value"), layer, strict=True)
    }


def _layers(found: Mapping[str, torch.Tensor], stem: str, count: int) -> KeysAndValues:
    return [(found[f"{stem}.{number}.key"], found[f"{stem}.{number}.value"]) for number in range(count)]


def _cut(shape: Sequence[Any]) -> tuple[int, int, int]:
    """[heads, 0, head width] of an input [batch, heads, past, head width]."""
    _, heads, _, width = shape
    return heads, 0, width
