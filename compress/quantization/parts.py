"""Quantizes a generative export component by component: each graph in its own precision, one weights file for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.errors import CompressError
from compress.core.progress import during
from compress.onnx.fold_transposes import fold_transposes
from compress.onnx.parity import TOLERANCE, Parity
from compress.onnx.parity_with_cache import check_generation, compare_generation
from compress.onnx.shared_weights import share_weights
from compress.runtimes.sessions_with_cache import DECODE, ENCODER, open_generation

FLOAT = ("fp32", "fp16")
"""Precisions in which a head that is tied to the embeddings stays one matrix with them; integers of the two differ."""

Writer = Callable[[str, Path, Path], Mapping[str, Any]]
"""(part, fp32 graph, target): writes the graph in fewer bits; returns the metadata to record."""


def precisions(parts: Iterable[str], whole: str, encoder: str | None, decoder: str | None) -> dict[str, str]:
    """The precision of each component: its own, or the whole model's.

    The encoder's graph also holds the projections that make the cross-attention's keys and values of its states. The
    decoder's precision is that of `decode`, and of `prefill` where there is one.

    """
    return {part: (encoder if part == ENCODER else decoder) or whole for part in parts}


def check(has_encoder: bool, whole: str, encoder: str | None, decoder: str | None) -> None:
    """Whether a generative model, with an encoder or without one, can have these precisions.

    Raises:
        CompressError: a component is named that the model has not, or nothing would change.
    """
    if encoder is not None and not has_encoder:
        raise CompressError("The model is a decoder: it has no encoder to give a precision. Leave out `encoder`.")
    parts = [ENCODER, DECODE] if has_encoder else [DECODE]
    if set(precisions(parts, whole, encoder, decoder).values()) == {"fp32"}:
        raise CompressError(
            "Every component would stay fp32, so there is nothing to quantize. Export the model instead."
        )


def folded(graphs: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """The fp32 graphs with each transposed weight as a constant, as quantizers look for, and their weights in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {part: folder / path.name for part, path in graphs.items()}
    for part, path in graphs.items():
        fold_transposes(path, made[part])
    share_weights(list(made.values()))
    return made


def write(
    graphs: Mapping[str, Path],
    ready: Mapping[str, Path],
    folder: Path,
    chosen: Mapping[str, str],
    writers: Mapping[str, Writer],
) -> tuple[dict[str, Path], dict[str, Mapping[str, Any]]]:
    """Write each component into a folder, in its precision; returns the files and metadata by component.

    Args:
        graphs: the fp32 export; a part in fp32 is written as it is there.
        ready: the same `folded`, for integers.
        chosen: the parts' precisions.
        writers: by precision.

    Raises:
        CompressError: a writer refuses its graph.
    """
    made = {part: folder / path.name for part, path in graphs.items()}
    told: dict[str, Mapping[str, Any]] = {}
    for part, precision in chosen.items():
        source = (graphs if precision in FLOAT else ready)[part]
        if precision == "fp32":
            made[part].parent.mkdir(parents=True, exist_ok=True)
            _inline(source, made[part])
        else:
            with during(f"{part}: quantizing to {precision}"):
                told[part] = writers[precision](part, source, made[part])
    share_weights(list(made.values()))
    return made, told


def gap(
    graphs: Mapping[str, Path], reference: Mapping[str, Path], folder: Path, rows: Sequence[np.ndarray], precision: str
) -> Parity:
    """The difference between the logits of graphs and of their fp32 `reference`, each with its own cache.

    Args:
        folder: holds the config and the generation config.
        rows: encoded prompts, [length] each.
        precision: fp16 is refused beyond its tolerance; others are compared only.

    Raises:
        CompressError: the gap is beyond the tolerance.
    """
    from compress.runtimes.onnx_generation import open_generator_in
    from compress.runtimes.runtime import Serving

    whole = open_generator_in(folder, {part: str(path.resolve()) for part, path in reference.items()}, Serving())
    compare = check_generation if precision in TOLERANCE else compare_generation
    return compare(open_generation(graphs, threads=1), whole, rows, precision=precision)


def _inline(source: Path, target: Path) -> None:
    import onnx

    onnx.save(onnx.load(str(source)), str(target))
