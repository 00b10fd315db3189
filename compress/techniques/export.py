"""Write the model as ONNX, ready to serve: any batch and length, its tokenizer and config beside it.

A classifier is one file, fused for the execution provider. A model that writes text (T5, BART, GPT-2, Llama, BLOOM) has a graph
for decoding with a key-value cache, one for its encoder where it has one, and one file of weights for both. What is written
is compared with the torch model on real rows at several shapes (batch 1 and larger, padded and not; the prompt, and tokens
decoded after it), and refused when the gap is beyond the stated tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.settings import Settings
from compress.core.technique import Made, Technique, Work, finished
from compress.core.unread_settings import ReadWhen, refuse_unread


class Export(Settings):
    """What the graph is made for."""

    provider: Literal["cpu", "cuda"] = Field(
        "cpu", description="The execution provider; for cuda the graph stays as exported."
    )
    fuse: bool = Field(True, description="Fuse a classifier's graph; without, it is as the exporter wrote it.")


def _run(work: Work) -> Made:
    from compress.onnx import exported as exporting

    settings = work.settings
    found = exporting.exported(work.source, work.task, work.cache, provider=settings.provider, fuse=settings.fuse)
    parts = exporting.finish_folder(work.source, work.folder, found.paths)
    return Made("onnx", "fp32", parts, facts=found.facts, step_facts={"parity": found.parity})


READ = (ReadWhen(("fuse",), lambda one: one.provider == "cpu", "with provider cpu"),)


def _check(settings: Any, source: Artifact, task: Mapping[str, Any] | None) -> None:
    from compress.data import loading
    from compress.models import load as models

    refuse_unread(settings, READ)
    if source.steps and not finished(source.folder, source.fingerprint()):
        return  # what a step of the same pipeline will make is not there to be looked at
    if "fuse" in settings.model_fields_set and models.generates(source.folder):
        raise CompressError(
            f"'fuse' is for classifiers, and {source.folder} is a generative model, whose graphs are not fused. Leave it out."
        )
    if task is not None:
        models.check_labels(source.folder, loading.resolve(dict(task))[0])


TECHNIQUE = Technique(
    name="export",
    settings=Export,
    run=_run,
    accepts=frozenset({"torch"}),
    gives=lambda settings: ("onnx", "fp32"),
    check=_check,
    example="compress export runs/student -o runs/student-onnx",
)
