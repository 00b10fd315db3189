"""A model's output layer at some places gives the logits and gradients that it gives there when it runs at all."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from compress.models.forward import answers, logits_and_labels
from compress.models.output_head import logits_at
from tests.families import EXPORTABLE
from tests.generative import strong_generator

LABELS = torch.tensor([[5, 6, 7, -100, -100], [4, -100, 8, 9, 10]])


def batch_of() -> dict[str, Any]:
    ids = torch.tensor([[4, 5, 6, 3, 3], [7, 8, 9, 10, 5]])
    return {"input_ids": ids, "attention_mask": (ids != 3).long(), "labels": LABELS}


def gradients(model: Any, values: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    values.square().sum().backward()
    return {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("family", EXPORTABLE)
def test_logits_and_gradients_are_those_of_the_whole_batch(family: str) -> None:
    model = strong_generator(family)
    batch = batch_of()
    counted = answers(model, batch)
    found = gradients(model, counted.values)
    everywhere, same = logits_and_labels(model, batch)
    theirs = everywhere[same != -100]
    expected = gradients(model, theirs)
    assert counted.targets is not None
    assert torch.equal(counted.targets, same[same != -100])
    assert counted.row is not None
    assert counted.row.tolist() == [0] * int((same[0] != -100).sum()) + [1] * int((same[1] != -100).sum())
    torch.testing.assert_close(counted.values, theirs)
    assert found.keys() == expected.keys()
    for name, one in expected.items():
        torch.testing.assert_close(found[name], one, rtol=1e-4, atol=1e-5)


def test_the_layer_reads_no_other_place_and_is_then_as_it_was() -> None:
    model = strong_generator("bart")
    read: list[int] = []
    head = model.get_output_embeddings()
    watching = head.register_forward_pre_hook(lambda module, given: read.append(given[0].numel() // given[0].shape[-1]))
    inputs = {"input_ids": LABELS.clamp(min=3), "decoder_input_ids": LABELS.clamp(min=3)}
    with torch.no_grad():
        logits_at(model, inputs, LABELS != -100)
        model(**inputs)
        with pytest.raises(IndexError):
            logits_at(model, inputs, torch.ones(2, 9, dtype=torch.bool))
        model(**inputs)
    watching.remove()
    assert read == [7, 10, 10]
