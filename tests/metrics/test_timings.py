"""Tests of medians and ratios of interleaved rounds."""

from __future__ import annotations

import numpy as np
import pytest

from compress.metrics import timings


def test_a_slow_spell_that_hits_both_leaves_their_ratio_as_it_is() -> None:
    baseline = [[0.010, 0.011, 0.010], [0.040, 0.044, 0.040], [0.010, 0.010, 0.012]] * 2
    twice = [[second / 2 for second in one] for one in baseline]
    value, interval = timings.ratio(baseline, twice)
    assert value == pytest.approx(2.0)
    assert interval == pytest.approx((2.0, 2.0))
    assert timings.round_ratios(baseline, twice) == pytest.approx([2.0] * 6)


@pytest.mark.parametrize("rounds", [1, 4, 5])
def test_fewer_than_six_rounds_have_no_interval_of_95_percent(rounds: int) -> None:
    times = [[float(n + 1)] for n in range(rounds)]
    assert timings.ratio(times, times) == (1.0, None)
    assert timings.median_interval(times) is None


@pytest.mark.parametrize(
    ("rounds", "level", "places"),
    [
        (6, 0.95, (1, 6)),
        (8, 0.95, (1, 8)),
        (9, 0.95, (2, 8)),
        (10, 0.95, (2, 9)),
        (20, 0.95, (6, 15)),
        (10, 0.99, (1, 10)),
        (6, 0.97, None),
    ],
)
def test_the_interval_lies_between_the_published_order_statistics(
    rounds: int, level: float, places: tuple[int, int] | None
) -> None:
    """Conover, "Practical Nonparametric Statistics", 1999, table A3, for the median."""
    values = np.random.default_rng(1).permutation(np.arange(1.0, rounds + 1))
    assert timings.order_statistic_interval(values.tolist(), level=level) == places


@pytest.mark.parametrize("rounds", [6, 8, 10, 20])
def test_the_interval_covers_the_true_ratio_whatever_the_noise(rounds: int) -> None:
    noise = np.exp(0.1 * np.random.default_rng(2).standard_t(2, (2000, rounds)))
    covered = np.mean([low <= 1 <= high for low, high in map(timings.order_statistic_interval, noise.tolist())])  # type: ignore[misc]  # six rounds have one
    assert covered >= 0.94


def test_the_interval_of_a_median_grows_when_rounds_disagree_and_holds_the_median() -> None:
    generator = np.random.default_rng(5)
    steady = [list(0.01 + 0.0001 * generator.normal(size=20)) for _ in range(10)]
    drifting = [[second * (1 + 0.2 * n) for second in one] for n, one in enumerate(steady)]
    found = [timings.median_interval(one) for one in (steady, drifting)]
    widths = [high - low for low, high in (one for one in found if one)]
    assert widths[1] > 10 * widths[0]
    assert found[1] is not None
    assert found[1][0] <= np.median(np.concatenate(drifting)) <= found[1][1]
