"""Models that write text in a scheme's integers: GPT-2's modules, tables that encoder, decoder and head share, one value read
by many."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from compress.models.families.matrices import weight_of
from compress.pruning.weights import prunable
from compress.quantization.qat_modules import attach, detach, part
from compress.quantization.scheme import Layer, Scheme, affine, symmetric
from tests.families import GENERATIVE
from tests.generative import batch, prompts, strong_generator


def table_of(model: Any) -> str:
    """The name of its table of embeddings, the first of those that hold it."""
    table = model.get_input_embeddings()
    return next(
        name for name, one in model.named_modules() if isinstance(one, nn.Embedding) and one.weight is table.weight
    )


def scheme_for(model: Any, *, floats: bool) -> Scheme:
    """All matrices of layers and the table; inputs in floats, or with one range for all."""
    given = None if floats else affine(-6.0, 6.0)
    layers = {
        name: Layer(symmetric(weight_of(module).detach().numpy(), axis=0), given, float_input=floats)
        for name, module in prunable(model).items()
    }
    table = model.get_submodule(table_of(model)).weight.detach().numpy()
    return Scheme({**layers, table_of(model): Layer(symmetric(table, axis=1))})


def logits(model: Any) -> torch.Tensor:
    pairs = model.config.is_encoder_decoder
    inputs = batch(prompts(4), left=not pairs)
    if pairs:
        inputs["decoder_input_ids"] = inputs["input_ids"][:, :5]
    with torch.no_grad():
        found: torch.Tensor = model(**inputs, use_cache=False).logits
    return found


@pytest.mark.parametrize("family", GENERATIVE)
def test_weights_and_shared_tables_are_rounded_wherever_they_are_read(family: str) -> None:
    model = strong_generator(family, layers=2)
    scheme = scheme_for(model, floats=True)
    expected = copy.deepcopy(model)
    expected.lm_head.weight = nn.Parameter(model.lm_head.weight.detach().clone())  # a tied head is not in the scheme
    for name, layer in scheme.items():
        assert layer.weight is not None
        weight = weight_of(expected.get_submodule(name))
        rounded = layer.weight.dequantize(layer.weight.quantize(weight.detach().numpy()))
        weight.data.copy_(torch.from_numpy(rounded))
    plain = logits(model)
    attach(model, scheme)
    torch.testing.assert_close(logits(model), logits(expected), atol=2e-3, rtol=1e-4)
    assert (logits(model) - plain).abs().max() > 0.02


@pytest.mark.parametrize("family", GENERATIVE)
def test_what_was_attached_is_detached_and_leaves_a_plain_model(family: str) -> None:
    model = strong_generator(family, layers=2)
    kinds, names, before = [type(one) for one in model.modules()], list(model.state_dict()), logits(model)
    scheme = scheme_for(model, floats=False)
    attach(model, scheme)
    assert (logits(model) - before).abs().max() > 0.02
    assert detach(model) == scheme
    assert [type(one) for one in model.modules()] == kinds
    assert list(model.state_dict()) == names
    assert torch.equal(logits(model), before)


@pytest.mark.parametrize("family", GENERATIVE)
def test_every_step_size_gets_a_gradient(family: str) -> None:
    model = strong_generator(family, layers=2)
    attach(model, scheme_for(model, floats=False))
    inputs = batch(prompts(4), left=False)
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    model(**inputs, labels=labels).loss.backward()
    grown = {name: one.grad for name, one in model.named_parameters() if name.endswith(".growth")}
    assert len(grown) > 10
    assert [name for name, gradient in grown.items() if gradient is None or not gradient.any()] == []


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_all_readers_of_the_encoder_s_states_share_one_quantizer(family: str) -> None:
    model = strong_generator(family, layers=2)
    attach(model, scheme_for(model, floats=False))
    cross = (
        ("EncDecAttention.k", "EncDecAttention.v") if family == "t5" else ("encoder_attn.k_proj", "encoder_attn.v_proj")
    )
    readers = [part(one, "input_quantizer") for name, one in model.named_modules() if name.endswith(cross)]
    assert len(readers) == 4
    assert all(one is readers[0] for one in readers)


def test_neurons_and_their_gates_share_one_quantizer() -> None:
    model = strong_generator("llama", layers=1)
    attach(model, scheme_for(model, floats=False))
    mlp = model.model.layers[0].mlp
    assert part(mlp.up_proj, "input_quantizer") is part(mlp.gate_proj, "input_quantizer")
