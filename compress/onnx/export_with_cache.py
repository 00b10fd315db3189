"""Exports a generative torch model to ONNX graphs with a KV cache: one that runs once per input, one once per token.

A decoder (GPT-2, Llama, BLOOM) becomes one graph, `decode.onnx`: it reads new tokens and the cache of those before, which
is empty at first, so that the prefill is its first run. A sequence-to-sequence model (T5, BART) has `encoder.onnx` beside
it, which also computes the cross-attention's keys and values, once an input. So every weight but the embeddings is in one
graph, is loaded once and is quantized once; all graphs share one file of weights. It is separate from `export`, whose one
graph is fused and has no cache.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from compress.core.errors import CompressError
from compress.core.stopping import held
from compress.models.families.cache_name import cache_in, cache_name
from compress.onnx.export import as_for_tracing, drop_prefix, name_weights, plain_products, quiet, rename
from compress.onnx.shared_weights import WeightsFile, save_together
from compress.runtimes.sessions_with_cache import DECODE, ENCODER, PREFILL

# Unlike each other and above 1, so that no axis is taken for another one, or for a constant.
BATCH, PAST, NEW, SOURCE = 2, 5, 3, 7

Tensors = dict[str, Any]  # tensors, or lists of {"key": tensor, "value": tensor}, by the graph's names


@dataclass(frozen=True)
class GenerativeExport:
    """The written files. parts: the graph's file by part (`encoder`, `prefill`, `decode`)."""

    parts: dict[str, Path]
    weights: WeightsFile


def export_generative(model: nn.Module, folder: Path, *, separate_prefill: bool = False) -> GenerativeExport:
    """Write a Hugging Face generative model to `folder` as fp32 graphs that share one file of weights.

    `encoder.onnx` (sequence-to-sequence models only): `input_ids`, `attention_mask` [batch, source] to
    `encoder_hidden_states` [batch, source, width] and, for each decoder layer, `cross.<i>.key` and `cross.<i>.value`
    [batch, heads, source, head width].

    `decode.onnx`: `input_ids` [batch, new], `past.<i>.key` and `.value` [batch, key-value heads, past, head width] with
    past 0 or more, to `logits` [batch, kept, vocabulary] and `present.<i>.key` and `.value` [.., past + new, ..]. A
    decoder reads `attention_mask` [batch, past + new] (0 on padding, which is on the left), `position_ids` [batch, new]
    where its architecture counts positions, and `logits_to_keep` [kept], the new tokens whose logits are wanted; the
    decoder of a sequence-to-sequence model reads `encoder_attention_mask` [batch, source] and the encoder's `cross`.

    separate_prefill: write the decoder's graph as `prefill.onnx` too, for the first run, so that it can be given a
    precision of its own; it costs memory when it is served, and no space for weights until then.

    The model's weights, mode and config are as before when this returns.

    Raises CompressError where the model does not generate, cannot be traced, or keeps another kind of cache.
    """
    config: Any = model.config
    if not hasattr(model, "generate"):
        raise CompressError(f"{type(model).__name__} generates nothing. Export a model with a language-model head.")
    with as_for_tracing(model), quiet(), plain_products(), torch.no_grad():
        graphs = _sequence_to_sequence(model) if config.is_encoder_decoder else {DECODE: _decoder(model)}
    if separate_prefill:
        graphs[PREFILL] = onnx.ModelProto()
        graphs[PREFILL].CopyFrom(graphs[DECODE])
    names = {part: f"{part}.onnx" for part in (ENCODER, PREFILL, DECODE) if part in graphs}
    weights = save_together({name: graphs[part] for part, name in names.items()}, folder)
    return GenerativeExport({part: folder / name for part, name in names.items()}, weights)


def _decoder(model: nn.Module) -> onnx.ModelProto:
    tokens = _tokens(model, PAST + NEW)
    mask = torch.ones_like(tokens)
    mask[1, : PAST - 2] = 0  # padding is on the left; without any, the tracer leaves the mask out of the graph
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    counts = accepts_positions(model)
    known = {"attention_mask": mask[:, :PAST]} | ({"position_ids": positions[:, :PAST]} if counts else {})
    past = _cache_of(model, cache_in(model(input_ids=tokens[:, :PAST], use_cache=True, **known)))
    samples: Tensors = {"input_ids": tokens[:, PAST:], "attention_mask": mask}
    axes: dict[str, Any] = {"input_ids": ("batch", "new"), "attention_mask": ("batch", "past + new")}
    if counts:
        samples["position_ids"], axes["position_ids"] = positions[:, PAST:], ("batch", "new")
    samples["logits_to_keep"], axes["logits_to_keep"] = torch.arange(1, NEW, device=tokens.device), ("kept",)
    samples["past"], axes["past"] = past, ("batch", None, "past")
    graph = _traced(_Decoder(model), samples, axes)
    outputs = {"logits": ("batch", "kept"), "present": ("batch", None, "past + new")}
    return _finished(graph, model, axes, outputs)


