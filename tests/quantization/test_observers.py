from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.core.errors import CompressError
from compress.quantization.observers import (
    METHODS,
    Entropy,
    Histogram,
    MinMax,
    Mse,
    Percentile,
    divergence,
    observer,
    squared_error,
    thresholds,
)


def batches_like_activations(seed: int, outliers: float = 40.0) -> list[np.ndarray]:
    """Batches of unequal shapes, the range growing as they come, a few values far out."""
    random = np.random.default_rng(seed)
    batches = [random.normal(0.3, 1 + 0.5 * i, (3 + i, 17, 8)).astype(np.float32) for i in range(6)]
    batches[3].reshape(-1)[:2] = outliers, -outliers / 3
    return batches


def all_of(batches: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([batch.reshape(-1) for batch in batches]).astype(np.float64)


def rounding_error(values: np.ndarray, low: float, high: float) -> float:
    """The mean squared error of uint8 from `low` to `high`, written out without any of our code."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    zero = round(-low / scale)
    back = (np.clip(np.round(values / scale) + zero, 0, 255) - zero) * scale
    return float(np.mean((back - values) ** 2))


def divergence_in_loops(histogram: Histogram, low: float, high: float) -> float:
    """`divergence`, value by value, without the histogram's shortcuts."""
    from scipy.stats import entropy

    centres, counts = histogram.occupied()
    inside = [(c, n) for c, n in zip(centres, counts, strict=True) if low <= c <= high]
    p = [float(n) for _, n in inside]
    p[0] += sum(n for c, n in zip(centres, counts, strict=True) if c < low)
    p[-1] += sum(n for c, n in zip(centres, counts, strict=True) if c > high)
    levels: dict[int, list[float]] = {}
    places = [min(int((c - low) / ((high - low) / 256)), 255) for c, _ in inside]
    for place, (_, n) in zip(places, inside, strict=True):
        levels.setdefault(place, []).append(float(n))
    return float(entropy(p, [sum(levels[place]) / len(levels[place]) for place in places]))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_knows_least_and_greatest_exactly(method: str) -> None:
    seen, batches = observer(method), batches_like_activations(0)
    for batch in batches:
        seen.see(batch)
    assert (seen.low, seen.high) == (all_of(batches).min(), all_of(batches).max())
    low, high = seen.range()
    assert seen.low <= low < high <= seen.high


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30), min_size=1, max_size=8))
def test_a_histogram_that_grew_counts_every_value_in_its_bin(batches: list[list[float]]) -> None:
    histogram = Histogram(bins=64)
    for batch in batches:
        histogram.see(np.array(batch, np.float32))
    values = np.concatenate([np.array(batch, np.float32) for batch in batches]).astype(np.float64)
    assert histogram.counts.sum() == len(values)
    if histogram.width == 0:
        assert (values == 0).all()
        return
    # Counted again at once with numpy. A value on an edge may fall to either side by float rounding.
    edges = histogram.edges()
    assert edges[0] <= values.min() + 1e-6 * histogram.width
    assert values.max() <= edges[-1]
    found = np.cumsum(histogram.counts)
    slack = 1e-6 * histogram.width
    fewest = [(values < edge - slack).sum() for edge in edges[1:]]
    most = [(values <= edge + slack).sum() for edge in edges[1:]]
    assert (found >= fewest).all()
    assert (found <= most).all()


def test_memory_does_not_grow_with_the_rows() -> None:
    histogram = Histogram()
    for scale in (1e-3, 1, 1e3, 1e6):
        histogram.see(np.random.default_rng(0).normal(0, scale, 1000))
        assert histogram.counts.shape == (8192,)
    assert histogram.counts.sum() == 4000


def test_at_least_half_of_the_bins_span_what_was_seen() -> None:
    histogram = Histogram()
    for batch in batches_like_activations(1):
        histogram.see(batch)
    span = max(histogram.high, 0) - min(histogram.low, 0)
    assert span / histogram.width >= len(histogram.counts) / 4


