"""Post-training pruning of generative models: masks equal numpy's least squares, and folded and cut models the masked one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from compress.models.families.blocks import Block, attentions, feed_forwards
from compress.models.families.layer_widths import SETTING
from compress.models.families.matrices import weight_of
from compress.models.forward import arguments_and_places, logits_and_labels
from compress.pruning.costs import linear, macs
from compress.pruning.kwon import fold_, post_training
from compress.pruning.layer_runs import layers_of, recorded
from compress.pruning.mask_tuning import LIMIT, UnitMasks, tuned
from compress.pruning.removal import remove
from compress.pruning.units import Kept, everything, masks_applied, units
from tests.families import GENERATIVE, SEQ2SEQ
from tests.generative import strong_generator
from tests.models.families.test_read_token import strong_classifier
from tests.pruning.generators import batches, logits, rows, strong
from tests.pruning.pruned import some


@pytest.mark.parametrize("name", GENERATIVE)
def test_a_folded_and_cut_model_computes_what_the_masked_one_did(name: str) -> None:
    model, kept = strong(name), some(strong(name), 1)
    torch.manual_seed(3)
    masks = UnitMasks(
        *(tuple(torch.rand(count) + 0.5 for count in of) for of in (units(model).heads, units(model).neurons))
    )
    for of_blocks, lists in ((masks.heads, kept.heads), (masks.neurons, kept.neurons)):
        for mask, here in zip(of_blocks, lists, strict=True):
            mask[[unit for unit in range(len(mask)) if unit not in here]] = 0
    with masks_applied(model, masks.heads, masks.neurons):
        masked = logits(model, name)
    assert (masked - logits(model, name)).abs().max() > 0.1
    fold_(model, masks)
    torch.testing.assert_close(logits(model, name), masked, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(logits(remove(model, kept), name), masked, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", GENERATIVE)
def test_what_is_found_fits_the_budget_and_leaves_the_model_as_it_was(name: str) -> None:
    model = strong(name)
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    costs = macs(model, 12, 6)
    found = post_training(model, batches(name), costs, 0.7 * costs.of(units(model)))
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    assert 0.55 < found.allocation.share <= 0.7
    fold_(model, found.masks)
    assert costs.of(units(remove(model, found.kept))) == found.allocation.delivered
    tuned_ones = torch.cat([mask[mask != 0] for mask in found.masks.neurons])
    assert (tuned_ones - 1).abs().max() > 0.05


def doubled_(block: Block) -> None:
    """Unit 1 does what unit 0 does, and counts half as much."""
    with torch.no_grad():
        for maker in block.makers:
            starts = np.cumsum([0, *(width * block.count for width in maker.widths)])
            for start, width in zip(starts, maker.widths, strict=False):
                for tensor in (weight_of(maker.module), maker.module.bias):
                    if tensor is not None:
                        tensor[start + width : start + 2 * width] = tensor[start : start + width]
        output = weight_of(block.output)
        output[:, block.width : 2 * block.width] = 0.5 * output[:, : block.width]


@pytest.mark.parametrize("part", ["heads", "neurons"])
@pytest.mark.parametrize("name", GENERATIVE)
def test_what_goes_is_taken_over_by_its_double(name: str, part: str) -> None:
    """Of an encoder-decoder, a head of its first cross-attention: the others of T5 have position biases of their own."""
    model = strong(name)
    found = attentions(model) if part == "heads" else feed_forwards(model)
    here = 3 if part == "heads" and name in SEQ2SEQ else 0
    doubled_(found[here])
    whole = everything(units(model))
    without = [list(one) for one in getattr(whole, part)]
    without[here].remove(1)
    kept = Kept(**{"heads": whole.heads, "neurons": whole.neurons, part: tuple(map(tuple, without))})
    masks = tuned(model, kept, batches(name), ridge=1e-6)
    mask = getattr(masks, part)[here]
    assert mask[1] == 0
    assert mask[0] == pytest.approx(1.5, abs=0.02)
    expected = logits(model, name)
    with masks_applied(model, masks.heads, masks.neurons):
        torch.testing.assert_close(logits(model, name), expected, rtol=0.02, atol=0.02 * float(expected.abs().max()))


SUMS = {
    "t5": ("output of layer.0", "output of layer.1", "output of layer.2"),
    "bart": ("input of self_attn_layer_norm", "input of encoder_attn_layer_norm", "input of final_layer_norm"),
    "pegasus": ("input of encoder_attn_layer_norm", "input of final_layer_norm", "output of "),
    "gpt2": ("input of ln_2", "output of "),
    "llama": ("input of post_attention_layernorm", "output of "),
    "gemma3_text": ("input of post_attention_layernorm", "input of post_feedforward_layernorm"),
}
"""Where the sum behind each part of a decoder layer is found; of Gemma 3 the part's output alone, which is normed first."""


