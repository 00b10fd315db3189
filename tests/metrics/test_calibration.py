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


def answered(random: np.random.Generator, rows: int, *, overconfident: bool) -> tuple[np.ndarray, np.ndarray]:
    """Confidences [rows, 1] and whether the answer is right."""
    chance = 1 / (1 + np.exp(-np.abs(random.normal(2, 1.2, (rows, 1)))))
    sure = chance**0.25 if overconfident else chance
    return sure, random.random((rows, 1)) < chance


@pytest.mark.parametrize("overconfident", [False, True])
@pytest.mark.parametrize("rows", [100, 1000])
def test_the_interval_of_calibration_error_covers_the_true_one(rows: int, overconfident: bool) -> None:
    """Percentiles of a bootstrap cover a calibrated model's error never: what is seen is above it in each sample."""
    random = np.random.default_rng(0)
    true = calibration.calibration_error(
        calibration.statistics(*answered(random, 400_000, overconfident=overconfident)).sum(axis=0)
    )
    ends = [calibration.error_interval(*answered(random, rows, overconfident=overconfident)) for _ in range(200)]
    assert np.mean([low <= true <= high for low, high in ends]) > 0.93
    assert np.mean([high - low for low, high in ends]) < 2.5 / np.sqrt(rows)


def test_the_interval_of_the_brier_score_covers_where_few_answers_are_wrong() -> None:
    random = np.random.default_rng(0)
    drawn_scores = [2 * np.where(random.random(100) < 0.01, 0.97, 0.03) ** 2 for _ in range(400)]
    true = 2 * (0.01 * 0.97**2 + 0.99 * 0.03**2)
    ends = [calibration.brier_interval(scores, 2.0) for scores in drawn_scores]
    assert np.mean([end is not None and end[0] <= true <= end[1] for end in ends]) > 0.95
    assert calibration.brier_interval(np.zeros(1), 2.0) is None
