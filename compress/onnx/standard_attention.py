"""Writes fused attention as ONNX's own Attention (opset 24), which other runtimes open too, and back.

ONNX Runtime's MultiHeadAttention reads a mask; ONNX's Attention reads how many tokens of each row are real, the sum of that
mask. Both compute the same where the padding stands on the right, and the standard one is faster on CPUs (ONNX Runtime
1.24 to 1.32). The file's metadata says that it needs such padding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from compress.core.errors import CompressError
from compress.core.progress import say
from compress.onnx.attention import MICROSOFT
from compress.onnx.graph import Graph, attribute
from compress.onnx.opset import raise_opset

OPERATORS = ("Attention", "MultiHeadAttention", "QAttention")
"""What a fused attention is, standard form first."""
OPSET, OLDER = 24, 20
DEFAULT = OPSET
PADDING_SIDE = "padding_side"
"""The key of the file's metadata, as tokenizers call it."""
COUNT = 6  # the input `nonpad_kv_seqlen`


def written_opset(wanted: int | None, padding_side: str, name: str) -> int:
    """The opset in which an encoder is written.

    Args:
        wanted: 24 or 20, as the user chose it; None for the default.
        padding_side: where its tokenizer pads, `right` or `left`.
        name: the model's, for messages.

    Raises:
        CompressError: 24 is wanted, and its tokenizer pads on the left.
    """
    if (wanted or DEFAULT) < OPSET or padding_side == "right":
        return wanted or DEFAULT
    why = f"The tokenizer of {name} pads on the {padding_side}, and opset {OPSET}'s Attention reads padding on the right alone."
    if wanted is None:
        say(f"{why} It is written in opset {OLDER}.")
        return OLDER
    raise CompressError(f"{why} Set opset to {OLDER}, or padding_side in tokenizer_config.json to right.")


def standardize_attention(graph: Graph) -> str:
    """Write every MultiHeadAttention as ONNX's Attention, or none; returns why none, or "".

    Logits stay equal up to the order of float additions, where each row's mask is ones followed by zeros.
    """
    nodes = [node for node in graph.nodes if node.op_type == "MultiHeadAttention"]
    if not nodes:
        return "no attention is fused"
    if any(any([*node.input, *[""] * 8][5:]) for node in nodes):
        return "attention has position biases or a sliding window, which ONNX's operator would read for each batch anew"
    masks = {[*node.input, "", ""][4] for node in nodes}
    sources = {mask: _mask_input(graph, mask) for mask in masks if mask}
    if None in sources.values() or any(
        [*node.input, ""][3] or attribute(node, "unidirectional", 0) or len(node.output) > 1 for node in nodes
    ):
        return "attention has inputs that ONNX's operator has in another form"
    try:
        raise_opset(graph, OPSET, "ONNX's own Attention needs")
    except CompressError as error:
        return str(error)
    counts = {mask: _count(graph, source) for mask, source in sources.items() if source is not None}
    for node in nodes:
        heads = attribute(node, "num_heads")
        mask = [*node.input, "", ""][4]
        inputs = [*node.input[:3], *(["", "", "", counts[mask]] if mask else [])]
        scale = attribute(node, "scale", 0.0)
        (result,) = graph.add(
            "Attention",
            inputs,
            stem=f"{node.output[0]}.standard",
            q_num_heads=heads,
            kv_num_heads=heads,
            **({"scale": scale} if scale else {}),
        )
        graph.take_over(node, result)
    graph.remove_dead()
    _drop_unused_domain(graph)
    if counts:
        graph.model.metadata_props.add(key=PADDING_SIDE, value="right")
    return ""