@pytest.mark.parametrize("percentile", [90, 99, 99.9, 100])
def test_percentile_is_numpys_within_a_bin(percentile: float) -> None:
    seen, batches = Percentile(percentile), batches_like_activations(2)
    for batch in batches:
        seen.see(batch)
    tail = (100 - percentile) / 2
    wanted = np.percentile(all_of(batches), [tail, 100 - tail])
    # numpy interpolates between neighbours, which lie further apart than a bin in the tails.
    values = np.sort(all_of(batches))
    places = np.searchsorted(values, wanted)
    gaps = [values[min(p + 1, len(values) - 1)] - values[max(p - 1, 0)] for p in places]
    assert np.abs(np.array(seen.range()) - wanted) == pytest.approx(0, abs=2 * seen.width + max(gaps))


def test_mse_is_near_the_best_that_brute_force_finds_and_never_worse_than_minmax() -> None:
    for seed, outliers in ((3, 40.0), (4, 400.0), (5, 1.0)):
        seen, batches = Mse(), batches_like_activations(seed, outliers)
        for batch in batches:
            seen.see(batch)
        values = all_of(batches)
        grid = np.linspace(0.02, 1, 60)
        best = min(rounding_error(values, a * values.min(), b * values.max()) for a in grid for b in grid)
        found = rounding_error(values, *seen.range())
        assert found <= 1.05 * best
        assert found <= 1.001 * rounding_error(values, values.min(), values.max())


def test_mse_agrees_with_torchs_histogram_observer() -> None:
    import torch

    theirs = torch.ao.quantization.HistogramObserver(bins=2048, dtype=torch.quint8, qscheme=torch.per_tensor_affine)
    ours, batches = Mse(), batches_like_activations(6, 60.0)
    for batch in batches:
        ours.see(batch)
        theirs(torch.from_numpy(batch))
    scale, zero = (float(value) for value in theirs.calculate_qparams())
    values = all_of(batches)
    assert rounding_error(values, *ours.range()) <= 1.02 * rounding_error(values, -zero * scale, (255 - zero) * scale)


def test_entropy_takes_the_threshold_that_brute_force_finds() -> None:
    """Every candidate's divergence again, value by value in plain loops, without the histogram's shortcuts."""
    seen, batches = Entropy(), batches_like_activations(7, 30.0)
    for batch in batches:
        seen.see(batch)
    ranges = [(max(seen.low, -t), min(seen.high, t)) for t in thresholds(seen.low, seen.high)]
    costs = [divergence_in_loops(seen, low, high) for low, high in ranges]
    assert [divergence(seen, low, high) for low, high in ranges] == pytest.approx(costs, rel=1e-6, abs=1e-9)
    assert seen.range() == pytest.approx(ranges[int(np.argmin(costs))])
    assert seen.range()[1] < seen.high  # the planted outlier is clipped


def test_a_divergence_is_that_of_the_counts_one_by_one() -> None:
    histogram = Histogram(bins=1024)
    histogram.first, histogram.width, histogram.low, histogram.high = -300, 0.5, -150.0, 361.0
    histogram.counts[:] = np.random.default_rng(0).integers(0, 9, 1024)
    centres, counts = histogram.occupied()
    assert centres[0] == (-300 + np.nonzero(histogram.counts)[0][0] + 0.5) * 0.5
    assert centres[-1] == 361  # a centre beyond what was seen is put at its end
    assert counts.sum() == histogram.counts.sum()
    ends = ((-150.0, 361.0), (-20.25, 100.0), (float(centres[9]), float(centres[900])))  # the last two lie on centres
    for low, high in ends:
        assert divergence(histogram, low, high) == pytest.approx(divergence_in_loops(histogram, low, high), rel=1e-9)
    assert divergence(histogram, 1000.0, 1001.0) == np.inf


def test_bins_are_half_as_wide_as_they_need_to_be_and_zeros_seen_before_stay_at_zero() -> None:
    histogram = Histogram(bins=8)
    histogram.see(np.zeros((2, 3)))
    histogram.see(np.array([-0.001, 0.003]))
    assert histogram.width == pytest.approx(0.001)  # the span over half of the bins
    assert histogram.edges()[0] == pytest.approx(-0.001)
    assert histogram.counts.tolist()[:2] == [1, 6]
    assert histogram.counts.sum() == 8
    grown = Histogram(bins=8)
    grown.see(np.array([0.0, 4.0]))
    grown.see(np.array([7.5]))  # the last bin, without growing
    assert (grown.width, grown.counts.tolist()) == (1.0, [1, 0, 0, 0, 1, 0, 0, 1])
    grown.see(np.array([8.0]))
    assert (grown.width, grown.counts.tolist()) == (2.0, [1, 0, 1, 1, 1, 0, 0, 0])
    above = Histogram(bins=8)
    above.see(np.array([0.4, 0.6]))
    assert above.edges()[0] == 0  # which is always inside
    both = Histogram(bins=16)
    both.see(np.array([-4.0, 4.0]))
    both.see(np.array([-11.5]))  # one bin too far
    assert (both.width, both.first, both.counts.tolist()) == (2.0, -6, [1, 0, 0, 0, 1, 0, 0, 0, 1, *[0] * 7])