def streams(model: Any, block: Block, where: str, name: str, masks: UnitMasks | None) -> tuple[Tensor, Tensor, Tensor]:
    """The units' outputs of one part of the decoder's last layer at the tokens whose labels count, what the part gives, and the
    sum behind it."""
    seen: dict[str, Tensor] = {}
    what, _, path = where.partition(" of ")
    layer = model.get_submodule(block.stack.layers)[block.layer]
    module = layer.get_submodule(path) if path else layer

    def keep(key: str, value: Any) -> None:
        seen[key] = value[0] if isinstance(value, tuple) else value

    hooks = [
        block.output.register_forward_pre_hook(lambda _m, inputs: keep("units", inputs)),
        block.output.register_forward_hook(lambda _m, _i, output: keep("given", output)),
        module.register_forward_pre_hook(lambda _m, inputs: keep("input", inputs)),
        module.register_forward_hook(lambda _m, _i, output: keep("output", output)),
    ]
    ones = units(model)
    heads = masks.heads if masks else [torch.ones(count) for count in ones.heads]
    neurons = masks.neurons if masks else [torch.ones(count) for count in ones.neurons]
    found = []
    with torch.no_grad(), masks_applied(model, heads, neurons):
        for batch in batches(name):
            logits_and_labels(model, batch)
            places = arguments_and_places(model, batch)[1]
            found.append([seen[key][places].double() for key in ("units", "given", what)])
    for hook in hooks:
        hook.remove()
    mixed, given, total = (torch.cat(some) for some in zip(*found, strict=True))
    return mixed, given, total


