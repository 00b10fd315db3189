"""Layers run without the logits that nothing reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from compress.models.families.families import family
from compress.models.forward import logits_and_labels, run_layers
from compress.models.layers import layer_modules
from compress.models.narrowing import narrow
from compress.models.unit_importance import importances
from compress.pruning.calibrated import sparsegpt_, wanda_
from compress.pruning.mask_tuning import tuned
from compress.pruning.units import everything, units
from tests.families import GENERATIVE, ONE_OF_EACH
from tests.models.families.test_read_token import strong_classifier
from tests.pruning.generators import rows, strong

READERS: dict[str, Callable[[Any, Any], Any]] = {
    "importances": importances,
    "narrow": lambda model, batches: narrow(model, batches, hidden_size=16),
    "wanda": lambda model, batches: wanda_(model, batches, 0.5),
    "sparsegpt": lambda model, batches: sparsegpt_(model, batches, 0.5),
    "mask tuning": lambda model, batches: tuned(model, everything(units(model)), batches),
}


@pytest.mark.parametrize("name", GENERATIVE)
@torch.no_grad()
def test_layers_run_as_they_do_for_logits(name: str) -> None:
    model, seen = strong(name).eval(), []
    for side in ("encoder", "decoder"):
        layer_modules(model, side)[-1].register_forward_hook(lambda _part, _inputs, output: seen.append(output))
    run_layers(model, rows(name))
    logits_and_labels(model, rows(name))
    states = [one[0] if isinstance(one, tuple) else one for one in seen]
    half = len(states) // 2
    assert all(torch.equal(*pair) for pair in zip(states[:half], states[half:], strict=True))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_what_reads_hidden_states_alone_computes_no_logits_of_the_vocabulary(name: str, reader: str) -> None:
    model, computed = strong(name), []
    head = model.get_output_embeddings()
    head.register_forward_hook(lambda _part, _inputs, output: computed.append(output.numel()))
    READERS[reader](model, [rows(name)])
    assert computed
    assert not any(computed)


def test_a_classifier_s_decoder_fills_no_cache() -> None:
    """Its layers are run again with the arguments that they had: a cache would grow."""
    for name in ("bart", "llama", "gpt2"):
        for head in ("SequenceClassification", "TokenClassification"):
            if (name, head) == ("bart", "TokenClassification"):
                continue  # transformers has none
            model = strong_classifier(name, head)
            assert not family(model.config).classifier
            found: list[Any] = []
            layer_modules(model)[-1].register_forward_pre_hook(
                lambda _part, _args, kwargs, found=found: found.append(kwargs.get("past_key_values")), with_kwargs=True
            )
            run_layers(model, {"input_ids": torch.tensor([[7, 8, 1]]), "attention_mask": torch.ones(1, 3).long()})
            assert found == [None]
