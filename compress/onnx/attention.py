"""Finds attention as exporters write it, and makes it one MultiHeadAttention of ONNX Runtime.

Only what is certain is fused: shapes are read off the graph, and a mask is fused after it was run on many random masks
and was, each time, what the operator would compute. Rotary and disentangled attention do not fit and stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from compress.onnx.graph import Graph, attribute

MICROSOFT = "com.microsoft"
TO_HEADS, TO_KEYS = [0, 2, 1, 3], [0, 2, 3, 1]  # [batch, sequence, heads, width] to the products' layouts
# (batch, sequence) that a mask is tried at; longer than the usual sliding windows, which must not be taken for padding.
TRIAL_SHAPES = ((1, 1), (1, 7), (3, 5), (2, 600))


@dataclass(frozen=True)
class Attention:
    query: str  # [batch, sequence, width], before the split into heads
    key: str
    value: str
    terms: tuple[str, ...]  # what is added to the scores: masks and position biases
    heads: int
    scale: float
    output: str  # [batch, sequence, width]


def fuse_attention(graph: Graph) -> int:
    """Replace each attention that is certain by one MultiHeadAttention; how many there were."""
    trials = Trials(graph)
    masks: dict[str, str] = {}
    count = 0
    for softmax in [node for node in graph.nodes if node.op_type == "Softmax"]:
        found = _attention(graph, softmax)
        if found is None:
            continue
        fills = {term: trials.padding_fill(term) for term in found.terms}
        biases = [term for term, fill in fills.items() if fill is None]
        paddings = [fill for fill in fills.values() if fill is not None]
        if len(paddings) > 1 or len(biases) > 1 or len(found.terms) != len(fills):
            continue
        bias = trials.bias(biases[0], found.heads) if biases else ""
        if bias is None:
            continue
        padding = ""
        if paddings:
            if "attention_mask" not in masks:
                (masks["attention_mask"],) = graph.add(
                    "Cast", ["attention_mask"], stem="attention_mask.int32", to=onnx.TensorProto.INT32
                )
            padding = masks["attention_mask"]
        inputs = [found.query, found.key, found.value, "", padding, bias]
        while not inputs[-1]:
            inputs.pop()
        (result,) = graph.add(
            "MultiHeadAttention",
            inputs,
            stem=f"{found.output}.attention",
            domain=MICROSOFT,
            num_heads=found.heads,
            scale=found.scale,
            # The operator's own default, -10000, is not minus infinity where scores are large.
            mask_filter_value=paddings[0] if paddings else float(np.finfo(np.float32).min),
        )
        graph.replace(found.output, result)
        count += 1
    graph.remove_dead()
    return count


def _attention(graph: Graph, softmax: onnx.NodeProto) -> Attention | None:
    if attribute(softmax, "axis", -1) not in (-1, 3):
        return None
    product = graph.only_reader(softmax.output[0], "MatMul")
    if product is None or product.input[0] != softmax.output[0]:
        return None
    transpose = graph.only_reader(product.output[0], "Transpose")
    if transpose is None or attribute(transpose, "perm") != TO_HEADS:
        return None
    joined = graph.only_reader(transpose.output[0], "Reshape")
    if joined is None or joined.output[0] in graph.outputs:
        return None
    scores = _scores(graph, softmax.input[0])
    if scores is None:
        return None
    matmul, terms, scale = scores
    query = _split_heads(graph, matmul.input[0], TO_HEADS)
    key = _split_heads(graph, matmul.input[1], TO_KEYS)
    value = _split_heads(graph, product.input[1], TO_HEADS)
    if query is None or key is None or value is None or not query[1:] == key[1:] == value[1:]:
        return None
    heads, width = query[1:]
    if not _joins_heads(graph, joined, heads * width):
        return None
    return Attention(query[0], key[0], value[0], terms, heads, scale, joined.output[0])


def _scores(graph: Graph, name: str) -> tuple[onnx.NodeProto, tuple[str, ...], float] | None:
    """Follows the softmax's input back to the product of queries and keys: the added terms and the factor."""
    terms: list[str] = []
    scale = 1.0
    while True:
        node = graph.maker(name)
        if node is None or (name != node.output[0]) or graph.only_reader(name) is None:
            return None
        if node.op_type == "MatMul":
            return node, tuple(terms), scale
        if node.op_type == "Add" and scale == 1.0:
            # The scores' side of an addition is the one that leads to a product; masks and biases hold none.
            sides = [side for side in node.input if _leads_to_product(graph, side)]
            if len(sides) != 1:
                return None
            (name,) = sides
            terms.append(next(side for side in node.input if side != name))
        elif node.op_type in ("Mul", "Div"):
            factor = graph.constant(node.input[1])
            if factor is None or factor.size != 1:
                return None
            scale *= float(factor.reshape(-1)[0]) if node.op_type == "Mul" else 1 / float(factor.reshape(-1)[0])
            name = node.input[0]
        else:
            return None