def held_at_one(equations: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Their least squares with one more equation for each mask, that it be 1; the more weight, the further masks would go."""
    count, ridge = equations.shape[1], 1e-3
    while True:
        weight = np.sqrt(ridge * np.square(equations).sum() / count)
        all_of_them = np.vstack([equations, weight * np.eye(count)])
        found, *_ = np.linalg.lstsq(all_of_them, np.concatenate([sides, np.full(count, weight)]), rcond=None)
        if np.abs(found).max() <= LIMIT:
            return np.asarray(found)
        ridge *= 10


@pytest.mark.parametrize("name", SUMS)
def test_masks_of_the_last_layer_are_those_of_numpys_least_squares(name: str) -> None:
    model = strong(name)
    kept = Kept(
        tuple((0,) if count == 2 else (0, 2, 3) for count in units(model).heads),
        tuple(tuple(range(0, count, 2)) for count in units(model).neurons),
    )
    masks = tuned(model, kept, batches(name), ridge=1e-3)
    last = layers_of(model)[-1]
    assert len(last.parts) == len(SUMS[name])
    for part, where in zip(last.parts, SUMS[name], strict=True):
        block = part.block
        # The masks of what comes before it, and 1 for its own kept units.
        before = {"heads": list(masks.heads), "neurons": list(masks.neurons)}
        before[part.units][part.place] = (before[part.units][part.place] != 0).float()
        mixed, given, total = streams(model, block, where, name, UnitMasks(*map(tuple, before.values())))
        _, _, wanted = streams(model, block, where, name, None)
        weight = weight_of(block.output).detach().double()
        here = getattr(kept, part.units)[part.place]
        columns = [
            (
                mixed[:, unit * block.width : (unit + 1) * block.width]
                @ weight[:, unit * block.width : (unit + 1) * block.width].T
            )
            for unit in here
        ]
        fixed = total - given + (0 if block.output.bias is None else block.output.bias.detach().double())
        equations = torch.stack([one.flatten() for one in columns], dim=1).numpy()
        expected = held_at_one(equations, (wanted - fixed).flatten().numpy())
        found = getattr(masks, part.units)[part.place][list(here)].double().numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
        assert np.abs(expected - 1).max() > 0.02


@pytest.mark.parametrize("name", ["t5", "bart", "gpt2", "llama"])
def test_a_head_and_neurons_that_do_nothing_go_first(name: str) -> None:
    model = strong(name)
    found, networks = attentions(model), feed_forwards(model)
    idle = set(range(3, 35, 2))  # 16 neurons
    with torch.no_grad():
        weight_of(found[-1].output)[:, found[-1].width :][:, : found[-1].width] *= 1e-4  # head 1 of the last attention
        weight_of(networks[-2].output)[:, sorted(idle)] *= 1e-4
    price = linear("each", 16.0, 1.0, units(model))
    plan = post_training(model, batches(name), price, price.of(units(model)) - 32)
    whole = everything(units(model))
    heads, neurons = list(whole.heads), list(whole.neurons)
    heads[-1] = tuple(head for head in heads[-1] if head != 1)
    neurons[-2] = tuple(neuron for neuron in neurons[-2] if neuron not in idle)
    assert plan.kept == Kept(tuple(heads), tuple(neurons))
    for mask in (*plan.masks.heads, *plan.masks.neurons):
        torch.testing.assert_close(mask[mask != 0], torch.ones(int((mask != 0).sum())), rtol=0, atol=0.02)


@pytest.mark.parametrize("name", ["bart", "gpt2", "llama"])
def test_where_layers_are_equally_wide_transformers_opens_what_was_folded(name: str, tmp_path: Path) -> None:
    model = strong_generator(name, layers=1)
    costs = macs(model, 12, 6)
    plan = post_training(model, batches(name), costs, 0.8 * costs.of(units(model)), parts=("neurons",))
    fold_(model, plan.masks)
    smaller = remove(model, plan.kept)
    smaller.save_pretrained(tmp_path)
    plain = type(model).from_pretrained(tmp_path).eval()
    assert not hasattr(plain.config, SETTING)
    torch.testing.assert_close(logits(plain, name), logits(smaller, name), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["bart", "llama"])
def test_tokens_behind_the_last_label_count_in_no_layer_and_the_last_layer_is_fitted_where_labels_count(
    name: str,
) -> None:
    model, batch = strong(name), rows(name)
    with torch.no_grad():
        found = recorded(model, layers_of(model), batch)
    (*encoder, decoder) = found.tokens
    counts = batch["labels"] != -100
    if name == "llama":
        assert not encoder
        assert torch.equal(found.read[decoder][:, :-1], counts[:, 1:])  # a token's logits are for the next one
        assert not found.read[decoder][:, -1].any()
        assert found.tokens[decoder].sum(dim=1).tolist() == (batch["attention_mask"].sum(dim=1) - 1).tolist()
    else:
        assert torch.equal(found.tokens[encoder[0]], batch["attention_mask"].bool())
        assert torch.equal(found.tokens[decoder], counts)
        assert torch.equal(found.read[decoder], counts)


@pytest.mark.parametrize("name", ["bart", "gpt2", "llama"])
def test_a_classifier_that_is_a_decoder_is_tuned_without_its_cache(name: str) -> None:
    model = strong_classifier(name, vocab_size=300)
    network = feed_forwards(model)[0]
    doubled_(network)
    whole = everything(units(model))
    kept = Kept(whole.heads, ((0, *range(2, network.count)), *whole.neurons[1:]))
    inputs = {key: value for key, value in rows("gpt2").items() if key != "labels"}
    inputs["input_ids"] = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, 0)
    ends = inputs["attention_mask"].sum(dim=1) - 1
    inputs["input_ids"][torch.arange(len(ends)), ends] = 1  # the end of text, which BART reads
    masks = tuned(model, kept, [inputs], ridge=1e-6)
    assert masks.neurons[0][0] == pytest.approx(1.5, abs=0.02)
    with torch.no_grad():
        expected = model(**inputs).logits
        with masks_applied(model, masks.heads, masks.neurons):
            torch.testing.assert_close(
                model(**inputs).logits, expected, rtol=0.02, atol=0.02 * float(expected.abs().max())
            )
