"""What is measured of a classifier's probabilities, for one class and for several labels."""

from __future__ import annotations

import numpy as np
import pytest

from compress.measure.calibration import of_probabilities


def test_of_one_class_the_confidence_of_each_answer_is_kept() -> None:
    chances = np.array([[0.8, 0.2], [0.4, 0.6], [0.1, 0.9]])
    ece, brier = of_probabilities(
        "f" * 16, chances, np.array([0.0, 1, 1]), np.array([0.0, 0, 1]), {"split": "evaluation"}
    )
    assert ece.raw == (0.8, 0.6, 0.9)
    assert brier.per_example == pytest.approx((0.08, 0.72, 0.02))
    assert brier.value == pytest.approx(0.82 / 3)
    assert brier.notes == ("the sum over classes (0 to 2)",)
    assert "biased upwards" in ece.notes[0]


def test_of_several_labels_every_label_is_a_decision() -> None:
    chances = np.array([[0.8, 0.2], [0.4, 0.6]])
    predicted, right = (chances > 0.5).astype(float), np.array([[1.0, 0], [0, 0]])
    ece, brier = of_probabilities("f" * 16, chances, predicted, right, {})
    assert ece.raw == ()
    # 0.8 twice and right; 0.6 twice, once right.
    assert ece.value == pytest.approx((2 * 0.2 + 2 * 0.1) / 4)
    assert brier.per_example == pytest.approx((0.04, (0.16 + 0.36) / 2))


def test_without_labels_both_are_absent() -> None:
    found = of_probabilities("f" * 16, np.ones((2, 1)), np.zeros(2), (), {})
    assert [one.absent for one in found] == ["the labels of this split are hidden"] * 2
