"""From the settings for int8 to a scheme: the one place where they meet a graph and its calibration set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compress.data import calibration
from compress.models.reading_length import positions
from compress.quantization import exclusion
from compress.quantization.graphs.static import StaticSettings, calibrate
from compress.quantization.int8_settings import Int8Settings
from compress.quantization.scheme import Scheme

BATCH_SIZE = 16
CONTINUED = 32
"""How many tokens a decoder writes after a window of text."""


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
    from compress.models.load import config, tokenizer

    exclusion.check(settings, [graph])
    if not settings.calibrates:
        return calibrate(graph, (), static_settings(settings))
    its_tokenizer = tokenizer(folder)
    rows = calibration.rows(settings.calibration, task or {}, its_tokenizer, config(folder))
    batches = calibration.batches(rows, BATCH_SIZE, its_tokenizer.pad_token_id or 0)
    return calibrate(graph, batches, static_settings(settings))


def schemes_of_parts(
    graphs: Mapping[str, Path],
    parts: Sequence[str],
    folder: Path,
    task: Mapping[str, Any] | None,
    settings: Int8Settings,
) -> dict[str, Scheme]:
    """The schemes that quantize parts of a generative export with fixed ranges, calibrated while it generates.

    Args:
        graphs: the fp32 graphs by part.
        parts: those to quantize.
        folder: the artifact's, which holds its tokenizer and configs.
        task: whose training rows are read, unless weights alone are quantized.

    Raises:
        CompressError: as `static_scheme`, or attention is to be quantized, which only a classifier's graph can.
    """
    from compress.data import loading
    from compress.data.max_lengths import fitted
    from compress.models.load import config, tokenizer
    from compress.quantization.calibrate_decoding import decoding
    from compress.quantization.graphs.static import calibrate_by

    chosen = static_settings(settings)
    exclusion.check(settings, [graphs[part] for part in parts])
    if not settings.calibrates:
        return {part: calibrate(graphs[part], (), chosen) for part in parts}
    its_tokenizer, its_config = tokenizer(folder), config(folder)
    described, _ = loading.resolve(dict(task or {}))
    said = fitted(described, its_config).generation
    rows, new_tokens = calibration.prompts(settings.calibration, task or {}, its_tokenizer, its_config), CONTINUED
    if described.of_kind.has_references and said is not None:
        new_tokens = said.max_target
    elif (most := positions(its_config)) is not None:
        new_tokens = min(CONTINUED, most // 2)
        rows = [row[: most - new_tokens] for row in rows]
    ends = (its_tokenizer.pad_token_id, its_config.pad_token_id, its_tokenizer.eos_token_id, 0)
    padding = next(one for one in ends if one is not None)
    return {
        part: calibrate_by(
            graphs[part], decoding(graphs, part, folder, rows, new_tokens=new_tokens, padding=padding), chosen
        )
        for part in parts
    }


def static_settings(settings: Int8Settings) -> StaticSettings:
    """The same choices in the terms of `compress.onnx`."""
    return StaticSettings(
        method=settings.calibration_method,
        embeddings=settings.embeddings,
        exclude=settings.exclude,
        wide=settings.outlier_layers,
        smooth=settings.smoothquant_alpha,
        weights=settings.weight_dtype,
        activations=settings.activation_dtype,
        attention=settings.attention_matmuls,
    )