def _sequence_to_sequence(model: nn.Module) -> dict[str, onnx.ModelProto]:
    source, target = _tokens(model, SOURCE), _tokens(model, PAST + NEW)
    mask = torch.ones_like(source)
    mask[1, SOURCE - 2 :] = 0
    done = model(input_ids=source, attention_mask=mask, decoder_input_ids=target[:, :PAST], use_cache=True)
    cache = cache_in(done)
    samples: Tensors = {"input_ids": source, "attention_mask": mask}
    axes: dict[str, Any] = dict.fromkeys(samples, ("batch", "source"))
    encoder = _traced(_Encoder(model), samples, axes)
    cross = ("batch", None, "source")
    outputs: dict[str, Any] = {"encoder_hidden_states": ("batch", "source"), "cross": cross}
    encoder = _finished(encoder, model, axes, outputs)

    samples = {
        "input_ids": target[:, PAST:],
        "encoder_attention_mask": mask,
        "past": _cache_of(model, cache.self_attention_cache),
        "cross": _cache_of(model, cache.cross_attention_cache),
    }
    axes = {
        "input_ids": ("batch", "new"),
        "encoder_attention_mask": ("batch", "source"),
        "past": ("batch", None, "past"),
        "cross": cross,
    }
    width = done.encoder_last_hidden_state.shape[-1]
    decode = _traced(_CrossDecoder(model, width), samples, axes)
    outputs = {"logits": ("batch", "new"), "present": ("batch", None, "past + new")}
    return {ENCODER: encoder, DECODE: _finished(decode, model, axes, outputs)}


def accepts_positions(model: Any) -> bool:
    """Whether each token's position is an input of the model. BLOOM's biases are made from the mask alone."""
    return "position_ids" in inspect.signature(model.forward).parameters


def _tokens(model: nn.Module, length: int) -> torch.Tensor:
    """Token ids [batch, length] inside the vocabulary, no two rows alike."""
    vocabulary: int = model.config.get_text_config().vocab_size
    ids = torch.arange(BATCH * length, device=next(model.parameters()).device)
    return ((ids * 7 + 3) % vocabulary).reshape(BATCH, length)


# What is traced


class _Decoder(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: Any) -> dict[str, Any]:
        past = _as_cache(inputs.pop("past"))
        done = self.model(**inputs, **{cache_name(): past}, use_cache=True)
        return {"logits": done.logits, "present": _as_tensors(cache_in(done))}


