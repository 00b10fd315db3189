"""PyTorch: runs a Hugging Face checkpoint in its saved precision, on a CPU or a CUDA device."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.runtimes.runtime import Feeds, Outputs, Runtime, Serving, declared


@dataclass(frozen=True)
class TorchSession:
    """A model in evaluation mode on one device."""

    model: Any
    device: str
    inputs: tuple[str, ...]

    def predict(self, feeds: Feeds) -> Outputs:
        """What the model's head gives (`logits`; `start_logits` and `end_logits`), see `read_token.outputs`.

        Copying them to the host waits for the device, so a timing includes all work.
        """
        import torch

        from compress.models.families import read_token

        given = tuple(name for name in self.inputs if name in feeds or name == "input_ids")
        tensors = {
            name: torch.from_numpy(np.ascontiguousarray(value)).to(self.device)
            for name, value in declared(feeds, given, type(self.model).__name__).items()
        }
        with torch.inference_mode():
            found = read_token.outputs(self.model, tensors)
        return {name: np.asarray(one.float().cpu().numpy(), dtype=np.float32) for name, one in found.items()}


def open_session(artifact: Artifact, serving: Serving) -> TorchSession:
    """The artifact's model on the device.

    Raises:
        CompressError: the artifact is no torch one, its weights cannot be read, or there is no CUDA device.
    """
    model = _in_precision(_model(artifact, serving), artifact)
    parameters = inspect.signature(model.forward).parameters
    inputs = tuple(name for name in ("input_ids", "attention_mask", "token_type_ids") if name in parameters)
    return TorchSession(model, serving.device, inputs)


def open_generator(artifact: Artifact, serving: Serving) -> Any:
    """The artifact's model itself; raises as `open_session`."""
    return _in_precision(_model(artifact, serving), artifact)


def _in_precision(model: Any, artifact: Artifact) -> Any:
    """The model in fp32 if the artifact's precision is fp32, even if it is stored in 16 bits."""
    return model.float() if artifact.precision == "fp32" else model


def _model(artifact: Artifact, serving: Serving) -> Any:
    import torch

    from compress.models.load import load

    if serving.device == "cuda" and not torch.cuda.is_available():
        raise CompressError("PyTorch sees no CUDA device here. Measure with `device: cpu`.")
    torch.set_num_threads(serving.threads)
    return load(artifact).to(serving.device)


def why_not(artifact: Artifact, device: str) -> str | None:
    """fp16 on a CPU is not measured: torch has no fast half-precision products there."""
    if artifact.precision == "fp16" and device == "cpu":
        return "torch computes fp16 on a CPU several times slower than fp32; export it, or measure on a GPU"
    return None


def device_memory_bytes() -> Mapping[str, float]:
    """The allocator's peak, and what the driver says is in use on the device (every process's share of it)."""
    import torch

    if not torch.cuda.is_available():
        return {}
    free, total = torch.cuda.mem_get_info()
    return {"allocator": float(torch.cuda.max_memory_allocated()), "driver": float(total - free)}


RUNTIME = Runtime(
    name="pytorch",
    formats=frozenset({"torch"}),
    packages=("torch",),
    imports=("torch", "transformers", "transformers.modeling_utils"),
    open=open_session,
    why_not=why_not,
    device_memory_bytes=device_memory_bytes,
    open_generator=open_generator,
    generator_imports=("torch", "transformers", "transformers.modeling_utils", "transformers.generation.utils"),
)
