"""From scores to predictions: with the thresholds that an artifact keeps, and by word where rows have words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from compress.tasks.kinds import Inference
from compress.tasks.kinds.laws import BINARY
from compress.tasks.kinds.text_classification import KIND
from compress.tasks.kinds.thresholds import thresholds_of
from compress.tasks.kinds.token_classification import by_word

SCORES = np.array([[0.5, -1.0, -3.0], [-0.5, 2.0, -3.0]])


def test_a_label_is_predicted_where_its_chance_is_above_its_threshold() -> None:
    chances = 1 / (1 + np.exp(-SCORES))
    for thresholds in ((0.5, 0.5, 0.5), (0.7, 0.2, 0.04), (0.3, 0.9, 0.5)):
        kept = {"thresholds": dict(zip("abc", thresholds, strict=True))}
        assert np.equal(judged(kept), chances > np.array(thresholds)).all()
    assert np.equal(judged({}), chances > 0.5).all()


def judged(kept: Mapping[str, Any]) -> Any:
    return KIND.judge(Inference({"logits": SCORES}, None, {}, BINARY, ("a", "b", "c"), kept))


@pytest.mark.parametrize("kept", [None, {}, {"a": 0.5}, {"a": 0.5, "b": 1.0}, {"a": 0.5, "b": "0.5"}, [0.5, 0.5]])
def test_thresholds_that_are_none_are_not_taken(kept: object) -> None:
    assert thresholds_of({"thresholds": kept}, ("a", "b")) is None


def test_thresholds_follow_the_models_own_order() -> None:
    assert thresholds_of({"thresholds": {"a": 0.2, "b": 0.7}}, ("b", "a")) == (0.7, 0.2)


def test_a_word_that_was_not_read_has_no_prediction() -> None:
    found = by_word(np.array([3.0, 1.0, 2.0]), [np.array([0, 2]), np.array([0])], [4, 1])
    assert [one.tolist() for one in found] == [[3, -100, 1, -100], [2]]
