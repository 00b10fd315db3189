"""SmoothQuant: moves outliers of a product's input into its weight, which has one scale per output.

Xiao et al. 2022, SmoothQuant: x @ W.T = (x / s) @ (W * s).T for factors s, one for each input channel.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx

from compress.core.errors import CompressError
from compress.onnx.graph import Graph, attribute

FARTHEST = 1e3  # from the median factor; a channel that calibration hardly lit must not be blown up without bound


class Peaks:
    """The largest magnitude of each channel, the last axis, over all batches: float32, [channels]."""

    def __init__(self) -> None:
        self.largest = np.zeros((), np.float32)

    def see(self, values: np.ndarray) -> None:
        """Raises CompressError for NaN or infinity."""
        if values.size:
            seen = np.abs(values).max(axis=tuple(range(values.ndim - 1)))
            if not np.isfinite(seen).all():
                raise CompressError(
                    "The calibration saw NaN or infinity in an activation. Check the model and its inputs."
                )
            self.largest = np.maximum(self.largest, seen)


def factors(peaks: np.ndarray, weights: Iterable[np.ndarray], alpha: float) -> np.ndarray:
    """s_j = max|x_j|^alpha / max|W_j|^(1 - alpha) (equation 4), [inputs], float32, above 0.

    A channel that is always 0, or that no weight reads, gets the median of the others, and none is farther from it than
    `FARTHEST` times.

    Args:
        peaks: max|x_j|, [inputs].
        weights: of the products that read this input, [outputs, inputs] each.
        alpha: 0 to 1; more of it moves more of the outliers into the weights.
    """
    columns = np.max([np.abs(weight).max(axis=0) for weight in weights], axis=0)
    lit = (peaks > 0) & (columns > 0)
    if not lit.any():
        return np.ones(columns.shape, np.float32)
    found = np.ones(columns.shape)
    found[lit] = peaks[lit].astype(float) ** alpha / columns[lit].astype(float) ** (1 - alpha)
    median = float(np.median(found[lit]))
    found[~lit] = median
    return np.clip(found, median / FARTHEST, median * FARTHEST).astype(np.float32)


def reciprocal(smooth: np.ndarray) -> np.ndarray:
    """The factors of the input, float32."""
    return np.float32(1) / smooth.astype(np.float32)


def smooth_inputs(graph: Graph, smoothed: Iterable[tuple[onnx.NodeProto, np.ndarray]]) -> None:
    """Multiply the first input of each product by the reciprocal of its factors, once for all products that share both.

    Where a LayerNormalization makes the input for these products alone, its own weight and bias take the factors up.
    The products' weights are not touched: they are quantized with the factors (`Layer.integers`).
    """
    groups: dict[str, dict[bytes, list[tuple[onnx.NodeProto, np.ndarray]]]] = {}
    for node, smooth in smoothed:
        groups.setdefault(node.input[0], {}).setdefault(smooth.tobytes(), []).append((node, smooth))
    for source, alike in groups.items():
        for group in alike.values():
            nodes, by = [node for node, _ in group], reciprocal(group[0][1])
            if len(alike) == 1 and _fold(graph, source, nodes, by):
                continue
            constant = graph.add_constant(f"{nodes[0].input[1]}.smooth_reciprocal", by)
            (value,) = graph.add("Mul", [source, constant], stem=f"{source}.smoothed")
            graph.replace(source, value, readers=nodes)


def _fold(graph: Graph, source: str, nodes: list[onnx.NodeProto], by: np.ndarray) -> bool:
    maker = graph.maker(source, "LayerNormalization")
    read_elsewhere = any(all(reader is not node for node in nodes) for reader in graph.readers(source))
    if maker is None or maker.output[0] != source or read_elsewhere or source in graph.outputs:
        return False
    parts = [name for name in maker.input[1:] if name]
    if attribute(maker, "axis", -1) != -1 or any(
        name not in graph.constants or graph.constants[name].shape != by.shape for name in parts
    ):
        return False
    for name in parts:
        graph.replace(name, graph.add_constant(f"{name}.smoothed", graph.constants[name] * by), readers=[maker])
    return True