class _Encoder(nn.Module):
    """The decoder is run on one token for the keys and values it makes of the encoder's states; nothing else of it is an
    output, so it drops out of the graph."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, Any]:
        start = torch.zeros_like(input_ids[:, :1])
        done = self.model(input_ids=input_ids, attention_mask=attention_mask, decoder_input_ids=start, use_cache=True)
        cross = cache_in(done).cross_attention_cache
        return {"encoder_hidden_states": done.encoder_last_hidden_state, "cross": _as_tensors(cross)}


class _CrossDecoder(nn.Module):
    """With the cross-attention's keys and values given, only the shape of the encoder's states is read."""

    def __init__(self, model: nn.Module, width: int) -> None:
        super().__init__()
        self.model = model
        self.width = width

    def forward(
        self, input_ids: torch.Tensor, encoder_attention_mask: torch.Tensor, past: list[Any], cross: list[Any]
    ) -> dict[str, Any]:
        from transformers import EncoderDecoderCache
        from transformers.modeling_outputs import BaseModelOutput

        cache = EncoderDecoderCache(_as_cache(past), _as_cache(cross))
        cache.is_updated = dict.fromkeys(range(len(cross)), True)
        states = torch.zeros(*encoder_attention_mask.shape, self.width, device=input_ids.device)
        done = self.model(
            decoder_input_ids=input_ids,
            attention_mask=encoder_attention_mask,
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            use_cache=True,
            **{cache_name(): cache},
        )
        return {"logits": done.logits, "present": _as_tensors(cache_in(done).self_attention_cache)}


def _as_cache(layers: list[dict[str, torch.Tensor]]) -> Any:
    """Plain layers, also for a model with a sliding window: its mask alone then keeps the window."""
    from transformers import DynamicCache

    return DynamicCache([(layer["key"], layer["value"]) for layer in layers])


def _as_tensors(cache: Any) -> list[dict[str, torch.Tensor]]:
    return [{"key": layer.keys, "value": layer.values} for layer in cache.layers]


def _cache_of(model: nn.Module, cache: Any) -> list[dict[str, torch.Tensor]]:
    layers = getattr(cache, "layers", [])
    if not layers or any(getattr(layer, "keys", None) is None or layer.keys.ndim != 4 for layer in layers):
        raise CompressError(
            f"{type(model).__name__} keeps no cache of keys and values by layer, so it cannot be exported to generate. "
            "Serve it with torch."
        )
    return [{"key": layer.keys.detach(), "value": layer.values.detach()} for layer in layers]


def _traced(module: nn.Module, samples: Tensors, axes: Mapping[str, Any]) -> onnx.ModelProto:
    import onnx_ir
    from torch.export import Dim
    from transformers.exporters import OnnxConfig, OnnxExporter

    def free(value: Any, names: Any) -> Any:
        if isinstance(value, list):
            return [{name: free(tensor, names) for name, tensor in layer.items()} for layer in value]
        return {position: Dim.AUTO for position, name in enumerate(names) if name is not None}

    shapes = {name: free(value, axes[name]) for name, value in samples.items()}
    try:
        with held():
            exported = OnnxExporter().export(module, samples, config=OnnxConfig(dynamic=True, dynamic_shapes=shapes))
    except Exception as error:  # the tracer raises many kinds, each about the model's own code
        reason = (str(error).strip().splitlines() or [""])[0]
        raise CompressError(
            f"{type(module.model).__name__} cannot be exported to ONNX: {type(error).__name__}: {reason}. "
            "Serve it with torch."
        ) from error
    return onnx_ir.to_proto(exported.program)


# What the graph calls its values


def _finished(
    graph: onnx.ModelProto, model: nn.Module, inputs: Mapping[str, Any], outputs: Mapping[str, Any]
) -> onnx.ModelProto:
    _name_axes(graph.graph.input, inputs, model)
    _name_axes(graph.graph.output, outputs, model)
    drop_prefix(graph)
    name_weights(graph, model)
    _name_transposed(graph, model)
    del graph.graph.value_info[:]
    for node in graph.graph.node:
        del node.metadata_props[:]  # stack traces with this machine's paths
    return graph


def _name_axes(values: Any, axes: Mapping[str, Any], model: nn.Module) -> None:
    found = {value.name.split(".")[0] for value in values}
    if found != set(axes):
        raise CompressError(
            f"The graph of {type(model).__name__} lacks {', '.join(sorted(set(axes) ^ found))}: tracing dropped what the "
            "model needs. Serve it with torch, and please report the model's family."
        )
    for value in values:
        for dimension, name in zip(value.type.tensor_type.shape.dim, axes[value.name.split(".")[0]], strict=False):
            if name is None:
                continue
            if not dimension.dim_param:
                raise CompressError(
                    f"Tracing {type(model).__name__} fixed the axis '{name}' of '{value.name}' to "
                    f"{dimension.dim_value}. Serve it with torch, and please report the model's family."
                )
            dimension.dim_param = name


def _name_transposed(graph: onnx.ModelProto, model: nn.Module) -> None:
    """A weight that is transposed in the graph, as a head tied to the embeddings is, becomes its Linear's
    `<module>.weight.T`, which it is called where it is a constant (see `transposes`)."""
    parameters = dict(model.named_parameters())
    linear = {id(layer.weight): name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    taken = {item.name for item in graph.graph.initializer}
    new = {}
    for node in graph.graph.node:
        weight = parameters.get(node.input[0]) if node.op_type == "Transpose" else None
        name = f"{linear.get(id(weight))}.weight.T"
        if weight is not None and id(weight) in linear and name not in taken:
            taken.add(name)
            new[node.output[0]] = name
            node.output[0] = name
    rename(graph, new)
