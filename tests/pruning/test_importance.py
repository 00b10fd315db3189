"""Scores of heads and neurons, against gradients of one example at a time and weights summed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.errors import CompressError
from compress.models.families.families import family
from compress.models.load import checkpoint_artifact, classifier, load
from compress.pruning.importance import gradients, magnitude, scores
from compress.pruning.units import masks_applied, units
from tests.tiny import FAMILIES, write_model
from tests.tiny_generators import write_generator

IDS = [[2, 7, 9, 30, 21, 3], [2, 21, 6, 3], [2, 12, 33, 8, 3], [2, 14, 3]]
LABELS = [1, 0, 0, 1]


def batches(size: int, *, scores_wanted: bool = False) -> list[dict[str, torch.Tensor]]:
    """The four rows in padded batches of a size."""
    found = []
    for start in range(0, len(IDS), size):
        rows, labels = IDS[start : start + size], LABELS[start : start + size]
        longest = max(map(len, rows))
        found.append(
            {
                "input_ids": torch.tensor([row + [0] * (longest - len(row)) for row in rows]),
                "attention_mask": torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows]),
                "labels": torch.tensor([label * 2.5 for label in labels] if scores_wanted else labels),
            }
        )
    return found


def model_of(folder: Path, name: str, **changes: Any) -> Any:
    return classifier(write_model(folder, name, initializer_range=0.2, **changes))


@pytest.mark.parametrize("name", FAMILIES)
def test_an_example_s_gradient_is_that_of_its_own_loss_by_the_masks_in_every_family(name: str, tmp_path: Path) -> None:
    model = model_of(tmp_path, name).eval()
    found = gradients(model, batches(4))
    present = units(model)
    for place, row in enumerate(batches(1)):
        heads = [torch.ones(count, requires_grad=True) for count in present.heads]
        neurons = [torch.ones(count, requires_grad=True) for count in present.neurons]
        with masks_applied(model, heads, neurons):
            logits = model(input_ids=row["input_ids"], attention_mask=row["attention_mask"]).logits
        loss = -torch.log_softmax(logits[0], dim=-1)[row["labels"][0]]
        expected = torch.autograd.grad(loss, [*heads, *neurons])
        for ours, reference in zip([*found.heads, *found.neurons], expected, strict=True):
            torch.testing.assert_close(ours[place], reference, rtol=1e-3, atol=1e-5)


def test_the_fisher_score_is_the_mean_squared_gradient_and_taylor_s_the_mean_absolute_one(tmp_path: Path) -> None:
    model = model_of(tmp_path, "bert")
    found = gradients(model, batches(2))
    fisher, taylor = scores(model, "fisher", batches(2)), scores(model, "taylor", batches(2))
    expected = sum(row**2 for row in found.neurons[1]) / 4
    torch.testing.assert_close(fisher.neurons[1], expected)
    torch.testing.assert_close(taylor.heads[2], (found.heads[2][0].abs() + found.heads[2][1:].abs().sum(dim=0)) / 4)
    assert fisher.heads[0].shape == (4,)
    assert (fisher.neurons[0] > 0).any()


@pytest.mark.parametrize("method", ["taylor", "fisher"])
def test_the_size_of_batches_does_not_matter(method: str, tmp_path: Path) -> None:
    model = model_of(tmp_path, "bert")
    one, three = scores(model, method, batches(1)), scores(model, method, batches(3))
    for ours, other in zip([*one.heads, *one.neurons], [*three.heads, *three.neurons], strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-3, atol=1e-9)


def test_a_regression_s_loss_is_the_squared_difference(tmp_path: Path) -> None:
    model = model_of(tmp_path, "bert", labels=1).eval()
    found = gradients(model, batches(4, scores_wanted=True))
    row = batches(1, scores_wanted=True)[3]
    mask = [torch.ones(4, requires_grad=True) for _ in range(4)]
    with masks_applied(model, mask, None):
        score = model(input_ids=row["input_ids"], attention_mask=row["attention_mask"]).logits[0, 0]
    expected = torch.autograd.grad((score - 2.5) ** 2, mask[0])[0]
    torch.testing.assert_close(found.heads[0][3], expected, rtol=1e-3, atol=1e-5)


def test_an_encoder_decoder_has_a_score_for_each_unit_of_all_its_attentions(tmp_path: Path) -> None:
    """It has more attentions than feed-forward networks: its decoder also reads the encoder's states."""
    model = load(checkpoint_artifact(write_generator(tmp_path, "t5"), "t5"))
    rows = [{"input_ids": torch.tensor([[5, 6, 7]]), "attention_mask": torch.ones(1, 3, dtype=torch.long)}]
    found, sizes = gradients(model, [{**rows[0], "labels": torch.tensor([[8, 1]])}]), magnitude(model)
    assert len(found.heads) == 3 * len(found.neurons) // 2
    assert [one.shape[1] for one in found.heads] == [len(one) for one in sizes.heads]
    assert [one.shape[1] for one in found.neurons] == [len(one) for one in sizes.neurons]


