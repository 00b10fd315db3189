"""ONNX Runtime: runs an ONNX artifact with its CPU or CUDA provider, under a stated choice of session options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.runtimes.runtime import Feeds, Runtime, Serving, declared

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True)
class OnnxSession:
    """An open graph and the inputs it declares."""

    session: Any
    inputs: tuple[str, ...]

    def predict(self, feeds: Feeds) -> NDArray[np.float32]:
        """The graph's first output, [batch, labels]. Raises a CompressError where ONNX Runtime fails on the rows."""
        from compress.runtimes.sessions import run

        logits = run(self.session, declared(feeds, self.inputs, "The graph"))[0]
        return np.asarray(logits, dtype=np.float32)


def open_session(artifact: Artifact, serving: Serving) -> OnnxSession:
    """The graph called `model` of the artifact.

    Raises:
        CompressError: the artifact has no such graph, the options or the provider are unknown here, or ONNX Runtime
            refuses the file (a type without kernels, say).
    """
    from compress.runtimes import sessions

    if "model" not in artifact.parts:
        raise CompressError(f"{artifact.folder} has no graph called 'model'. Export the model again.")
    session = sessions.open_session(
        artifact.folder / artifact.parts["model"],
        threads=serving.threads,
        provider=PROVIDERS[serving.device],
        options=sessions.session_choice(serving.options),
    )
    return OnnxSession(session, tuple(one.name for one in session.get_inputs()))


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
    package="onnxruntime",
    imports=("onnxruntime", "numpy"),
    open=open_session,
    why_not=why_not,
    open_generator=open_generator,
    generator_imports=("compress.runtimes.onnx_generation",),
)
