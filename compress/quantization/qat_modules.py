"""Replaces a model's modules by quantized ones for training, and reads the trained scheme back.

Modules stay the ones they are, under their names: a linear layer becomes one whose weight and input pass through
quantizers, so that masks, captured hidden states, checkpoints and pruned widths work as without. Nothing of it is left
after `detach`: the weights are a plain model's, and the writer of static quantization puts the scheme into its graph.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, eager_mask
from transformers.pytorch_utils import Conv1D

from compress.core.errors import CompressError
from compress.models.families.blocks import attentions, feed_forwards, hidden_width
from compress.models.families.matrices import weight_of
from compress.quantization.fake_quantize import DynamicQuantizer, FakeQuantizer, Smoothing
from compress.quantization.scheme import Layer, Scheme

ATTENTION = "compress_integers"
"""Our name among transformers' implementations of attention."""
BEFORE = "_attention_before"
"""The model's attribute that remembers its own implementation."""
SCORES, CONTEXT = ".scores", ".context"
OWN_CLASS = "_class_in_floats"
"""A table's attribute that remembers what it was."""
PARTS = ("weight_quantizer", "input_quantizer", "smoothing", "scores_product", "context_product")
"""What `attach` puts into modules."""
EXACT = {"int4", "int8", "uint8"}
"""Types whose integers, less a zero point, are whole numbers up to 255: bf16 holds them exactly."""


class QuantizedLinear(nn.Linear):
    """A linear layer with an integer product: y = s_x s_w (n_x n_w) + b, as ONNX Runtime's integer product does.

    Under bf16 autocast the product is still one of the exact integers, since bf16 holds those up to 256.
    """

    def forward(self, input: Tensor) -> Tensor:
        return _integer_product(self, input)


class QuantizedConv1D(Conv1D):
    """The same of GPT-2's, whose weight is kept the other way round."""

    def forward(self, input: Tensor) -> Tensor:
        return _integer_product(self, input)


def _integer_product(module: Any, input: Tensor) -> Tensor:
    weight = weight_of(module).float()
    smoothing = part(module, "smoothing")
    if smoothing is not None:
        input = input.float() * (1 / smoothing.factors)
        weight = weight * smoothing.factors
    integers, scale = module.weight_quantizer(weight)
    quantizer = part(module, "input_quantizer")
    if quantizer is None:  # the weight alone is quantized
        return F.linear(input, integers * scale, module.bias)
    values, step = quantizer(input)
    if isinstance(quantizer, FakeQuantizer) and quantizer.type not in EXACT:
        with torch.autocast(input.device.type, enabled=False):
            return F.linear(values * step, integers * scale, module.bias)
    sums = F.linear(values, integers).float() * (step * scale.view(-1))
    return sums if module.bias is None else sums + module.bias


class QuantizedEmbedding(nn.Embedding):
    """An embedding table whose rows are rounded once they are looked up, as the graph dequantizes what it gathered.

    A table with more to it (BART's is scaled, its positions have an offset) stays one of its class, below which this one
    stands: what that class does, it does to rounded rows.
    """

    def forward(self, input: Tensor) -> Tensor:
        values, scale = self.weight_quantizer(super().forward(input))
        rounded: Tensor = values * scale
        return rounded


