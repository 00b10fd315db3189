"""int8 with ranges fixed beforehand: runs the float graph on calibration batches and watches its activations."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from compress.errors import CompressError
from compress.onnx.attention_products import open_products
from compress.onnx.dynamic import weights_scheme
from compress.onnx.graph import Graph
from compress.onnx.layers import products, refuse_quantized
from compress.onnx.qdq import write_scheme
from compress.onnx.sessions import open_session
from compress.quantization.observers import Observer, observer
from compress.quantization.scheme import Layer, Scheme, affine, symmetric

Batch = dict[str, np.ndarray]  # [rows, length] by input name; batches may differ in shape


@dataclass(frozen=True)
class StaticSettings:
    """How to quantize with fixed ranges.

    method: minmax, percentile, entropy or mse. embeddings: quantize the tables too. exclude: patterns (as in a shell)
    of module names left in float. wide: what to do with products that narrow (the feed-forward's second), whose input
    holds a transformer's outliers: `dynamic` takes their range at each call, `static` fixes it as all others,
    `float` leaves them as they are, `uint16` fixes it in 16 bits. smooth: SmoothQuant's alpha, 0 to 1, 0 for none.
    weights: int8 or int4, of products; tables are int8. activations: uint8, or float for weights alone. attention:
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
    """The scheme for the fp32 graph at `path`: int8 weights for each output channel, uint8 inputs by the ranges seen.

    One batch's activations are in memory at a time. A layer that the model uses more than once (ALBERT's) gets one
    range for all its uses, and layers that read one value share its range.

    Raises CompressError for an unknown method, no batch, NaN or infinity, a quantized graph, or nothing to quantize.
    """
    if settings.wide not in ("dynamic", "static", "float"):
        raise CompressError(f"Unknown choice '{settings.wide}' for wide inputs. Known: dynamic, static, float.")
    missing = StaticSettings(
        settings.method, settings.embeddings, settings.exclude, settings.wide, attention=settings.attention
    )
    if settings != missing or settings.wide == "uint16":
        raise CompressError("Smoothing, int4, uint16 and weights alone are not quantized yet.")
    observer(settings.method)  # an unknown method is told before the graph is read
    graph = Graph.load(path)
    refuse_quantized(graph, path)
    multiplied = open_products(graph, path, settings.attention, settings.exclude)
    found = products(graph, settings.exclude)
    watched = [product for product in found if settings.wide == "static" or not product.narrows]
    if not watched:
        raise CompressError(f"{path} has no matrix product to calibrate. Give a float classifier's export.")
    pairs = [(product.node.input[0], product.module) for product in watched]
    for name, pair in multiplied:
        pairs += [(pair.input.value, f"{name} input"), (pair.other.value, f"{name} other")]
    observers = _observers(pairs, settings.method)
    _watch(graph, observers, batches, threads)

    layers = dict(weights_scheme(graph, embeddings=settings.embeddings, exclude=settings.exclude))
    for product in found:
        if product in watched:
            low, high = observers[product.node.input[0]].range()
            layers[product.module] = Layer(layers[product.module].weight, affine(low, high))
        elif settings.wide == "float":
            del layers[product.module]
    for name, pair in multiplied:
        ends = np.array(observers[pair.other.value].range(), np.float32)
        # uint8 by int8 of zero point 0, which processors multiply fast.
        layers[name] = Layer(input=affine(*observers[pair.input.value].range()), other=symmetric(ends, axis=None))
    return Scheme(layers)


def _observers(pairs: list[tuple[str, str]], method: str) -> dict[str, Observer]:
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
    made: dict[str, Observer] = {}
    return {
        name: made.setdefault(root(f"value {name}"), observer(method))
        for name in dict.fromkeys(value for value, _ in pairs)
    }


def _watch(graph: Graph, observers: dict[str, Observer], batches: Iterable[Batch], threads: int) -> None:
    """Run the graph with the watched values as outputs, batch by batch."""
    names = list(observers)
    with tempfile.TemporaryDirectory() as folder:
        watching = Path(folder) / "watching.onnx"
        for name in names:
            graph.model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
        graph.save(watching)
        del graph.model.graph.output[1:]
        session = open_session(watching, threads=threads)
        wanted = {item.name for item in session.get_inputs()}
        count = 0
        for batch in batches:
            missing = wanted - set(batch)
            if missing:
                raise CompressError(
                    f"The calibration batches have no '{sorted(missing)[0]}', which the graph wants. "
                    "Encode them with the tokenizer beside the model."
                )
            feeds = {name: np.ascontiguousarray(batch[name], np.int64) for name in wanted}
            mask = feeds.get("attention_mask")
            for name, value in zip(names, session.run(names, feeds), strict=True):
                observers[name].see(_unpadded(value, mask))
            count += 1
    if count == 0:
        raise CompressError("The calibration set gave no batch. Give at least one row.")


def _unpadded(value: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """What padding tokens give is never read, so it must not widen a range: only the mask's tokens are seen."""
    if mask is not None and value.ndim == 3 and value.shape[:2] == mask.shape:
        return np.asarray(value[mask.astype(bool)])
    if mask is not None and value.ndim == 4 and (value.shape[0], value.shape[2]) == mask.shape:
        return np.asarray(np.moveaxis(value, 2, 1)[mask.astype(bool)])  # probabilities: a row for each query
    return value
