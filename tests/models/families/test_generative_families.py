"""Every family of generative models: its layers chosen, its heads and neurons masked and removed, saved and opened."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from compress.core.errors import CompressError
from compress.models import generators
from compress.models.families.families import stack
from compress.models.families.layer_widths import SETTING, units
from compress.models.layers import keep_layers, layer_count
from compress.pruning.removal import remove
from compress.pruning.units import Kept, everything, masks_applied
from tests.families import FAMILIES, GENERATIVE, SEQ2SEQ, having
from tests.generative import batch, prompts, strong_generator

SIDES = [(name, side) for name in GENERATIVE for side in ("encoder", "decoder") if side == "decoder" or name in SEQ2SEQ]


@cache
def model(name: str) -> Any:
    """Three layers, none like another."""
    return strong_generator(name, layers=3)


def inputs(name: str) -> dict[str, Any]:
    pairs = bool(model(name).config.is_encoder_decoder)
    found = batch(prompts(4), left=not pairs)
    if pairs:
        found["decoder_input_ids"] = torch.randint(3, 300, (4, 6), generator=torch.Generator().manual_seed(0))
    return found


def logits(one: Any, name: str) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = one(**inputs(name), use_cache=False).logits
    return found


def written(one: Any, name: str, **changes: Any) -> torch.Tensor:
    prompt = batch(prompts(4), left=not model(name).config.is_encoder_decoder)
    found: torch.Tensor = one.generate(**prompt, max_new_tokens=12, do_sample=False, **changes)
    return found


def some(counts: tuple[int, ...], multiple: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Unequally many units of each block, not the first ones."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        tuple(sorted(torch.randperm(count, generator=generator)[: min(count, multiple * (1 + place % 3))].tolist()))
        for place, count in enumerate(counts)
    )


@pytest.mark.parametrize(("name", "side"), SIDES)
def test_a_student_of_the_last_layers_computes_what_they_do(name: str, side: str) -> None:
    student = keep_layers(model(name), (1, 2), side).eval()
    reference = copy.deepcopy(model(name))
    parent, _, attribute = stack(reference.config, side).layers.rpartition(".")
    owner = reference.get_submodule(parent)
    first, second, third = getattr(owner, attribute)
    if name == "t5":  # the table of relative positions is that of all layers
        for what in ("relative_attention_bias", "has_relative_attention_bias"):
            setattr(second.layer[0].SelfAttention, what, getattr(first.layer[0].SelfAttention, what))
    setattr(owner, attribute, nn.ModuleList([second, third]))
    if not reference.config.is_encoder_decoder:
        reference.config.num_hidden_layers = 2
        if hasattr(reference.config, "layer_types"):
            reference.config.layer_types = reference.config.layer_types[1:]
    torch.testing.assert_close(logits(student, name), logits(reference, name))
    # The cut matters: it moves logits by ten thousand times what the comparison above lets pass.
    assert (logits(student, name) - logits(model(name), name)).abs().max() > 0.1
    assert layer_count(student.config, side) == 2


@pytest.mark.parametrize(("name", "side"), SIDES)
def test_a_student_s_layers_find_their_places_in_the_cache(name: str, side: str) -> None:
    student = keep_layers(model(name), (0, 2), side).eval()
    assert torch.equal(written(student, name), written(student, name, use_cache=False))


def test_what_generation_starts_and_ends_with_goes_to_the_student() -> None:
    teacher = copy.deepcopy(model("bart"))
    teacher.generation_config.num_beams = 3
    student = keep_layers(teacher, (0, 1))
    assert student.generation_config.num_beams == 3
    assert student.model.encoder.embed_tokens.weight.data_ptr() == student.lm_head.weight.data_ptr()


def test_a_side_that_is_none_is_refused() -> None:
    with pytest.raises(CompressError, match="Unknown stack 'left'"):
        keep_layers(model("t5"), (0,), "left")


@pytest.mark.parametrize("name", GENERATIVE)
def test_a_model_without_units_computes_what_the_masked_one_did_and_opens_again(name: str, tmp_path: Path) -> None:
    present = units(model(name))
    kept = Kept(some(present.heads, 1, 1), some(present.neurons, 16, 2))
    ones = [[torch.zeros(n).index_fill(0, torch.tensor(k), 1) for n, k in zip(counts, which, strict=True)]
            for counts, which in ((present.heads, kept.heads), (present.neurons, kept.neurons))]  # fmt: skip
    with masks_applied(model(name), *ones):
        masked = logits(model(name), name)
    smaller = remove(model(name), kept)
    torch.testing.assert_close(logits(smaller, name), masked, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(logits(copy.deepcopy(smaller), name), logits(smaller, name))
    assert (masked - logits(model(name), name)).abs().max() > 0.5

    smaller.save_pretrained(tmp_path)
    opened = generators.generator(tmp_path)
    assert units(opened) == units(smaller)
    torch.testing.assert_close(logits(opened, name), logits(smaller, name), rtol=0, atol=0)
    assert torch.equal(written(opened, name), written(smaller, name, use_cache=False))


@pytest.mark.parametrize("name", GENERATIVE)
def test_a_pruned_model_is_pruned_further_and_loses_layers(name: str) -> None:
    present = units(model(name))
    once = remove(model(name), Kept(some(present.heads, 2, 1), some(present.neurons, 20, 2)))
    fewer = units(once)
    twice = remove(once, Kept(some(fewer.heads, 1, 3), some(fewer.neurons, 7, 4)))
    student = keep_layers(twice, (0, 2)).eval()
    assert torch.equal(written(student, name), written(student, name, use_cache=False))


@pytest.mark.parametrize("name", GENERATIVE)
def test_equally_many_neurons_make_a_plain_checkpoint(name: str, tmp_path: Path) -> None:
    present = units(model(name))
    kept = Kept(everything(present).heads, tuple(tuple(range(3, 35)) for _ in present.neurons))
    smaller = remove(model(name), kept)
    smaller.save_pretrained(tmp_path)
    assert not hasattr(smaller.config, SETTING)
    plain = type(smaller).from_pretrained(tmp_path)
    torch.testing.assert_close(logits(plain.eval(), name), logits(smaller, name), rtol=0, atol=0)


@pytest.mark.parametrize("name", having("grouped"))
def test_equally_many_groups_of_heads_make_a_plain_checkpoint_that_opens(name: str, tmp_path: Path) -> None:
    present = units(model(name))
    smaller = remove(model(name), Kept(((1,), (0,), (1,)), everything(present).neurons))
    smaller.save_pretrained(tmp_path)
    config = smaller.config
    if name == "phi3":  # a check of its own config divides the width by the heads
        assert hasattr(config, SETTING)
        return
    assert not hasattr(config, SETTING)
    width = FAMILIES[name].config.get("head_dim", 8)
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (2, 1, width)
    plain = type(smaller).from_pretrained(tmp_path)
    torch.testing.assert_close(logits(plain.eval(), name), logits(smaller, name), rtol=0, atol=0)


def test_a_number_of_heads_that_transformers_refuses_is_no_plain_checkpoint_but_opens(tmp_path: Path) -> None:
    made = strong_generator("llama", layers=2, num_key_value_heads=4)  # the width of 32 is no multiple of 3 heads
    smaller = remove(made, Kept(((0, 1, 3), (0, 1, 2)), everything(units(made)).neurons))
    smaller.save_pretrained(tmp_path)
    assert hasattr(smaller.config, SETTING)
    torch.testing.assert_close(
        logits(generators.generator(tmp_path), "llama"), logits(smaller, "llama"), rtol=0, atol=0
    )


def test_a_bart_may_have_fewer_neurons_in_its_decoder_alone() -> None:
    present = units(model("bart"))
    neurons = [tuple(range(64))] * 3 + [tuple(range(32))] * 3
    smaller = remove(model("bart"), Kept(everything(present).heads, tuple(neurons)))
    assert not hasattr(smaller.config, SETTING)
    assert (smaller.config.encoder_ffn_dim, smaller.config.decoder_ffn_dim) == (64, 32)


@pytest.mark.parametrize("gated", [False, True])
def test_a_t5_s_gates_go_with_their_neurons(gated: bool) -> None:
    made = strong_generator("t5", layers=1, feed_forward_proj="gated-gelu" if gated else "relu")
    smaller = remove(made, Kept(everything(units(made)).heads, (tuple(range(8)), tuple(range(5)))))
    parts = [part for path, part in smaller.named_modules() if path.endswith(("wi", "wi_0", "wi_1"))]
    assert [part.out_features for part in parts] == ([8, 8, 5, 5] if gated else [8, 5])