def test_a_unit_that_does_nothing_scores_nothing(tmp_path: Path) -> None:
    model = model_of(tmp_path, "bert")
    layer = model.bert.encoder.layer[1]
    with torch.no_grad():
        layer.output.dense.weight[:, 5] = 0
        layer.attention.output.dense.weight[:, 16:32] = 0  # the second of four heads
    for method in ("taylor", "fisher"):
        found = scores(model, method, batches(2))
        assert found.neurons[1][5] == 0
        assert found.heads[1][1] == 0
        assert (found.heads[1][[0, 2, 3]] > 0).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_magnitudes_of_heads_and_of_neurons_share_out_the_squared_weights_of_a_layer(name: str, tmp_path: Path) -> None:
    model = model_of(tmp_path, name)
    architecture, found = family(model.config), magnitude(model)
    layer = model.get_submodule(architecture.layers)[1 if name != "albert" else 0]
    here = 1 if name != "albert" else 0

    def squares(*paths: str) -> torch.Tensor:
        return torch.stack([(layer.get_submodule(path).weight.detach() ** 2).sum() for path in set(paths)]).sum()

    attention = (architecture.query, architecture.key, architecture.value, architecture.attention_output)
    torch.testing.assert_close(found.heads[here].sum(), squares(*attention))
    torch.testing.assert_close(found.neurons[here].sum(), squares(architecture.ffn_in, architecture.ffn_out))


def test_a_head_s_magnitude_is_that_of_its_own_rows_and_columns(tmp_path: Path) -> None:
    model = model_of(tmp_path, "modernbert")  # queries, keys and values one after another; value and gate as well
    layer = model.model.layers[2]
    qkv, out, made = (layer.get_submodule(path).weight.detach() for path in ("attn.Wqkv", "attn.Wo", "mlp.Wi"))
    own = torch.cat([qkv[third * 64 + 16 : third * 64 + 32] for third in range(3)])
    found = magnitude(model)
    torch.testing.assert_close(found.heads[2][1], own.norm() ** 2 + out[:, 16:32].norm() ** 2)
    neuron = made[7].norm() ** 2 + made[128 + 7].norm() ** 2 + layer.mlp.Wo.weight.detach()[:, 7].norm() ** 2
    torch.testing.assert_close(found.neurons[2][7], neuron)


def test_the_model_is_left_as_it_was(tmp_path: Path) -> None:
    model = model_of(tmp_path, "bert").train()
    model.classifier.weight.requires_grad_(False)
    gradients(model, batches(4))
    assert model.training
    assert not model.classifier.weight.requires_grad
    assert model.bert.pooler.dense.weight.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    model = model_of(tmp_path, "bert")
    with pytest.raises(CompressError, match="there are none. Use a larger"):
        scores(model, "fisher", [])
    with pytest.raises(CompressError, match="needs labels"):
        scores(model, "taylor", [{"input_ids": torch.tensor([[2, 3]])}])
    with pytest.raises(CompressError, match="Unknown importance 'fischer'.*magnitude, taylor"):
        scores(model, "fischer")
