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
from compress.core.settings import Settings
from compress.core.unread_settings import ReadWhen
from compress.tasks.task import DescribedTask
from compress.tasks.technique import Made, Technique, Work


class Export(Settings):
    """The graph's execution provider."""

    HEADING = "Export"

    provider: Literal["cpu", "cuda"] = Field(
        "cpu", description="Execution provider to optimize for; graphs for cuda are not fused."
    )
    fuse: bool = Field(True, description="Apply ONNX Runtime's transformer fusions (encoders).")


def _run(work: Work[Export]) -> Made:
    from compress.onnx import exported as exporting

    settings = work.settings
    found = exporting.exported(work.source, work.task, work.cache, provider=settings.provider, fuse=settings.fuse)
    parts = exporting.finish_folder(work.source, work.folder, found.paths)
    return Made("onnx", "fp32", parts, facts=found.facts, step_facts={"parity": found.parity})


READ = (ReadWhen(("fuse",), lambda one: one.provider == "cpu", "with provider cpu"),)


def _check_model(settings: Export, source: Artifact, task: DescribedTask | None) -> None:
    from compress.models import load as models

    if "fuse" in settings.model_fields_set and models.generates(source.folder):
        raise CompressError(
            f"'fuse' is for classifiers, and {source.folder} is a generative model, whose graphs are not fused. Leave it out."
        )
    if task is not None:
        models.check_labels(source.folder, task.task)


TECHNIQUE = Technique(
    name="export",
    settings=Export,
    run=_run,
    accepts=frozenset({"torch"}),
    gives=lambda settings: ("onnx", "fp32"),
    read_when=READ,
    check_model=_check_model,
    example="compress export runs/student -o runs/student-onnx",
)