def attach(model: Any, scheme: Scheme, *, learned: bool = True) -> None:
    """Make a float model compute with a scheme's integers, in place.

    A table that several modules share (encoder, decoder and head of an encoder-decoder) is rounded wherever it is looked up;
    a head tied to it multiplies by integers of its own.

    Args:
        model: float32; its modules bear the scheme's names.
        scheme: what to start from.
        learned: whether step sizes, zero points and smoothing are parameters; else ranges follow the values seen while
            `watch` says so.

    Raises:
        CompressError: the scheme names what the model has not, or attention that no other implementation can replace.
    """
    modules = dict(model.named_modules())
    groups = _readers_of_one_value(model)
    first: dict[tuple[str, int], str] = {}
    # In the model's order, whatever the scheme's: an optimizer that resumes knows parameters by their places.
    ordered = [name for name in modules if name in scheme] + [name for name in scheme if name not in modules]
    for name in ordered:
        layer = scheme[name]
        if layer.weight is None:
            continue
        module: Any = modules.get(name)
        if type(module) in (nn.Linear, Conv1D):
            module.__class__ = QuantizedLinear if type(module) is nn.Linear else QuantizedConv1D
            count = inputs = weight_of(module).shape[1]
            module.weight_quantizer = FakeQuantizer(layer.weight, count=count, learned=learned)
            before = first.setdefault(groups[id(module)], name) if id(module) in groups else name
            if before != name and _quantize_alike(scheme[before], layer):
                # One value is quantized once for all its readers. It is registered with the first of them only, lest
                # a checkpoint hold it twice.
                for one in ("input_quantizer", "smoothing"):
                    module.__dict__[one] = part(modules[before], one)
                continue
            if layer.input is not None:
                module.input_quantizer = FakeQuantizer(layer.input, count=inputs, learned=learned)
            elif not layer.float_input:
                module.input_quantizer = DynamicQuantizer()
            if layer.smooth is not None:
                module.smoothing = Smoothing(layer.smooth, learned=learned)
        elif isinstance(module, nn.Embedding) and not isinstance(module, QuantizedEmbedding):
            # The rows that are looked up come last: a scale for each column is one for each of their numbers.
            rows = replace(layer.weight, axis=None if layer.weight.axis is None else -1)
            count = module.weight.numel() // rows.scale.size
            quantizer = FakeQuantizer(rows, count=count, learned=learned)
            for other in modules.values():
                if isinstance(other, nn.Embedding) and other.weight is module.weight:
                    _round_rows_(other, quantizer, is_own=other is module)
        else:
            kind = "not in" if module is None else f"a {type(module).__name__} of"
            raise CompressError(
                f"'{name}' is {kind} this {model.config.model_type} model, so QAT does not support it. Leave it "
                f"in floating point: --exclude '{name}'."
            )
    _attach_attention(model, modules, scheme, learned)
    model.to(next(model.parameters()).device)


def detach(model: Any) -> Scheme:
    """Restore the float model, in place, and return its final scheme."""
    found: dict[str, Layer] = {}
    for name, module in model.named_modules():
        if isinstance(module, QuantizedLinear | QuantizedConv1D):
            quantizer, smoothing = part(module, "input_quantizer"), part(module, "smoothing")
            found[name] = Layer(
                module.weight_quantizer.quantizer(),
                quantizer.quantizer() if isinstance(quantizer, FakeQuantizer) else None,
                smooth=None if smoothing is None else smoothing.factors.detach().cpu().numpy(),
                float_input=quantizer is None,
            )
        elif isinstance(module, QuantizedEmbedding) and "weight_quantizer" in module._modules:
            weight = module.weight_quantizer.quantizer()
            found[name] = Layer(replace(weight, axis=None if weight.axis is None else 1))
        for which in (SCORES, CONTEXT):
            product = part(module, _product(which))
            if product is not None:
                found[f"{name}{which}"] = Layer(input=product["input"].quantizer(), other=product["other"].quantizer())
    for module in model.modules():
        if isinstance(module, QuantizedLinear | QuantizedConv1D):
            module.__class__ = nn.Linear if isinstance(module, nn.Linear) else Conv1D
        elif isinstance(module, QuantizedEmbedding):
            module.__class__ = module.__dict__.pop(OWN_CLASS)
        for one in PARTS:
            module._modules.pop(one, None)
            module.__dict__.pop(one, None)
    if model.config._attn_implementation == ATTENTION:
        model.set_attn_implementation(model.__dict__.pop(BEFORE))
    return Scheme(found)


