"""Static int8: makes a quantization scheme from the settings, a graph and a calibration set.

How observed values become a range (min-max, percentile, entropy, MSE) is in `compress.quantization.observers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from compress.core.progress import say
from compress.data import calibration
from compress.data.max_lengths import fitted
from compress.data.model_rows import batches
from compress.models.load import config, tokenizer
from compress.models.reading_length import positions
from compress.onnx.observed import Runner, by_generation, by_rows
from compress.quantization import exclusion
from compress.quantization.graphs.static import StaticSettings, calibrate_by
from compress.quantization.int8_settings import Int8Settings
from compress.quantization.scheme import Scheme
from compress.tasks.task import DescribedTask

BATCH_SIZE = 16
CONTINUED = 32
"""How many tokens a decoder writes after a window of text."""


def static_schemes(
    graphs: Mapping[str, Path],
    parts: Sequence[str],
    folder: Path,
    described: DescribedTask | None,
    settings: Int8Settings,
) -> dict[str, Scheme]:
    """The schemes that quantize some of a model's fp32 graphs with fixed ranges, by part.

    Quantizing after training writes them as they are, and quantization-aware training starts from them, so that the second
    begins exactly where the first ended.

    Args:
        graphs: the fp32 graphs by part: a classifier's `model`, calibrated on rows; or those of a generative export, calibrated
            while it generates.
        parts: those to quantize.
        folder: the artifact's, which holds its tokenizer and configs.
        described: the task whose training rows are read, unless only weights are quantized.

    Raises:
        CompressError: the calibration set or the task does not fit, or a graph has nothing to quantize.
    """
    exclusion.check(settings, [graphs[part] for part in parts])
    runner = _runner(graphs, folder, described, settings) if settings.calibrates else lambda part: by_rows(())
    chosen = static_settings(settings)
    return {part: calibrate_by(graphs[part], runner(part), chosen) for part in parts}


def _runner(
    graphs: Mapping[str, Path], folder: Path, described: DescribedTask | None, settings: Int8Settings
) -> Callable[[str], Runner]:
    """Runs a component on the calibration set."""
    described = calibration.needed(settings.calibration, described)
    its_tokenizer, its_config = tokenizer(folder), config(folder)
    rows = calibration.rows(settings.calibration, described, its_tokenizer, its_config)
    say(f"{folder.name}: calibrating on {len(rows)} rows.")
    if "model" in graphs:
        padded = list(batches(rows, BATCH_SIZE, its_tokenizer.pad_token_id or 0))
        return lambda part: by_rows(padded)
    task = described.task
    said = fitted(task, its_config).generation
    prompts, new_tokens = [row["input_ids"] for row in rows], CONTINUED
    if task.of_kind.has_references and said is not None:
        new_tokens = said.max_target
    elif (most := positions(its_config)) is not None:
        new_tokens = min(CONTINUED, most // 2)
        prompts = [row[: most - new_tokens] for row in prompts]
    ends = (its_tokenizer.pad_token_id, its_config.pad_token_id, its_tokenizer.eos_token_id, 0)
    padding = next(one for one in ends if one is not None)
    return lambda part: by_generation(graphs, part, folder, prompts, new_tokens=new_tokens, padding=padding)


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
