"""Lead-3 has the scores that exist, and none where the references have nothing to score."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from datasets import Dataset

from compress.data.loading import resolve
from compress.measure.generation import GenerationEvaluation
from compress.metrics.metric import find


def evaluation(references: list[str]) -> Any:
    rows = Dataset.from_dict({"text": ["Ada: Hi!\nBob: Hello."] * len(references), "label": references})
    split = SimpleNamespace(name="evaluation", rows=rows, is_labelled=True)
    metrics = [find("rouge_l"), find("chrf")]
    given: Any = {"split": split, "cache": Path(), "plan": None}
    return GenerationEvaluation(task=resolve("samsum")[0], metrics=metrics, **given)


def test_a_metric_that_cannot_score_the_references_has_no_lead() -> None:
    found = {one.name: one for one in evaluation(["Ada: Hi! Bob: Hello."]).without_model(None)}
    assert found["rouge_l"].value == pytest.approx(1)
    assert {one.artifact for one in found.values()} == {"lead-3"}
    found = {one.name: one for one in evaluation(["你好", "电影"]).without_model(None)}
    assert found["chrf"].value is not None
    assert found["rouge_l"].value is None
    assert found["rouge_l"].absent
