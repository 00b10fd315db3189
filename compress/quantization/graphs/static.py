"""Static int8: runs the float graph on calibration batches and observes its activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from compress.core.errors import CompressError
from compress.onnx.graph import Graph
from compress.onnx.observed import Runner, by_rows, observe_values
from compress.onnx.standard_attention import restore_attention
from compress.quantization.graphs.attention_products import open_products
from compress.quantization.graphs.dynamic import tables_scheme
from compress.quantization.graphs.layers import Product, products, refuse_quantized
from compress.quantization.graphs.qdq import write_scheme
from compress.quantization.graphs.smoothing import Peaks, factors, reciprocal
from compress.quantization.observers import Observer, observer
from compress.quantization.scheme import Layer, Scheme, affine, symmetric

Batch = dict[str, np.ndarray]  # [rows, length] by input name; batches may differ in shape
AnyObserver = TypeVar("AnyObserver", Observer, Peaks)


@dataclass(frozen=True)
class StaticSettings:
    """How to quantize with fixed ranges.

    method: minmax, percentile, entropy or mse. embeddings: quantize the tables too. exclude: patterns (as in a shell)
    of module names left in float. wide: what to do with products that narrow (the feed-forward's second), whose input
    holds a transformer's outliers: `dynamic` takes their range at each call, `static` fixes it as all others,
    `float` leaves them as they are, `uint16` fixes it in 16 bits. smooth: SmoothQuant's alpha, 0 to 1, 0 for none.
    weights: int8 or int4, of products; tables are int8. activations: uint8, or float to quantize only weights. attention:
    which products of two activations are quantized: none, scores, context or both.
    """

    method: str = "minmax"
    embeddings: bool = True
    exclude: tuple[str, ...] = ()
    wide: str = "dynamic"
    smooth: float = 0.0
    weights: str = "int8"
    activations: str = "uint8"
    attention: str = "none"


def quantize_static(
    path: Path,
    output: Path,
    batches: Iterable[Batch],
    settings: StaticSettings = StaticSettings(),
    *,
    threads: int = 1,
) -> Scheme:
    """Calibrate the fp32 graph at `path` on `batches`, write it in int8 to `output`, and return its scheme."""
    scheme = calibrate(path, batches, settings, threads=threads)
    write_scheme(path, output, scheme)
    return scheme


def calibrate(
    path: Path, batches: Iterable[Batch], settings: StaticSettings = StaticSettings(), *, threads: int = 1
) -> Scheme:
    """The scheme for the fp32 graph at `path`, a classifier's or an encoder's, see `calibrate_by`; batches are read twice
    where inputs are smoothed.

    Raises CompressError as `calibrate_by`, and where there is no batch.
    """
    return calibrate_by(path, by_rows(list(batches), threads=threads), settings)


def calibrate_by(path: Path, runner: Runner, settings: StaticSettings = StaticSettings()) -> Scheme:
    """The scheme for the fp32 graph at `path`: int8 weights for each output channel, uint8 inputs by the ranges seen.

    What `runner` shows is noted at once and let go. A layer that the model uses more than once (ALBERT's) gets one
    range for all its uses, and layers that read one value share its range and their smoothing factors.

    Raises CompressError for an unknown method, NaN or infinity, a quantized graph, nothing to quantize, or
    attention that is not fused where its products are to be quantized.
    """
    _refuse_unknown(settings)
    observer(settings.method)  # an unknown method is refused before the graph is read
    graph = Graph.load(path)
    refuse_quantized(graph, path)
    restore_attention(graph)
    multiplied = open_products(graph, path, settings.attention, settings.exclude)
    found = products(graph, settings.exclude)
    if settings.wide == "float":
        found = [product for product in found if not product.narrows]
    observed = [product for product in found if settings.wide in ("static", "uint16") or not product.narrows]
    if not (observed if settings.activations != "float" else found):
        raise CompressError(f"{path} has no matrix product to calibrate. Give a float classifier's export.")
    layers = tables_scheme(graph, settings.exclude) if settings.embeddings else {}
    if settings.activations == "float":
        weights = {one.module: symmetric(one.weight, axis=0, type=settings.weights) for one in found}
        return Scheme({**layers, **{name: Layer(one, float_input=True) for name, one in weights.items()}})
    smooth = _smoothing(graph, found, runner, settings.smooth) if settings.smooth else {}
    pairs = [(product.node.input[0], product.module) for product in observed]
    for name, pair in multiplied:
        pairs += [(pair.input.value, f"{name} input"), (pair.other.value, f"{name} other")]
    observers = _shared(pairs, lambda: observer(settings.method))
    by_value = {product.node.input[0]: smooth[product.module] for product in observed if smooth}
    _observe(graph, observers, runner, {value: reciprocal(one) for value, one in by_value.items()})

    for product in found:
        factor = smooth.get(product.module)
        weight = product.weight if factor is None else product.weight * factor
        given = None
        if product in observed:
            is_wide = product.narrows and settings.wide == "uint16"
            given = affine(*observers[product.node.input[0]].range(), type="uint16" if is_wide else "uint8")
        layers[product.module] = Layer(symmetric(weight, axis=0, type=settings.weights), given, smooth=factor)
    for name, pair in multiplied:
        ends = np.array(observers[pair.other.value].range(), np.float32)
        # uint8 by int8 of zero point 0, which processors multiply fast.
        layers[name] = Layer(input=affine(*observers[pair.input.value].range()), other=symmetric(ends, axis=None))
    return Scheme(layers)


def _refuse_unknown(settings: StaticSettings) -> None:
    known = {
        "wide": ("dynamic", "static", "float", "uint16"),
        "weights": ("int8", "int4"),
        "activations": ("uint8", "float"),
    }
    for name, choices in known.items():
        if getattr(settings, name) not in choices:
            raise CompressError(f"Unknown choice '{getattr(settings, name)}' for {name}. Known: {', '.join(choices)}.")
    if not 0 <= settings.smooth <= 1:
        raise CompressError(f"Smoothing by {settings.smooth} is not within 0 to 1. 0.5 is usual.")
    if settings.activations == "float" and (settings.smooth or settings.attention != "none"):
        raise CompressError("Only weights are quantized if activations are float: no smoothing, no attention.")


def _smoothing(graph: Graph, found: list[Product], runner: Runner, alpha: float) -> dict[str, np.ndarray]:
    """Smoothing factors by module; modules that read the same value share them, so that one multiplication is enough."""
    peaks = _shared([(product.node.input[0], product.module) for product in found], Peaks)
    _observe(graph, peaks, runner)
    weights: dict[int, list[np.ndarray]] = {}
    for product in found:
        weights.setdefault(id(peaks[product.node.input[0]]), []).append(product.weight)
    by_group = {id(seen): factors(seen.largest, weights[id(seen)], alpha) for seen in peaks.values()}
    return {product.module: by_group[id(peaks[product.node.input[0]])] for product in found}


def _shared(pairs: list[tuple[str, str]], make: Callable[[], AnyObserver]) -> dict[str, AnyObserver]:
    """By value name, from values and the modules that read them; values that meet in one module, and modules that meet
    in one value, have one observer.
    """
    group: dict[str, str] = {}

    def root(name: str) -> str:
        while group.setdefault(name, name) != name:
            name = group[name]
        return name

    for value, module in pairs:
        group[root(f"value {value}")] = root(f"module {module}")
    made: dict[str, AnyObserver] = {}
    return {name: made.setdefault(root(f"value {name}"), make()) for name in dict.fromkeys(value for value, _ in pairs)}


def _observe(
    graph: Graph,
    observers: Mapping[str, Observer | Peaks],
    runner: Runner,
    multiply: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> None:
    """Observe the graph's values, some of them after a multiplication."""

    def observe(name: str, values: np.ndarray) -> None:
        observers[name].see(values * multiply[name] if name in multiply else values)

    observe_values(graph, tuple(observers), runner, observe)
