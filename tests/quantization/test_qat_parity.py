"""The graphs of a model that was trained in integers are held to it, and no closer than it is to itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.utils import ModelOutput

from compress.core.errors import CompressError
from compress.models.load import load, resolve_model
from compress.quantization import qat_parity
from compress.quantization.qat_parity import answers, compared, perturbed
from tests.tiny_generators import write_generator

BATCH = {
    "input_ids": torch.arange(4, 28).view(2, 12),
    "attention_mask": torch.ones(2, 12, dtype=torch.long),
    "labels": torch.arange(4, 28).view(2, 12),
}


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load(
        resolve_model(str(write_generator(tmp_path_factory.mktemp("llama"), "llama", initializer_range=0.3)))
    ).eval()


def graphs(model: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """What answers as the model does, but for a change of its logits [rows, tokens, vocabulary]."""
    return lambda **inputs: ModelOutput(logits=change(model(**inputs).logits))


def another_best(logits: torch.Tensor) -> torch.Tensor:
    """Where the best token is best by most, the least likely takes its place."""
    first, second = logits[0, :-1].topk(2).values.unbind(-1)
    place = (first - second).argmax()
    changed = logits.clone()
    changed[0, place, logits[0, place].argmin()] = 2 * logits.abs().max()
    return changed


def test_graphs_that_answer_alike_are_what_was_trained(llama: Any) -> None:
    found = compared(llama, graphs(llama, lambda logits: logits), [BATCH], Path("made"))
    assert (found["tokens"], found["largest_gap"], found["tokens_that_differ"]) == (22, 0.0, 0)


def test_one_token_that_rounding_does_not_explain_refuses_the_graphs(llama: Any) -> None:
    with pytest.raises(CompressError, match="at 1 of 22 tokens another one is best .* rounding does not explain"):
        compared(llama, graphs(llama, another_best), [BATCH], Path("made"))


def test_answers_that_are_no_numbers_are_refused(llama: Any) -> None:
    with pytest.raises(CompressError, match="is not the model that was trained"):
        compared(llama, graphs(llama, lambda logits: logits.masked_fill(logits < 0, torch.nan)), [BATCH], Path("made"))


def test_a_model_that_is_as_far_from_itself_has_its_graphs_and_says_so(
    llama: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qat_parity, "PERTURBATION", 3.0)  # as if a small change went far
    found = compared(llama, graphs(llama, another_best), [BATCH], Path("made"))
    assert found["tokens_that_differ_for_certain"] == 1
    assert found["own_median_gap"] > found["median_gap"]


def test_a_model_is_perturbed_a_little_and_is_then_as_it_was(llama: Any) -> None:
    before = answers(llama, llama, BATCH).values
    with perturbed(llama):
        gap = (answers(llama, llama, BATCH).values - before).abs().max()
    assert 0 < gap < 1e-3
    assert torch.equal(answers(llama, llama, BATCH).values, before)


def test_batches_are_compared_one_by_one_and_count_together(llama: Any) -> None:
    rows = [{name: value[place : place + 1] for name, value in BATCH.items()} for place in (0, 1)]
    whole = compared(llama, graphs(llama, lambda logits: logits + 0.5), [BATCH], Path("made"))
    found = compared(llama, graphs(llama, lambda logits: logits + 0.5), rows, Path("made"))
    assert found["tokens"] == whole["tokens"]
    assert found["median_gap"] == pytest.approx(0.5, rel=1e-5)
    assert found["tokens_that_differ"] == 0


def test_a_classifier_is_held_to_the_class_of_each_row(make_model: Callable[..., Path]) -> None:
    model = load(resolve_model(str(make_model("bert", "classifier", initializer_range=0.5)))).eval()
    batch = {**BATCH, "labels": torch.tensor([0, 1])}
    same = compared(model, graphs(model, lambda logits: logits), [batch], Path("made"))
    assert {name: same[name] for name in ("rows", "largest_gap", "rows_that_differ")} == {
        "rows": 2,
        "largest_gap": 0.0,
        "rows_that_differ": 0,
    }
    with pytest.raises(CompressError, match="at 2 of 2 rows another one is best although"):
        compared(model, graphs(model, lambda logits: -10 * logits), [batch], Path("made"))
