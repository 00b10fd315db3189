"""ONNX Runtime: runs an ONNX artifact with its CPU or CUDA provider, with named session options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.runtimes.runtime import Feeds, Outputs, Runtime, Serving, declared
from compress.runtimes.session_choices import CHOICES, OURS

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True)
class OnnxSession:
    """An open graph, the inputs it declares, and its outputs."""

    session: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def predict(self, feeds: Feeds) -> Outputs:
        """The graph's outputs by name. Raises a CompressError where ONNX Runtime fails on the rows."""
        from compress.runtimes.sessions import refuse_padding, run

        refuse_padding(self.session, feeds)
        found = run(self.session, declared(feeds, self.inputs, "The graph"))
        return {name: np.asarray(one, dtype=np.float32) for name, one in zip(self.outputs, found, strict=True)}


def open_session(artifact: Artifact, serving: Serving) -> OnnxSession:
    """The graph called `model` of the artifact.

    Raises:
        CompressError: the artifact has no such graph, the options or the provider are unknown here, or ONNX Runtime
            refuses the file (a type without kernels, say).
    """
    from compress.runtimes import sessions
    from compress.runtimes.session_choices import session_choice

    if "model" not in artifact.parts:
        raise CompressError(f"{artifact.folder} has no graph called 'model'. Export the model again.")
    session = sessions.open_session(
        artifact.folder / artifact.parts["model"],
        threads=serving.threads,
        provider=PROVIDERS[serving.device],
        options=session_choice(serving.options),
    )
    inputs, outputs = (tuple(one.name for one in some) for some in (session.get_inputs(), session.get_outputs()))
    return OnnxSession(session, inputs, outputs)


def open_generator(artifact: Artifact, serving: Serving) -> Any:
    """The artifact's graphs with transformers' `generate()`, see `compress.runtimes.onnx_generation`."""
    import torch

    from compress.runtimes import onnx_generation

    torch.set_num_threads(serving.threads)  # it chooses tokens and keeps the beams
    return onnx_generation.open_generator(artifact, serving)


def why_not(artifact: Artifact, device: str) -> str | None:
    """bf16 has no kernels on the CPU provider (Add, MatMul, ...: NOT_IMPLEMENTED)."""
    if artifact.precision == "bf16" and device == "cpu":
        return "ONNX Runtime's CPU provider has no bf16 kernels"
    return None


RUNTIME = Runtime(
    name="onnx_runtime",
    formats=frozenset({"onnx"}),
    packages=("onnxruntime", "onnxruntime-gpu"),
    imports=("onnxruntime", "numpy"),
    open=open_session,
    why_not=why_not,
    options={name: choice.to_dict() for name, choice in CHOICES.items()},
    served_with=OURS.name,
    open_generator=open_generator,
    generator_imports=("compress.runtimes.onnx_generation",),
)