def watch(model: Any, watching: bool) -> None:
    """Whether the ranges of quantizers that are not learned are still updated."""
    for module in model.modules():
        if isinstance(module, FakeQuantizer) and not module.learned:
            module.watching.fill_(watching)


def part(module: nn.Module, name: str) -> Any:
    """What `attach` put into a module, one of `PARTS`; None where it has none of it."""
    return getattr(module, name, None)


def _round_rows_(table: Any, quantizer: FakeQuantizer, *, is_own: bool) -> None:
    """Makes a table round the rows that are looked up; only the table named in the scheme registers the quantizer."""
    kind = type(table)
    table.__dict__[OWN_CLASS] = kind
    table.__class__ = (
        QuantizedEmbedding if kind is nn.Embedding else type(kind.__name__, (kind, QuantizedEmbedding), {})
    )
    if is_own:
        table.weight_quantizer = quantizer
    else:
        table.__dict__["weight_quantizer"] = quantizer


def _readers_of_one_value(model: Any) -> dict[int, tuple[str, int]]:
    """By module: which value it reads, where others read it too: queries, keys and values of an attention, a neuron and its
    gate, and the keys and values that all layers of a decoder make from the encoder's states."""
    found: dict[int, tuple[str, int]] = {}
    for kind, blocks in (("attention", attentions(model)), ("neurons", feed_forwards(model))):
        for number, block in enumerate(blocks):
            for maker in block.makers:
                if maker.reads == "tokens":
                    found[id(maker.module)] = kind, number
                elif maker.reads == "encoder":
                    found[id(maker.module)] = "encoder", 0
    return found


def _quantize_alike(one: Layer, other: Layer) -> bool:
    """Whether two layers compute the same function."""
    return replace(one, weight=other.weight) == other


def _attach_attention(model: Any, modules: dict[str, nn.Module], scheme: Scheme, learned: bool) -> None:
    products = {name: layer for name, layer in scheme.items() if layer.other is not None}
    if not products:
        return
    if not type(model)._supports_attention_backend:
        raise CompressError(
            f"The attention of {model.config.model_type} models computes its products itself, so QAT cannot quantize "
            "them. Leave them in floating point: --attention-matmuls none."
        )
    width = hidden_width(model.config)
    for name, layer in products.items():
        owner, _, which = name.rpartition(".")
        if owner not in modules or layer.input is None or layer.other is None:
            raise CompressError(
                f"This {model.config.model_type} model has no attention '{owner}'. Calibrate on its graph."
            )
        quantizers = {
            one: FakeQuantizer(quantizer, count=width, learned=learned)
            for one, quantizer in (("input", layer.input), ("other", layer.other))
        }
        setattr(modules[owner], _product(f".{which}"), nn.ModuleDict(quantizers))
    AttentionInterface.register(ATTENTION, _attention)
    AttentionMaskInterface.register(ATTENTION, eager_mask)
    model.__dict__[BEFORE] = model.config._attn_implementation
    model.set_attn_implementation(ATTENTION)


def _product(which: str) -> str:
    return f"{which.removeprefix('.')}_product"


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """transformers' eager attention, query, key and value [batch, heads, tokens, head size], with integer products."""
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = _multiplied(part(module, _product(SCORES)), query, key.transpose(2, 3)) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    probabilities = F.softmax(scores, dim=-1)
    dropout = dropout if module.training else 0.0
    context = _multiplied(part(module, _product(CONTEXT)), probabilities, value, dropout)
    return context.transpose(1, 2).contiguous(), probabilities


def _multiplied(product: Any, one: Tensor, other: Tensor, dropout: float = 0.0) -> Tensor:
    if product is None:
        return F.dropout(one, dropout) @ other
    first, scale = product["input"](one)
    second, step = product["other"](other)
    sums: Tensor = F.dropout(first, dropout) @ second
    return sums.float() * (scale * step)
