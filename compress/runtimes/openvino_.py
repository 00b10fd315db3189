"""OpenVINO: runs ONNX artifacts and its own on the CPU; faster than ONNX Runtime on large batches, slower on single sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.runtimes.runtime import DEFAULT, Feeds, Outputs, Runtime, Serving, declared

PROPERTIES: Mapping[str, Any] = {
    "PERFORMANCE_HINT": "LATENCY",
    "NUM_STREAMS": 1,
    # Else OpenVINO ties the first thread of every process to the same processor.
    "ENABLE_CPU_PINNING": False,
}
"""How a model is compiled. The precision and the number of threads are the artifact's and the call's."""
HINTS = {"bf16": "bf16"}
"""INFERENCE_PRECISION_HINT by an artifact's precision; f32 for any other. Without a hint OpenVINO computes fp32 models in bf16
where the processor can."""


@dataclass(frozen=True)
class OpenVinoSession:
    """A compiled model, the inputs it declares, and its outputs."""

    request: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    file: str

    def predict(self, feeds: Feeds) -> Outputs:
        """The model's outputs by name. Raises a CompressError where OpenVINO fails on the rows."""
        given = declared(feeds, self.inputs, "The graph")
        try:
            found = self.request.infer(given, share_inputs=True)
        except RuntimeError as error:
            shape = next((list(value.shape) for value in given.values()), [])
            raise CompressError(
                f"{self.file} failed in OpenVINO on rows of {shape}: {reason(error)}. "
                "Give it texts that fit the model, encoded by its own tokenizer, or export it again."
            ) from error
        return {name: np.asarray(found[at], dtype=np.float32) for at, name in enumerate(self.outputs)}


def open_session(artifact: Artifact, serving: Serving) -> OpenVinoSession:
    """The graph called `model` of the artifact, compiled for the CPU.

    Raises:
        CompressError: as `open_file`, or the artifact has no such graph.
    """
    if "model" not in artifact.parts:
        raise CompressError(f"{artifact.folder} has no graph called 'model'. Export the model again.")
    file = artifact.folder / artifact.parts["model"]
    return open_file(file, threads=serving.threads, precision=artifact.precision)


def open_file(file: Path, *, threads: int = 1, precision: str = "fp32") -> OpenVinoSession:
    """A graph's file, ONNX or OpenVINO's own, compiled for the CPU.

    Args:
        threads: 1 or more; no more are used than there are cores.
        precision: what the artifact is called: `bf16` is computed in bf16, all others' floats in fp32.

    Raises:
        CompressError: OpenVINO is not installed, or the file is missing, damaged, or has an operator that OpenVINO does not know.
    """
    openvino = imported()
    model = read_model(file)
    hint = HINTS.get(precision, "f32")
    given = {**PROPERTIES, "INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads}
    try:
        compiled = openvino.Core().compile_model(model, "CPU", given)
    except RuntimeError as error:
        raise _not_opened(file, error) from error
    inputs, outputs = (tuple(one.get_any_name() for one in some) for some in (compiled.inputs, compiled.outputs))
    return OpenVinoSession(compiled.create_infer_request(), inputs, outputs, str(file))


def read_model(file: Path) -> Any:
    """OpenVINO's model of a file. Raises as `open_file`."""
    openvino = imported()
    if not file.is_file():
        raise CompressError(f"{file} does not exist. Export the model again.")
    try:
        return openvino.Core().read_model(file)
    except RuntimeError as error:
        raise _not_opened(file, error) from error


def _not_opened(file: Path, error: Exception) -> CompressError:
    other = "Run it in ONNX Runtime (--runtime onnx_runtime), or make" if file.suffix == ".onnx" else "Make"
    return CompressError(
        f"openvino ({RUNTIME.version()}) cannot open {file}: {reason(error)}. {other} the artifact again if the file is damaged."
    )


def imported() -> Any:
    """The package `openvino`. Raises a CompressError where it is not installed, with the way to install it."""
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise CompressError(f"The runtime 'openvino' needs a package: {RUNTIME.how_to_install}") from error
    return openvino


def check_target(folder: Path, *, generates: bool) -> None:
    """Raises a CompressError where no artifact for OpenVINO can be made: of a generative model, or without the package."""
    if generates:
        raise CompressError(f"{folder} is a generative model, which openvino does not run. Leave the target out.")
    imported()


def reason(error: Exception) -> str:
    """Of OpenVINO's many lines the last, which says what is wrong."""
    lines = [line.strip().removeprefix("-- ") for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1].rstrip(".")[:300]


def why_not(artifact: Artifact, device: str) -> str | None:
    """It is used on CPUs only, and a bf16 artifact needs a processor that multiplies in bf16."""
    if device != "cpu":
        return "OpenVINO runs on the CPU here: measure with `device: cpu`"
    if artifact.precision == "bf16" and artifact.format == "openvino" and not _multiplies_bf16():
        return "this processor has no bf16 products, so OpenVINO would compute in fp32"
    return None


def _multiplies_bf16() -> bool:
    return "BF16" in imported().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


RUNTIME = Runtime(
    name="openvino",
    formats=frozenset({"onnx", "openvino"}),
    packages=("openvino",),
    extra="openvino",
    imports=("openvino", "numpy"),
    open=open_session,
    why_not=why_not,
    options={DEFAULT: PROPERTIES},
)
