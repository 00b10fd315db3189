"""What is written about each family against the models that transformers builds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from compress.models.families.families import family
from compress.models.layers import layer_modules
from compress.models.load import classifier as classifier_in
from tests.families import embeddings_of
from tests.tiny import FAMILIES, write_model

HIDDEN, FFN, HEADS = 64, 128, 4


@pytest.fixture(scope="module", params=[*FAMILIES, "deberta-v2 with keys of its own", "electra of one width"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    variants: dict[str, tuple[str, dict[str, Any]]] = {
        "deberta-v2 with keys of its own": ("deberta-v2", {"share_att_key": False}),
        "electra of one width": ("electra", {"embedding_size": HIDDEN}),
    }
    name, changes = variants.get(request.param, (request.param, {}))
    return classifier_in(write_model(tmp_path_factory.mktemp("model"), name, **changes))


def test_the_config_gives_the_sizes_under_the_names_written_down(model: Any) -> None:
    architecture = family(model.config)
    assert getattr(model.config, architecture.layer_count) == len(layer_modules(model)) == 4
    assert getattr(model.config, architecture.head_count) == HEADS
    assert getattr(model.config, architecture.hidden_width) == HIDDEN
    assert getattr(model.config, architecture.ffn_width) == FFN
    assert all(getattr(model.config, name) == HIDDEN for name in architecture.also_hidden_width)


def test_each_named_part_of_a_layer_is_a_linear_module_of_its_width(model: Any) -> None:
    architecture = family(model.config)
    for layer in layer_modules(model):
        shapes = {
            architecture.query: (HIDDEN * (3 if architecture.fused_qkv else 1), HIDDEN),
            architecture.key: (HIDDEN * (3 if architecture.fused_qkv else 1), HIDDEN),
            architecture.value: (HIDDEN * (3 if architecture.fused_qkv else 1), HIDDEN),
            architecture.attention_output: (HIDDEN, HIDDEN),
            architecture.ffn_in: (FFN * (2 if architecture.gated_ffn else 1), HIDDEN),
            architecture.ffn_out: (HIDDEN, FFN),
        }
        for path, shape in shapes.items():
            part = layer.get_submodule(path)
            assert isinstance(part, nn.Linear)
            assert part.weight.shape == shape
        assert architecture.fused_qkv == (architecture.query == architecture.key == architecture.value)


def test_every_linear_module_of_a_layer_is_named(model: Any) -> None:
    architecture = family(model.config)
    named = {
        architecture.query,
        architecture.key,
        architecture.value,
        architecture.attention_output,
        architecture.ffn_in,
        architecture.ffn_out,
        architecture.position_query,
        architecture.position_key,
    }
    for layer in layer_modules(model):
        assert {path for path, part in layer.named_modules() if isinstance(part, nn.Linear)} <= named


def test_the_classifier_reads_what_the_pooler_makes(model: Any) -> None:
    architecture = family(model.config)
    pooler, classifier = (model.get_submodule(path) for path in (architecture.pooler, architecture.classifier))
    assert isinstance(pooler, nn.Linear)
    assert pooler.weight.shape == (HIDDEN, HIDDEN)
    assert classifier.weight.shape == (2, HIDDEN)
    in_layers = {id(part) for layer in layer_modules(model) for part in layer.modules()}
    linear = {name for name, part in model.named_modules() if isinstance(part, nn.Linear) and id(part) not in in_layers}
    assert linear <= {architecture.pooler, architecture.classifier, architecture.embedding_projection}
    if architecture.pooler_norm:
        assert isinstance(model.get_submodule(architecture.pooler_norm), nn.LayerNorm)
    logits: list[torch.Tensor] = []
    hook = classifier.register_forward_hook(lambda _part, _inputs, output: logits.append(output))
    answer = model(input_ids=torch.randint(5, 30, (2, 7))).logits
    hook.remove()
    assert torch.equal(answer, logits[0])


def test_layers_are_the_modules_that_are_called_in_their_order(model: Any) -> None:
    called: list[nn.Module] = []
    layers = layer_modules(model)
    hooks = [layer.register_forward_hook(lambda part, *_: called.append(part)) for layer in dict.fromkeys(layers)]
    model(input_ids=torch.randint(5, 30, (2, 7)))
    for hook in hooks:
        hook.remove()
    assert all(ours is theirs for ours, theirs in zip(layers, called, strict=True))


def test_the_embeddings_give_hidden_state_0(model: Any) -> None:
    found: list[torch.Tensor] = []
    hook = embeddings_of(model).register_forward_hook(lambda _part, _inputs, output: found.append(output))
    states = model(input_ids=torch.randint(5, 30, (2, 7)), output_hidden_states=True).hidden_states
    hook.remove()
    assert torch.equal(found[0], states[0])
    assert states[0].shape == (2, 7, HIDDEN)


def test_tables_of_heads_have_a_column_a_head(model: Any) -> None:
    for name in family(model.config).head_tables:
        assert model.get_parameter(name).shape[-1] == HEADS


def test_modules_of_relative_positions_are_where_deberta_does_not_share_its_keys(tmp_path: Path) -> None:
    model = classifier_in(write_model(tmp_path, "deberta-v2", share_att_key=False))
    architecture = family(model.config)
    for path in (architecture.position_query, architecture.position_key):
        part = layer_modules(model)[0].get_submodule(path)
        assert isinstance(part, nn.Linear)
        assert part.weight.shape == (HIDDEN, HIDDEN)