def restore_attention(graph: Graph) -> int:
    """Write every Attention of `standardize_attention` as ONNX Runtime's MultiHeadAttention again; how many there were.

    The result takes padding anywhere; its opset stays. Raises CompressError for an Attention that was written by another
    program.
    """
    nodes = [node for node in graph.nodes if is_standard(node)]
    masks: dict[str, str] = {}
    for node in nodes:
        inputs = list(node.input[:3])
        if len(node.input) > COUNT:
            summed = graph.maker(node.input[COUNT], "ReduceSum")
            if summed is None or _rank(graph, summed.input[0]) != 2:
                raise CompressError(
                    f"'{node.name}' counts real tokens in a way that is not known here. Export the model again."
                )
            source = summed.input[0]
            if source not in masks:
                (masks[source],) = graph.add("Cast", [source], stem=f"{source}.int32", to=TensorProto.INT32)
            inputs += ["", masks[source]]
        (result,) = graph.add(
            "MultiHeadAttention",
            inputs,
            stem=f"{node.output[0].removesuffix('.standard')}.restored",
            domain=MICROSOFT,
            num_heads=attribute(node, "q_num_heads"),
            scale=attribute(node, "scale", 0.0),
            mask_filter_value=float(np.finfo(np.float32).min),
        )
        graph.take_over(node, result)
    if nodes:
        graph.remove_dead()
        kept = [one for one in graph.model.metadata_props if one.key != PADDING_SIDE]
        del graph.model.metadata_props[:]
        graph.model.metadata_props.extend(kept)
    return len(nodes)


def in_opset(path: Path, folder: Path, wanted: int | None, padding_side: str, name: str) -> Path:
    """The fp32 graph at `path`, or a copy of it in `folder` with its attention written for `wanted`, see `written_opset`.

    Raises:
        CompressError: as `written_opset`; or 20 is wanted, and the graph is of 24.
    """
    graph = Graph.load(path)
    if any(is_standard(node) for node in graph.nodes):
        if wanted == OLDER:
            raise CompressError(
                f"{path} was exported with opset {OPSET}. Export its model with opset {OLDER}, and quantize that."
            )
        return path
    if written_opset(wanted, padding_side, name) < OPSET or standardize_attention(graph):
        return path
    graph.save(folder / path.name)
    return folder / path.name


def any_padding(path: Path, folder: Path) -> Path:
    """The fp32 graph at `path`, or a copy of it in `folder` whose attention is ONNX Runtime's operator again."""
    graph = Graph.load(path)
    if not restore_attention(graph):
        return path
    graph.save(folder / path.name)
    return folder / path.name


def is_standard(node: onnx.NodeProto) -> bool:
    """Whether it is ONNX's own Attention; Microsoft's of that name projects its input itself."""
    return node.op_type == "Attention" and node.domain in ("", "ai.onnx")


def form(path: Path) -> dict[str, Any]:
    """How the graph at `path` is written: `opset`, `attention` (operators and their number, of fused ones), `padding_side`
    (`right`, or `any`)."""
    model = onnx.load(str(path), load_external_data=False)
    counts = {name: sum(node.op_type == name for node in model.graph.node) for name in OPERATORS}
    return {
        "opset": max((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), default=0),
        "attention": {name: count for name, count in counts.items() if count},
        PADDING_SIDE: next((one.value for one in model.metadata_props if one.key == PADDING_SIDE), "any"),
    }


def _mask_input(graph: Graph, mask: str) -> str | None:
    """The model input, [batch, sequence], that a mask is a cast of."""
    cast = graph.maker(mask, "Cast")
    return cast.input[0] if cast is not None and _rank(graph, cast.input[0]) == 2 else None


def _rank(graph: Graph, name: str) -> int | None:
    """The number of axes of a model input."""
    shapes = {value.name: len(value.type.tensor_type.shape.dim) for value in graph.model.graph.input}
    return shapes.get(name)


def _count(graph: Graph, mask: str) -> str:
    """The number of real tokens of each row, int64, [batch]."""
    axis = graph.add_constant(f"{mask}.sequence_axis", np.array([1], np.int64))
    return graph.add("ReduceSum", [mask, axis], stem=f"{mask}.real_tokens", keepdims=0)[0]


def _drop_unused_domain(graph: Graph) -> None:
    used = {node.domain for node in graph.nodes}
    kept = [one for one in graph.model.opset_import if one.domain in ("", "ai.onnx") or one.domain in used]
    del graph.model.opset_import[:]
    graph.model.opset_import.extend(kept)
