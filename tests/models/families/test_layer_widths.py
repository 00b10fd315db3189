"""The widths of a model's layers in its config, and models made from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from compress.data import loading
from compress.models import load as models
from compress.models.families.blocks import head_size
from compress.models.families.families import family
from compress.models.families.layer_widths import Units, of_layers, own_layers, units, widths_of, write_
from tests.tiny import FAMILIES, write_model


def config(name: str = "bert") -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(name, **FAMILIES[name])


def test_widths_are_read_as_they_were_written() -> None:
    unequal = Units((2, 1, 4, 3), (10, 20, 30, 40), 16, ((0, 3), (1,), (0, 1, 2, 3), (0, 1, 2)))
    written = config("mpnet")
    write_(written, unequal)
    assert widths_of(type(written).from_dict(json.loads(written.to_json_string()))) == unequal
    assert head_size(written) == 16
    assert written.intermediate_size == 40


def test_widths_that_are_equal_again_are_those_of_a_plain_config() -> None:
    plain = config()
    write_(plain, Units((2, 1, 4, 3), (10, 20, 30, 40), 16))
    write_(plain, Units((4, 4), (30, 30), 16))
    assert widths_of(plain) is None
    assert "compress_widths" not in plain.to_dict()
    assert (plain.intermediate_size, plain.num_attention_heads, head_size(plain)) == (30, 4, 16)


def test_layers_keep_their_own_widths() -> None:
    unequal = Units((2, 1, 4), (10, 20, 30), 16, ((0, 3), (1,), (0, 1, 2, 3)))
    assert of_layers(config("mpnet"), unequal, (0, 2)) == Units((2, 4), (10, 30), 16, ((0, 3), (0, 1, 2, 3)))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_new_model_from_a_config_has_the_widths_it_says(name: str, tmp_path: Path) -> None:
    made = config(name)
    layers = 1 if name == "albert" else 4
    wanted = Units((2, 1, 4, 3)[:layers], (10, 20, 128, 40)[:layers], 16)
    write_(made, wanted)
    made.save_pretrained(tmp_path)
    task, _ = loading.resolve("sst2")
    model = models.from_config(tmp_path / "config.json", task).eval()
    assert units(model).heads == wanted.heads
    assert units(model).neurons == wanted.neurons
    weight = own_layers(model)[0].get_submodule(family(made).ffn_out).get_parameter("weight")
    assert 0.1 * made.initializer_range < weight.std().item() < 3 * made.initializer_range  # begun as its family begins
    with torch.no_grad():
        assert model(input_ids=torch.tensor([[2, 5, 6, 3]])).logits.shape == (1, 2)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_attention_module_holds_the_numbers_written_down(name: str, tmp_path: Path) -> None:
    model = models.classifier(write_model(tmp_path, name))
    architecture = family(model.config)
    for layer in own_layers(model):
        attention = layer.get_submodule(architecture.attention)
        assert not architecture.attention_heads or getattr(attention, architecture.attention_heads) == 4
        assert not architecture.attention_width or getattr(attention, architecture.attention_width) == 64
        # No further number would have to follow: whatever else is 4 or 64 is the size of a hidden state, or unread.
        counts = {key for key, value in vars(attention).items() if value in (4, 64) and isinstance(value, int)}
        assert counts <= {architecture.attention_heads, architecture.attention_width, "dim", "hidden_size"}
