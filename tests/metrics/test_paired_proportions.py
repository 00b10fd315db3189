"""Tests of the difference of two shares of right answers on the same examples."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from compress.metrics.paired_proportions import mcnemar, score_interval

counts = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 1000)).filter(lambda one: sum(one) > 0)


@pytest.mark.parametrize(
    ("only_first", "only_second", "examples", "level", "low", "high"),
    [
        # Airway hyper-responsiveness (Bentur et al. 2009), as in the R package ratesci.
        (1, 7, 21, 0.95, -0.517, -0.026),
        # Complete response (Cavo et al. 2012), as in the R package contingencytables of Fagerland, Lydersen and Laake.
        (6, 16, 161, 0.95, -0.1240, -0.0054),
        # The R package PropCIs, whose scoreci.mp(25, 28, 618, 0.9) is the second share minus the first.
        (28, 25, 618, 0.90, -0.0148, 0.0247),
    ],
)
def test_the_score_interval_is_tangos_in_published_examples(
    only_first: int, only_second: int, examples: int, level: float, low: float, high: float
) -> None:
    places = 5e-4 if examples == 21 else 5e-5
    assert score_interval(only_first, only_second, examples, level=level) == pytest.approx((low, high), abs=places)


@given(counts, st.floats(0.5, 0.999))
def test_the_difference_seen_lies_within_and_the_sides_can_be_exchanged(
    seen: tuple[int, int, int], level: float
) -> None:
    first, second, others = seen
    examples = first + second + others
    low, high = score_interval(first, second, examples, level=level)
    assert -1 <= low <= (first - second) / examples <= high <= 1
    assert score_interval(second, first, examples, level=level) == pytest.approx((-high, -low), abs=1e-9)


@given(st.integers(1, 5000), st.floats(0.5, 0.999))
def test_models_that_agree_on_every_example_have_an_interval_with_a_width(examples: int, level: float) -> None:
    low, high = score_interval(0, 0, examples, level=level)
    assert -1 < low < 0 < high < 1


def test_the_ends_of_what_is_possible() -> None:
    assert score_interval(0, 0, 0) == (-1.0, 1.0)
    assert score_interval(5, 0, 5)[1] == 1.0
    assert score_interval(0, 5, 5)[0] == -1.0


def test_a_higher_level_is_a_wider_interval() -> None:
    low, high = score_interval(6, 16, 161)
    lower, higher = score_interval(6, 16, 161, level=1 - 0.05 / 6)
    assert lower < low
    assert high < higher


def coverage(examples: int, agreement: float, gap: float) -> float:
    """The exact share of samples whose interval has the true difference in it."""
    apart = 1 - agreement
    found = 0.0
    for discordant in range(int(examples * apart + 8 * np.sqrt(examples * apart)) + 8):
        of_first = np.arange(discordant + 1)
        chance = binom.pmf(discordant, examples, apart) * binom.pmf(of_first, discordant, (apart + gap) / 2 / apart)
        for first in of_first[chance > 1e-7]:
            low, high = score_interval(int(first), discordant - int(first), examples)
            found += chance[first] * (low <= gap <= high)
    return found


@pytest.mark.parametrize(
    ("examples", "agreement", "gap"), [(100, 0.99, 0.005), (100, 0.95, -0.04), (277, 0.98, 0.0), (872, 0.99, -0.01)]
)
def test_it_covers_also_where_hardly_an_example_is_discordant(examples: int, agreement: float, gap: float) -> None:
    found = coverage(examples, agreement, gap)
    assert found >= 0.93
    assert found <= 0.975 or examples * (1 - agreement) < 10


def test_mcnemar_equals_scipys_exact_binomial_test() -> None:
    for only_first, only_second in itertools.product(range(25), repeat=2):
        if only_first + only_second:
            expected = binomtest(only_first, only_first + only_second, 0.5).pvalue
            assert mcnemar(only_first, only_second) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_gives_the_published_p_of_fagerlands_second_example() -> None:
    """59, 6, 16, 80: exact conditional p 0.053 (Fagerland, Lydersen and Laake 2013, and Bentur et al. before them)."""
    assert mcnemar(6, 16) == pytest.approx(0.0525, abs=5e-5)


def test_mcnemar_without_any_discordant_example_shows_nothing() -> None:
    assert mcnemar(0, 0) == 1.0


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_a_probability_and_does_not_care_which_is_first(a: int, b: int) -> None:
    p = mcnemar(a, b)
    assert 0 <= p <= 1
    assert p == mcnemar(b, a)