def _leads_to_product(graph: Graph, name: str) -> bool:
    node = graph.maker(name)
    while node is not None and node.op_type in ("Add", "Mul", "Div"):
        if node.op_type == "Add":
            return any(_leads_to_product(graph, side) for side in node.input)
        node = graph.maker(node.input[0])
    return node is not None and node.op_type == "MatMul"


def _split_heads(graph: Graph, name: str, perm: list[int]) -> tuple[str, int, int] | None:
    """The value before its split into heads, the number of heads, and the width of each."""
    transpose = graph.maker(name, "Transpose")
    if transpose is None or attribute(transpose, "perm") != perm:
        return None
    reshape = graph.maker(transpose.input[0], "Reshape")
    if reshape is None:
        return None
    source = reshape.input[0]
    width = _width(graph, source)
    shape = _shape(graph, reshape)
    if width is None or shape is None or len(shape) != 4 or shape[:2] != ["batch", "sequence"]:
        return None
    heads, each = shape[2:]
    if not isinstance(heads, int) or not isinstance(each, int):
        return None
    heads, each = (width // each, each) if heads == -1 else (heads, width // heads if each == -1 else each)
    return (source, heads, each) if heads * each == width else None


def _joins_heads(graph: Graph, reshape: onnx.NodeProto, width: int) -> bool:
    shape = _shape(graph, reshape)
    return shape is not None and shape[:2] == ["batch", "sequence"] and shape[2:] in ([-1], [width])


def _width(graph: Graph, name: str) -> int | None:
    """The last axis of a projection, `x @ W` or `x @ W + b`."""
    node = graph.maker(name, "MatMul", "Add")
    if node is not None and node.op_type == "Add":
        sides = [graph.maker(side, "MatMul") for side in node.input]
        node = next((side for side in sides if side is not None), None)
    weight = graph.constant(node.input[1]) if node is not None else None
    return int(weight.shape[1]) if weight is not None and weight.ndim == 2 else None


def _shape(graph: Graph, reshape: onnx.NodeProto) -> list[int | str] | None:
    """A Reshape's target, the axes taken from a model input called by their names; None if it is unknown."""
    constant = graph.constant(reshape.input[1])
    if constant is not None:
        copied = {0: "batch", 1: "sequence"} if not attribute(reshape, "allowzero", 0) else {}
        return [
            copied.get(axis, int(size)) if size == 0 else int(size) for axis, size in enumerate(constant.reshape(-1))
        ]
    concat = graph.maker(reshape.input[1], "Concat")
    if concat is None:
        return None
    sizes: list[int | str] = []
    for part in concat.input:
        value = graph.constant(part)
        if value is not None:
            sizes.extend(int(size) for size in value.reshape(-1))
            continue
        name = _axis(graph, part)
        if name is None:
            return None
        sizes.append(name)
    return sizes


def _axis(graph: Graph, name: str) -> str | None:
    """`batch` or `sequence`, where `name` is that axis of a [batch, sequence] model input, as a vector of one."""
    node = graph.maker(name, "Shape", "Unsqueeze")
    if node is not None and node.op_type == "Unsqueeze":  # TorchScript: Unsqueeze(Gather(Shape(x), axis))
        gather = graph.maker(node.input[0], "Gather")
        shape = graph.maker(gather.input[0], "Shape") if gather is not None else None
        index = graph.constant(gather.input[1]) if gather is not None else None
        if shape is None or index is None or index.size != 1 or shape.input[0] not in graph.inputs:
            return None
        return {0: "batch", 1: "sequence"}.get(int(index.reshape(-1)[0]))
    if node is None or node.input[0] not in graph.inputs:
        return None
    ends = (attribute(node, "start", 0), attribute(node, "end"))
    return {(0, 1): "batch", (1, 2): "sequence"}.get(ends)


class Trials:
    """Runs the part of the graph that makes one value, on random inputs, to learn what the value is."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._fills: dict[str, float | None] = {}

    def padding_fill(self, name: str) -> float | None:
        """The negative number that `name` adds to the scores of padded keys, where it does exactly that and no more."""
        if name not in self._fills:
            self._fills[name] = self._padding_fill(name)
        return self._fills[name]

    def _padding_fill(self, name: str) -> float | None:
        if "attention_mask" not in self._sources(name):
            return None
        fill: float | None = None
        for seed, (batch, sequence) in enumerate(TRIAL_SHAPES):
            mask = np.random.default_rng(seed).integers(0, 2, (batch, sequence))
            mask[:, 0] = 0 if sequence > 1 else 1  # every shape but the shortest has padding
            value = self._run(name, batch, sequence, mask)
            if value is None or value.ndim != 4:
                return None
            if sequence > 1:
                fill = float(value.min()) if fill is None else fill
            expected = np.where(mask == 0, np.float32(fill or 0), np.float32(0))[:, None, None, :]
            if value.shape[-1] != sequence or not (value == expected).all():
                return None
        return fill if fill is not None and fill < -1e4 else None

    def bias(self, name: str, heads: int) -> str | None:
        """A value that can be added in place of `name`, with a shape that MultiHeadAttention accepts as its bias; or None."""
        expand = self.graph.maker(name, "Expand")
        for candidate in ([expand.input[0]] if expand is not None else []) + [name]:
            shapes = []
            for batch, sequence in TRIAL_SHAPES:
                value = self._run(candidate, batch, sequence, np.ones((batch, sequence), np.int64))
                shapes.append(
                    value is not None
                    and value.dtype == np.float32
                    and value.ndim == 4
                    and value.shape[0] in (1, batch)
                    and value.shape[1] in (1, heads)
                    and value.shape[2:] == (sequence, sequence)
                )
            if all(shapes):
                return candidate
        return None

    def _sources(self, name: str) -> set[str]:
        """The model inputs that `name` is made from."""
        found, waiting, seen = set(), [name], set()
        while waiting:
            value = waiting.pop()
            if value in seen:
                continue
            seen.add(value)
            node = self.graph.maker(value)
            if node is not None:
                waiting.extend(node.input)
            elif value in self.graph.inputs:
                found.add(value)
        return found

    def _run(self, name: str, batch: int, sequence: int, mask: np.ndarray) -> np.ndarray | None:
        import onnxruntime

        part = self._part(name)
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        settings.intra_op_num_threads = 1
        # Ids of 0 to 3: the usual padding ids are among them, so a mask made from ids is not taken for the input's.
        random = np.random.default_rng(batch * sequence)
        feeds = {item: random.integers(0, 4, (batch, sequence)) for item in self.graph.inputs}
        feeds["attention_mask"] = mask
        wanted = {item.name for item in part.graph.input}
        try:
            session = onnxruntime.InferenceSession(part.SerializeToString(), settings, ["CPUExecutionProvider"])
            (value,) = session.run(None, {key: feed for key, feed in feeds.items() if key in wanted})
        except Exception:  # a part that cannot run by itself is not understood, and so not fused
            return None
        return np.asarray(value)

    def _part(self, name: str) -> onnx.ModelProto:
        needed, waiting = set(), [name]
        while waiting:
            node = self.graph.maker(waiting.pop())
            if node is not None and id(node) not in needed:
                needed.add(id(node))
                waiting.extend(node.input)
        self.graph.sort()
        nodes = [node for node in self.graph.nodes if id(node) in needed]
        read = {value for node in nodes for value in node.input}
        graph = onnx.helper.make_graph(
            nodes,
            "part",
            [value for value in self.graph.model.graph.input if value.name in read],
            [onnx.helper.make_empty_tensor_value_info(name)],
            [
                onnx.numpy_helper.from_array(np.array(value), key)
                for key, value in self.graph.constants.items()
                if key in read
            ],
        )
        model = onnx.helper.make_model(graph, opset_imports=list(self.graph.model.opset_import))
        model.ir_version = self.graph.model.ir_version
        return model
