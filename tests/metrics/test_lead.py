"""Lead-3 has the scores that exist, and none where the references have nothing to score."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from datasets import Dataset

from compress.data.loading import resolve
from compress.measure.generation.together import lead_3
from compress.metrics.metric import find


def evaluation(references: list[str]) -> Any:
    rows = Dataset.from_dict({"text": ["Ada: Hi!\nBob: Hello."] * len(references), "label": references})
    split = SimpleNamespace(rows=rows, is_labelled=True)
    return SimpleNamespace(task=resolve("samsum")[0], split=split, metrics=[find("rouge_l"), find("chrf")])


def test_a_metric_that_cannot_score_the_references_has_no_lead() -> None:
    assert lead_3(evaluation(["Ada: Hi! Bob: Hello."]))["rouge_l"] == pytest.approx(1)
    found = lead_3(evaluation(["你好", "电影"]))
    assert set(found) == {"chrf"}
