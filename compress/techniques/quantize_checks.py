"""What `quantize` refuses before it works: sources, options and models that do not fit together."""

from __future__ import annotations

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.models.load import kind_of
from compress.quantization.quantize_settings import Quantize
from compress.tasks.task import DescribedTask


def check_source(settings: Quantize, source: Artifact, task: DescribedTask | None) -> None:
    """What the settings and the manifest alone refuse.

    Raises:
        CompressError: the source is quantized already, or settings do not fit it.
    """
    quantized = [step for step in source.steps if step.technique in ("quantize", "qat")]
    if source.precision != "fp32" and (quantized or source.format == "onnx"):
        raise CompressError(
            f"{source.folder} is {source.precision} already. Quantize the fp32 artifact that it was made from."
        )
    if settings.precision == "bf16" and source.format == "onnx" and settings.target == "onnx_runtime":
        raise CompressError(
            f"bf16 gives a torch checkpoint, and {source.folder} is onnx. Start from the torch artifact it was exported from."
        )
    if settings.max_drop is not None and task is None:
        raise CompressError(
            f"max_drop is measured on a task's held-out rows, and {source.folder} has no task of its own. Name it, for example "
            "`--task sst2 --data DIR`."
        )
    _check_weights(settings, source)


def check_model(settings: Quantize, source: Artifact, task: DescribedTask | None) -> None:
    """What the model's config and tokenizer refuse.

    Raises:
        CompressError: settings or task do not fit the model.
    """
    if settings.target == "openvino":
        from compress.models.load import generates
        from compress.runtimes.openvino_ import check_target

        check_target(source.folder, generates=generates(source.folder))
    _check_components(settings, source)
    if settings.max_drop is not None:
        from compress.quantization.sensitivity_settings import refuse_generative

        refuse_generative(source, "max_drop")
    if task is not None:
        from compress.models.load import check_labels

        check_labels(source.folder, task.task, is_kept=True)


def _check_weights(settings: Quantize, source: Artifact) -> None:
    if source.format == "onnx" and (settings.is_torch or settings.reads_rows_for_weights):
        why = (
            f"mode {settings.mode} gives a torch checkpoint"
            if settings.is_torch
            else "GPTQ runs the calibration rows through the torch model"
        )
        raise CompressError(
            f"{why}, and {source.folder} is onnx. Start from the torch artifact it was exported from"
            f"{'' if settings.is_torch else ', or set rounding to nearest'}."
        )
    if settings.mode == "bitsandbytes":
        from compress.models.pretrained import needs_bitsandbytes

        needs_bitsandbytes("mode bitsandbytes")


def _check_components(settings: Quantize, source: Artifact) -> None:
    kind = kind_of(source.folder)
    if settings.mode == "gptq" and (kind is None or not kind.generates or kind.has_encoder):
        raise CompressError(
            f"GPTQ checkpoints are for decoders, and {source.folder} is not one. Set mode to weights and rounding to gptq: that "
            "stores GPTQ's integers in an ONNX artifact."
        )
    if kind is None or not kind.generates:
        if settings.encoder or settings.decoder:
            raise CompressError(
                f"{source.folder} is a classifier, without separate encoder and decoder. Leave encoder and decoder out."
            )
        return
    if settings.precision == "bf16" and (settings.encoder or settings.decoder):
        raise CompressError("bf16 gives a torch checkpoint, which has one precision. Leave encoder and decoder out.")
    if settings.precision != "bf16" and not settings.is_torch:
        from compress.quantization.parts import check

        check(kind.has_encoder, settings.precision, settings.encoder, settings.decoder)
    if settings.attention_matmuls != "none":
        raise CompressError(
            f"attention_matmuls is for encoders, and {source.folder} is a generative model, whose attention stays in floating "
            "point. Leave it out."
        )
    if settings.opset is not None:
        raise CompressError(
            f"opset is for encoders, and {source.folder} is a generative model, whose attention is not fused. Leave it out."
        )
