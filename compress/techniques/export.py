"""Export the model to ONNX with dynamic batch size and sequence length, and with its tokenizer and config.

A classifier becomes one graph, fused for the execution provider. A generative model (T5, BART, Llama, BLOOM, ...) becomes a
decoder graph with a key-value cache, an encoder graph if it has an encoder, and one file of shared weights. The graphs are
compared with the torch model on real rows at several shapes (batch 1 and larger, padded and not; prefill and decode). An
export whose difference exceeds the stated tolerance is refused.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.unread_settings import ReadWhen
from compress.onnx.graph_settings import GraphSettings
from compress.tasks.task import DescribedTask
from compress.tasks.technique import Made, Technique, Work


class Export(GraphSettings):
    """The graph's execution provider."""

    HEADING = "Export"

    target: Literal["onnx_runtime", "openvino"] = Field(
        "onnx_runtime",
        # A fingerprint without it is what it was before there was one.
        exclude_if=lambda value: value == "onnx_runtime",
        description="Runtime that the artifact is for; openvino: OpenVINO's own files, of models that do not generate.",
    )
    provider: Literal["cpu", "cuda"] = Field(
        "cpu", description="Execution provider to optimize for; graphs for cuda are not fused."
    )
    fuse: bool = Field(True, description="Apply ONNX Runtime's transformer fusions (encoders).")


def _run(work: Work[Export]) -> Made:
    from compress.onnx import exported as exporting

    settings = work.settings
    if settings.target == "openvino":
        return _for_openvino(work)
    found = exporting.exported(
        work.source, work.task, work.cache, provider=settings.provider, fuse=settings.fuse, opset=settings.opset
    )
    parts = exporting.finish_folder(work.source, work.folder, found.paths)
    return Made("onnx", "fp32", parts, facts=found.facts, step_facts={"parity": found.parity})


def _for_openvino(work: Work[Export]) -> Made:
    """OpenVINO finds its fusions itself, in the graph as exported; its files are compared with that graph."""
    from compress.onnx import exported as exporting
    from compress.onnx import openvino_file

    found = exporting.exported(work.source, work.task, work.cache, fuse=False)
    target = work.folder / openvino_file.MODEL
    openvino_file.convert(found.graph, target)
    parity = exporting.same_graph(target, found.graph, work.source, work.task)
    return Made(
        "openvino",
        "fp32",
        exporting.finish_folder(work.source, work.folder, {"model": target}),
        facts={**found.facts, "graph": {}},
        step_facts={"parity": found.parity, "gap to ONNX": parity},
    )


READ = (
    ReadWhen(("fuse", "provider", "opset"), lambda one: one.target == "onnx_runtime", "with target onnx_runtime"),
    ReadWhen(("fuse",), lambda one: one.provider == "cpu", "with provider cpu"),
    ReadWhen(("opset",), lambda one: one.provider == "cpu" and one.fuse, "where the graph is fused for provider cpu"),
)


def _check_model(settings: Export, source: Artifact, task: DescribedTask | None) -> None:
    from compress.models import load as models

    given = next((name for name in ("fuse", "opset") if name in settings.model_fields_set), None)
    if given and models.generates(source.folder):
        raise CompressError(
            f"'{given}' is for classifiers, and {source.folder} is a generative model, whose graphs are not fused. Leave it out."
        )
    if settings.target == "openvino":
        from compress.runtimes.openvino_ import check_target

        check_target(source.folder, generates=models.generates(source.folder))
    if task is not None:
        models.check_labels(source.folder, task.task)


TECHNIQUE = Technique(
    name="export",
    settings=Export,
    run=_run,
    accepts=frozenset({"torch"}),
    gives=lambda settings: ("openvino" if settings.target == "openvino" else "onnx", "fp32"),
    read_when=READ,
    check_model=_check_model,
    example="compress export runs/student -o runs/student-onnx",
)