def test_as_many_values_are_clipped_at_each_end_as_the_percentile_says() -> None:
    seen = Percentile(50)
    seen.see(np.arange(2049.0))
    assert seen.width == 0.5
    assert np.abs(np.array(seen.range()) - [512, 1536]).max() <= 1


def test_thresholds_are_128_even_parts_of_the_largest_magnitude() -> None:
    for low, high in ((-1.0, 4.0), (-4.0, 1.0)):
        found = thresholds(low, high)
        assert len(found) == 128
        np.testing.assert_allclose(found, np.arange(1, 129) * 4 / 128)


def test_mse_moves_each_end_by_itself_and_never_beyond_what_was_seen() -> None:
    """A few values in all, so that every pair of ends can be tried."""
    values = np.array([-9.0, *np.linspace(-1, 3, 2000), 5.0])
    for sign in (1, -1):
        seen = Mse()
        seen.see(sign * values)
        low, high = seen.range()
        assert seen.low <= low < 0 < high <= seen.high
        parts = np.arange(4, 129, 4) / 128
        best = min(rounding_error(sign * values, a * seen.low, b * seen.high) for a in parts for b in parts)
        assert rounding_error(sign * values, low, high) <= 1.02 * best


@pytest.mark.parametrize("sign", [1, -1])
def test_mse_clips_a_rare_end_alone_where_the_other_is_needed(sign: int) -> None:
    seen = Mse()
    seen.see(sign * np.linspace(-2, 9, 200_000))
    seen.see(sign * np.array([-4.0]))
    rare, needed = np.array(seen.range())[::sign] * sign
    assert rare == pytest.approx(-2, abs=0.2)
    assert needed == pytest.approx(9, abs=0.1)


def test_squared_error_of_an_empty_range_is_the_mean_square() -> None:
    assert squared_error(np.array([0.5, 2.0]), np.array([1, 3]), 0.0, 0.0) == pytest.approx((0.25 + 3 * 4) / 4)


def test_squared_error_is_that_of_the_values() -> None:
    values = all_of(batches_like_activations(8))
    places, counts = np.unique(values, return_counts=True)
    for low, high in ((-3.0, 5.0), (-0.5, 40.0), (0.0, 2.0), (1.0, 2.0), (-2.0, -1.0)):
        assert squared_error(places, counts, low, high) == pytest.approx(rounding_error(values, low, high))


@pytest.mark.parametrize("method", METHODS)
def test_constant_activations_have_a_range(method: str) -> None:
    for value in (0.0, 2.5, -1.0):
        seen = observer(method)
        seen.see(np.full((2, 3), value, np.float32))
        seen.see(np.zeros((0, 3), np.float32))
        low, high = seen.range()
        assert low <= value <= high
        assert np.isfinite([low, high]).all()


@pytest.mark.parametrize("method", METHODS)
def test_nan_and_nothing_are_refused(method: str) -> None:
    with pytest.raises(CompressError, match="No values were observed"):
        observer(method).range()
    for bad in (np.nan, np.inf):
        with pytest.raises(CompressError, match="NaN or infinity"):
            observer(method).see(np.array([1.0, bad]))


def test_a_percentile_is_99_99_unless_told_and_50_to_100() -> None:
    usual = observer("percentile")
    assert isinstance(usual, Percentile)
    assert usual.percentile == 99.99
    for allowed in (50, 100):
        assert Percentile(allowed).percentile == allowed
    for refused in (49.9, 100.1):
        with pytest.raises(CompressError, match="50 to 100"):
            Percentile(refused)


def test_an_unknown_method_is_answered_with_a_guess() -> None:
    with pytest.raises(CompressError, match="Did you mean 'entropy'"):
        observer("entrophy")
    assert isinstance(observer("minmax"), MinMax)
