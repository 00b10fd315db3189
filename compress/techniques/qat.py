"""Train a model with fake quantization, so that it is accurate in int8 (quantization-aware training, QAT).

Training starts from static quantization with the same settings. Weights, step sizes and zero points are then learned together
(LSQ+), with the unquantized model as the teacher. The result is an ONNX artifact that ONNX Runtime runs with integer kernels;
its scales are exactly the trained ones. A generative model learns its teacher's next-token distributions, and matches hidden
layers only if asked to.
"""

from __future__ import annotations

from typing import Any

from compress.core.artifact import Artifact
from compress.core.errors import CompressError, listing
from compress.quantization.qat_settings import READ, Qat
from compress.tasks.task import DescribedTask
from compress.tasks.technique import Made, Technique, Work


def _run(work: Work[Qat]) -> Made:
    from compress.quantization.qat import train

    return train(work)


def _reads(settings: Qat, task: DescribedTask | None) -> dict[str, Any]:
    from compress.data import calibration
    from compress.data.tokenized import identity

    found = identity(task)
    if task is not None and settings.calibrates:
        found["calibration"] = calibration.identity(settings.calibration, task)
    return found


def _check(settings: Qat, source: Artifact, task: DescribedTask | None) -> None:
    from compress.data import calibration
    from compress.data.tokenized import check_max_length

    check_max_length(settings, task)
    # What was stored in 16 bits is trained in fp32; what a step made of fewer bits is not.
    if source.precision != "fp32" and any(step.technique in ("quantize", "qat") for step in source.steps):
        raise CompressError(
            f"{source.folder} is {source.precision} already. Train the fp32 artifact that it was made from."
        )
    if settings.calibrates:
        calibration.check(settings.calibration, task)


def _check_model(settings: Qat, source: Artifact, task: DescribedTask | None) -> None:
    from compress.models import load as models
    from compress.models.families.families import family

    family(models.config(source.folder))
    if task is not None:
        models.check_labels(source.folder, task.task)
    _check_kind(settings, source)


def _check_kind(settings: Qat, source: Artifact) -> None:
    """Raises a CompressError where a setting is for models of the other kind."""
    from compress.models import load as models

    if not models.generates(source.folder):
        if settings.given():
            raise CompressError(
                f"{settings.given()[0]} is for generative models, and {source.folder} is a classifier. Leave it out."
            )
        return
    if settings.decoder_layers is not None or settings.encoder_layers is not None:
        raise CompressError("QAT keeps all layers. Use `compress distill` or `compress prune` before it.")
    weights = ("hidden_weight", "attention_weight", "relation_weight", "embedding_weight")
    matched = [name for name in weights if name in settings.model_fields_set and getattr(settings, name).highest > 0]
    if settings.intermediate_epochs and not matched:
        raise CompressError(
            "intermediate_epochs needs something to match, and in a generative model nothing is by default. Give one of: "
            f"{listing(weights)}."
        )
    if settings.attention_matmuls != "none":
        raise CompressError("The attention MatMuls are quantized in encoders only. Leave attention_matmuls at none.")
    if settings.opset is not None:
        raise CompressError("opset is for encoders: a generative model's attention is not fused. Leave it out.")


TECHNIQUE = Technique(
    name="qat",
    settings=Qat,
    run=_run,
    accepts=frozenset({"torch"}),
    gives=lambda settings: ("onnx", "int8"),
    reads=_reads,
    in_task_order=True,
    read_when=READ,
    check=_check,
    check_model=_check_model,
    needs_task=True,
    example="compress qat runs/student -o runs/qat",
)
