"""Write the model as ONNX, ready to serve: one file, any batch and length, its tokenizer and config beside it.

The graph is fused for the execution provider, then compared with the torch model on real rows at several shapes (batch
1 and larger, padded and not), and refused when the gap is beyond the stated tolerance.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from compress.settings import Settings
from compress.technique import Made, Technique, Work


class Export(Settings):
    """What the graph is made for."""

    provider: Literal["cpu", "cuda"] = Field(
        "cpu", description="The execution provider; for cuda the graph stays as exported."
    )
    fuse: bool = Field(True, description="Fuse the graph; without, it is as the exporter wrote it.")


def _run(work: Work) -> Made:
    from compress import exporting

    settings = work.settings
    found = exporting.exported(work.source, work.task, work.cache, provider=settings.provider, fuse=settings.fuse)
    parts = exporting.finish_folder(work.source, work.folder, found.graph)
    return Made("onnx", "fp32", parts, facts=found.facts, step_facts={"parity": found.parity})


TECHNIQUE = Technique(
    name="export",
    settings=Export,
    run=_run,
    accepts=frozenset({"torch"}),
    gives=lambda settings: ("onnx", "fp32"),
    example="compress export runs/student -o runs/student-onnx",
)
