"""What counts in a model, against activations recomputed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.errors import CompressError
from compress.models.families.families import family
from compress.models.load import classifier
from compress.models.unit_importance import hidden_norms, importances
from tests.tiny import FAMILIES, write_model

MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
IDS = torch.tensor([[2, 7, 9, 30, 21, 3], [2, 21, 6, 3, 0, 0]])
BATCHES = [
    {"input_ids": IDS, "attention_mask": MASK},
    {"input_ids": torch.tensor([[2, 12, 33, 3]]), "attention_mask": torch.ones(1, 4, dtype=torch.long)},
]


@pytest.fixture
def bert(tmp_path: Path) -> Any:
    return classifier(write_model(tmp_path, "bert", initializer_range=0.2))


def states(model: Any, layer: int) -> torch.Tensor:
    """The hidden states that a layer of BERT reads, of all tokens that are no padding: [tokens, width]."""
    with torch.no_grad():
        found = [model(**batch, output_hidden_states=True).hidden_states[layer] for batch in BATCHES]
    return torch.cat([some[batch["attention_mask"].bool()] for some, batch in zip(found, BATCHES, strict=True)])


@torch.no_grad()
def test_a_neuron_counts_by_how_much_it_varies_and_by_its_output_weights(bert: Any) -> None:
    found = importances(bert, BATCHES)
    layer = bert.bert.encoder.layer[0]
    attended = []
    hook = layer.attention.register_forward_hook(lambda _part, _inputs, output: attended.append(output[0]))
    for batch in BATCHES:
        bert(**batch)
    hook.remove()
    tokens = torch.cat([some[batch["attention_mask"].bool()] for some, batch in zip(attended, BATCHES, strict=True)])
    neurons = torch.nn.functional.gelu(tokens @ layer.intermediate.dense.weight.T + layer.intermediate.dense.bias)
    expected = neurons.std(dim=0, correction=0) * (layer.output.dense.weight**2).sum(dim=0).sqrt()
    torch.testing.assert_close(found.neurons[0], expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.neuron_means[0], neurons.mean(dim=0), rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_a_neuron_whose_mean_no_bias_can_take_up_counts_by_its_size(tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, "modernbert", initializer_range=0.2))
    seen = []
    hook = model.model.layers[1].mlp.Wo.register_forward_pre_hook(lambda _part, inputs: seen.append(inputs[0]))
    for batch in BATCHES:
        model(**batch)
    hook.remove()
    tokens = torch.cat([some[batch["attention_mask"].bool()] for some, batch in zip(seen, BATCHES, strict=True)])
    expected = (tokens**2).mean(dim=0).sqrt() * model.model.layers[1].mlp.Wo.weight.norm(dim=0)
    torch.testing.assert_close(importances(model, BATCHES).neurons[1], expected)


@torch.no_grad()
def test_a_head_counts_by_the_length_of_what_it_adds_to_the_hidden_state(bert: Any) -> None:
    layer = bert.bert.encoder.layer[0].attention
    read, mixed = states(bert, 0), []
    hook = layer.output.dense.register_forward_pre_hook(lambda _part, inputs: mixed.append(inputs[0]))
    for batch in BATCHES:
        bert(**batch)
    hook.remove()
    tokens = torch.cat([some[batch["attention_mask"].bool()] for some, batch in zip(mixed, BATCHES, strict=True)])
    found = importances(bert, BATCHES)
    for head in range(4):
        part = slice(head * 16, head * 16 + 16)
        added = tokens[:, part] @ layer.output.dense.weight[:, part].T
        torch.testing.assert_close(found.heads[0][head], added.norm(dim=-1).mean(), rtol=1e-4, atol=1e-6)
        query = read @ layer.self.query.weight[part].T + layer.self.query.bias[part]
        key = read @ layer.self.key.weight[part].T + layer.self.key.bias[part]
        expected = query.abs().mean(dim=0) * key.abs().mean(dim=0)
        torch.testing.assert_close(found.query_key[0][head], expected, rtol=1e-4, atol=1e-6)
        value = tokens[:, part].abs().mean(dim=0) * layer.output.dense.weight[:, part].norm(dim=0)
        torch.testing.assert_close(found.value[0][head], value, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_a_pooled_output_counts_by_how_much_it_varies_and_by_its_weights(bert: Any) -> None:
    found = importances(bert, BATCHES)
    first = torch.cat([bert.bert(**batch).last_hidden_state[:, 0] for batch in BATCHES])  # of three rows
    pooled = torch.tanh(first @ bert.bert.pooler.dense.weight.T + bert.bert.pooler.dense.bias)
    expected = pooled.std(dim=0, correction=0) * bert.classifier.weight.norm(dim=0)
    torch.testing.assert_close(found.pooled, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.pooled_means, pooled.mean(dim=0), rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_queries_and_keys_of_a_fused_module_are_its_first_two_thirds(tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, "modernbert"))
    found = importances(model, BATCHES).query_key[0]
    model.model.layers[0].attn.Wqkv.weight[:64] *= 2
    torch.testing.assert_close(importances(model, BATCHES).query_key[0], 2 * found)
    model.model.layers[0].attn.Wqkv.weight[64:128] *= 3
    torch.testing.assert_close(importances(model, BATCHES).query_key[0], 6 * found)
    model.model.layers[0].attn.Wqkv.weight[128:] *= 5
    torch.testing.assert_close(importances(model, BATCHES).query_key[0], 6 * found)


@torch.no_grad()
def test_a_hidden_dimension_counts_by_the_outputs_of_all_norms(bert: Any) -> None:
    before = importances(bert, BATCHES).hidden
    expected = states(bert, 4).abs().mean(dim=0)
    bert.bert.encoder.layer[3].output.LayerNorm.weight.zero_()
    bert.bert.encoder.layer[3].output.LayerNorm.bias.zero_()
    torch.testing.assert_close(before - importances(bert, BATCHES).hidden, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_padding_and_the_split_into_batches_change_nothing(name: str, tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, name, initializer_range=0.2))
    apart = [
        {"input_ids": IDS[:1]},
        {"input_ids": IDS[1:, :4], "attention_mask": MASK[1:, :4]},
        {"input_ids": BATCHES[1]["input_ids"]},
    ]
    together, split = importances(model, BATCHES), importances(model, apart)
    for ours, theirs in (
        (together.heads, split.heads),
        (together.neurons, split.neurons),
        (together.value, split.value),
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(together.query_key, split.query_key, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_part_of_every_layer_is_measured(name: str, tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, name))
    found = importances(model, BATCHES)
    layers = len(model.get_submodule(family(model.config).layers))
    assert found.hidden.shape == (64,)
    for parts, shape in (
        (found.heads, (4,)),
        (found.neurons, (128,)),
        (found.query_key, (4, 16)),
        (found.value, (4, 16)),
    ):
        assert len(parts) == layers
        assert all(part.shape == shape and bool((part > 0).all()) for part in parts)


@pytest.mark.parametrize("name", ["albert", "electra"])
def test_the_norm_of_embeddings_of_their_own_width_is_none_of_the_hidden_states(name: str, tmp_path: Path) -> None:
    for width, projected in ((32, True), (64, name == "albert")):  # ALBERT projects even where the widths are equal
        model = classifier(write_model(tmp_path, name, embedding_size=width))
        assert (f"{name}.embeddings.LayerNorm" not in hidden_norms(model)) == projected


def test_the_norm_of_a_poolers_outputs_is_none_of_the_hidden_states(tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, "modernbert"))
    norms = {name for name, part in model.named_modules() if isinstance(part, torch.nn.LayerNorm)}
    assert norms - hidden_norms(model).keys() == {"head.norm"}


def test_measuring_leaves_the_model_without_hooks_in_its_mode_and_without_gradients(bert: Any) -> None:
    before = {name: value.clone() for name, value in bert.state_dict().items()}
    importances(bert.train(), BATCHES)
    assert all(torch.equal(value, before[name]) for name, value in bert.state_dict().items())
    assert bert.training
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in bert.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in bert.parameters())


def test_measuring_without_rows_is_refused(bert: Any) -> None:
    with pytest.raises(CompressError, match="calibration rows"):
        importances(bert, [])
