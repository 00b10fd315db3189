"""Calibration error and Brier score equal scikit-learn's and a plain reading of the papers' formulas."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from compress.metrics import calibration


def drawn(classes: int, rows: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [rows, classes] and right classes [rows]."""
    random = np.random.default_rng(seed)
    return random.dirichlet(np.ones(classes) * 0.7, rows), random.integers(0, classes, rows).astype(float)


def ece(confidence: np.ndarray, is_right: np.ndarray) -> float:
    """Guo et al. 2017, eq. 2 and 3, bin by bin."""
    total = 0.0
    for m in range(1, 16):
        there = (confidence > (m - 1) / 15) & (confidence <= m / 15)
        if there.any():
            total += there.sum() / len(confidence) * abs(is_right[there].mean() - confidence[there].mean())
    return total


def test_the_brier_score_of_two_classes_is_twice_scikit_learns_one_sided_form() -> None:
    chances, right = drawn(2)
    assert calibration.brier(chances, right).mean() == pytest.approx(2 * brier_score_loss(right, chances[:, 1]))


def test_the_brier_score_of_several_classes_is_the_sum_over_classes() -> None:
    chances, right = drawn(4)
    assert calibration.brier(chances, right).mean() == pytest.approx(
        brier_score_loss(right, chances, scale_by_half=False)
    )


def test_the_brier_score_of_labels_is_the_mean_over_them() -> None:
    random = np.random.default_rng(1)
    chances, right = random.random((50, 3)), random.integers(0, 2, (50, 3)).astype(float)
    wanted = np.mean([brier_score_loss(right[:, n], chances[:, n]) for n in range(3)])
    assert calibration.brier(chances, right).mean() == pytest.approx(wanted)


@pytest.mark.parametrize("classes", [2, 5])
def test_calibration_error_equals_its_definition(classes: int) -> None:
    chances, right = drawn(classes)
    predicted = chances.argmax(axis=1).astype(float)
    sure = calibration.confidences(chances, predicted)
    is_right = predicted == right
    found = calibration.calibration_error(calibration.statistics(sure, is_right[:, None]).sum(axis=0))
    assert found == pytest.approx(ece(chances.max(axis=1), is_right))


def test_calibration_error_of_labels_is_that_of_all_decisions() -> None:
    random = np.random.default_rng(2)
    chances, right = random.random((80, 3)), random.integers(0, 2, (80, 3)).astype(float)
    predicted = (chances > 0.3).astype(float)  # a threshold of its own: a decision may be less sure than one half
    sure = calibration.confidences(chances, predicted)
    rows = calibration.statistics(sure, predicted == right)
    assert calibration.calibration_error(rows.sum(axis=0)) == pytest.approx(
        ece(sure.ravel(), (predicted == right).ravel())
    )


def test_by_hand() -> None:
    """Two sure and right, one sure and wrong, in one bin: accuracy 2/3 against 0.9."""
    sure = np.array([[0.9], [0.9], [0.9]])
    rows = calibration.statistics(sure, np.array([[True], [True], [False]]))
    assert calibration.calibration_error(rows.sum(axis=0)) == pytest.approx(0.9 - 2 / 3)


def test_what_a_calibrated_model_has_is_above_zero_and_falls_with_the_examples() -> None:
    few, many = (calibration.if_calibrated(np.full((rows, 1), 0.8)) for rows in (50, 5000))
    assert few > many > 0
    # One bin: the mean distance of a share of n draws from its chance, sqrt(2 p (1 - p) / (pi n)) of a normal distribution.
    assert many == pytest.approx(np.sqrt(2 * 0.8 * 0.2 / np.pi / 5000), rel=0.15)
