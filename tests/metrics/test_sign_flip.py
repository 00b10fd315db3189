"""Tests of the sign-flip test against SciPy, all signs counted, and McNemar's test."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test

from compress.metrics import sign_flip as sign_flips
from compress.metrics.paired_proportions import mcnemar


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=12))
def test_the_sign_flip_test_of_whole_numbers_counts_every_sign(differences: list[int]) -> None:
    given = np.array(differences)
    found = sign_flips.sign_flip(differences)
    signs = np.array(list(itertools.product((-1, 1), repeat=given.size)))
    assert found.p_value == pytest.approx(np.mean(np.abs(signs @ given) >= abs(given.sum())))
    assert found.flips is None


def test_the_sign_flip_test_equals_scipys_paired_permutation_test() -> None:
    differences = np.array([1.0, 2.0, -1.0, 3.0, 2.0, 0.0, 1.0, -2.0, 3.0, 1.0])
    expected = permutation_test(
        (differences, np.zeros(10)), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flips.sign_flip(differences).p_value == pytest.approx(expected.pvalue, rel=1e-9)
    # Halves are no whole numbers: here signs are drawn, and the p-value is the same but for the draws.
    drawn = sign_flips.sign_flip(differences / 2)
    assert drawn.flips == sign_flips.FLIPS
    assert drawn.p_value == pytest.approx(expected.pvalue, abs=0.01)


@given(st.integers(0, 60), st.integers(0, 60))
def test_of_single_right_and_wrong_answers_the_sign_flip_test_is_mcnemars(only_first: int, only_second: int) -> None:
    found = sign_flips.sign_flip([1.0] * only_first + [-1.0] * only_second + [0.0] * 5)
    assert found.p_value == pytest.approx(mcnemar(only_first, only_second), rel=1e-9)


def test_the_sign_flip_test_is_wrong_about_equal_sides_once_in_twenty_at_most() -> None:
    generator = np.random.default_rng(8)
    tables = generator.integers(-2, 3, (1500, 80))  # two seeds, no true difference
    wrong = np.mean([sign_flips.sign_flip(table).p_value < 0.05 for table in tables])
    # Three standard errors of a share of 1500 above the promise; and not so careful that it never speaks.
    assert 0.02 < wrong < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1500)


def test_the_p_value_of_drawn_signs_counts_what_was_seen() -> None:
    assert sign_flips.sign_flip([0.3] * 60, flips=99).p_value == pytest.approx(0.01)
    for flips in (99, 600):
        assert sign_flips.sign_flip([0.3, -0.3], flips=flips).p_value == 1
