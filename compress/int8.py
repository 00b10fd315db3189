"""From the settings for int8 to a scheme: the one place where they meet a graph and its calibration set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress import calibration
from compress.onnx.static import StaticSettings, calibrate
from compress.quantization.int8_settings import Int8Settings
from compress.quantization.scheme import Scheme

BATCH_SIZE = 16


def static_scheme(graph: Path, folder: Path, task: Mapping[str, Any] | None, settings: Int8Settings) -> Scheme:
    """The scheme that quantizes the fp32 graph of an artifact with fixed ranges.

    Quantizing after training writes it as it is, and quantization-aware training starts from it, so that the second
    begins exactly where the first ended.

    Args:
        graph: the fp32 graph, `exporting.exported`'s for a torch artifact.
        folder: the artifact's, which holds its tokenizer.
        task: whose training rows are read, unless weights alone are quantized.

    Raises:
        CompressError: the calibration set or the task does not fit, or the graph has nothing to quantize.
    """
    from compress.models import tokenizer

    if not settings.calibrates:
        return calibrate(graph, (), static_settings(settings))
    its_tokenizer = tokenizer(folder)
    rows = calibration.rows(settings.calibration, task or {}, its_tokenizer)
    batches = calibration.batches(rows, BATCH_SIZE, its_tokenizer.pad_token_id or 0)
    return calibrate(graph, batches, static_settings(settings))


def static_settings(settings: Int8Settings) -> StaticSettings:
    """The same choices in the terms of `compress.onnx`."""
    return StaticSettings(
        method=settings.ranges,
        embeddings=settings.embeddings,
        exclude=settings.exclude,
        wide=settings.wide,
        smooth=settings.smooth,
        weights=settings.weights,
        activations=settings.activations,
        attention=settings.attention,
    )
