"""Store and compute in fewer bits after training: int8, fp16 or bf16.

int8 gives an ONNX artifact: dynamic takes the activations' ranges at each call, static takes them once from a calibration
set. Weights have a scale for each output channel, and embeddings are quantized too. fp16 gives an ONNX artifact; bf16
gives a torch checkpoint, since ONNX Runtime has no bf16 kernels on a CPU. MODEL is a torch artifact (exported first) or
an ONNX one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from compress.artifact import Artifact
from compress.errors import CompressError
from compress.quantization.int8_settings import Int8Settings
from compress.technique import Made, Technique, Work


class Quantize(Int8Settings):
    """What is stored and computed in fewer bits, and how."""

    precision: Literal["int8", "fp16", "bf16"] = Field("int8", description="The precision to store and compute in.")
    mode: Literal["dynamic", "static"] = Field(
        "dynamic", description="int8: ranges of activations at each call, or once from the calibration set."
    )

    @model_validator(mode="after")
    def _dynamic_has_no_fixed_ranges(self) -> Quantize:
        if self.precision == "int8" and self.mode == "dynamic":
            for name in ("smooth", "attention", "weights", "activations"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"'{name}' is a choice of static quantization: set mode to static too")
        return self


def _run(work: Work) -> Made:
    settings, source = work.settings, work.source
    if settings.precision == "bf16":
        return _bf16(work)
    from compress import exporting
    from compress.onnx import parity

    if source.format == "torch":
        found = exporting.exported(source, work.task, work.cache)
        graph, facts = found.graph, {**found.facts, "parity": found.parity}
    else:
        graph, facts = source.folder / source.parts["model"], {}
    target = work.folder / "model.onnx"
    made: dict[str, Any] = {}
    if settings.precision == "fp16":
        from compress.onnx.precision import to_fp16

        to_fp16(graph, target)
    else:
        made = _int8(work, graph, target)
    parts = exporting.finish_folder(source, work.folder, target)
    from compress.models import tokenizer

    its_tokenizer = tokenizer(work.folder)
    rows, where = exporting.parity_rows(its_tokenizer, work.task)
    padding = {"input_ids": its_tokenizer.pad_token_id or 0}
    compare = parity.check if settings.precision == "fp16" else parity.compare
    gap = compare(target, graph, rows, precision=settings.precision, padding=padding)
    return Made(
        "onnx",
        settings.precision,
        parts,
        facts={key: value for key, value in facts.items() if key != "parity"},
        step_facts={
            **({"parity of the fp32 graph": facts["parity"]} if "parity" in facts else {}),
            "gap to fp32": {**gap.to_dict(), "rows_from": where},
            **made,
        },
    )


def _int8(work: Work, graph: Any, target: Any) -> dict[str, Any]:
    from compress.onnx.kernels import integer_kernels

    settings = work.settings
    if settings.mode == "dynamic":
        from compress.onnx.dynamic import DynamicSettings, quantize_dynamic

        scheme = quantize_dynamic(graph, target, DynamicSettings(settings.embeddings, settings.exclude))
    else:
        from compress.int8 import static_scheme
        from compress.onnx.qdq import write_scheme

        scheme = static_scheme(graph, work.source.folder, work.task, settings)
        write_scheme(graph, target, scheme)
    scheme.save(work.folder / "scheme.safetensors")
    return {"layers_quantized": len(scheme), "kernels": dict(Counter(integer_kernels(target).values()))}


def _bf16(work: Work) -> Made:
    import torch

    from compress import models

    model = models.load(work.source).to(torch.bfloat16)
    models.save(model, models.tokenizer(work.source.folder), work.folder)
    return Made("torch", "bf16")


def _reads(settings: Any, task: Mapping[str, Any] | None) -> dict[str, Any]:
    if not _calibrates(settings):
        return {}
    from compress import calibration

    return {"calibration": calibration.identity(settings.calibration, task or {})}


def _check(settings: Any, source: Artifact, task: Mapping[str, Any] | None) -> None:
    if source.precision != "fp32":
        raise CompressError(
            f"{source.folder} is {source.precision} already. Quantize the fp32 artifact that it was made from."
        )
    if settings.precision == "bf16" and source.format == "onnx":
        raise CompressError(
            f"bf16 gives a torch checkpoint, and {source.folder} is onnx. Start from the torch artifact it was exported from."
        )
    if _calibrates(settings):
        from compress import calibration

        calibration.check(settings.calibration, task)


def _calibrates(settings: Any) -> bool:
    return bool(settings.precision == "int8" and settings.mode == "static" and settings.calibrates)


TECHNIQUE = Technique(
    name="quantize",
    settings=Quantize,
    run=_run,
    accepts=frozenset({"torch", "onnx"}),
    gives=lambda settings: ("torch" if settings.precision == "bf16" else "onnx", settings.precision),
    reads=_reads,
    check=_check,
    example="compress quantize runs/student --precision int8 --mode dynamic -o runs/int8",
)
