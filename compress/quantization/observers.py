"""Range observers: record activations batch by batch and compute the range to quantize (minmax, percentile, entropy, MSE).

Memory does not grow with the number of values: least and greatest value, and a histogram whose bins merge in pairs
when a value falls outside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from compress.core.errors import CompressError, guess

BINS = 8192  # of a histogram; after growing by halves at least half of them span the values seen
LEVELS = 256  # of uint8
CANDIDATES = 128  # clipping thresholds that `entropy` and `mse` try


class Observer(Protocol):
    def see(self, values: np.ndarray) -> None:
        """Observe a batch of values of any shape. Raises CompressError for NaN or infinity."""

    def range(self) -> tuple[float, float]:
        """(low, high), low <= high, for the observed values. Raises CompressError without any."""


class MinMax:
    """The minimum and maximum: nothing is clipped, and one outlier costs all values resolution."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf

    def see(self, values: np.ndarray) -> None:
        if values.size:
            low, high = _ends(values)
            self.low, self.high = min(self.low, low), max(self.high, high)

    def range(self) -> tuple[float, float]:
        _refuse_unseen(self.low <= self.high)
        return self.low, self.high


class Histogram:
    """A histogram with bins of equal width, whose edges are multiples of it; the width doubles until the values fit."""

    def __init__(self, bins: int = BINS) -> None:
        self.counts = np.zeros(bins, np.int64)
        self.width = 0.0  # 0 until a value other than 0 was seen
        self.first = 0  # the first bin starts at first * width
        self.low, self.high = np.inf, -np.inf

    def see(self, values: np.ndarray) -> None:
        if not values.size:
            return
        low, high = _ends(values)
        self.low, self.high = min(self.low, low), max(self.high, high)
        if self.width == 0.0:
            if self.low == self.high == 0.0:
                self.counts[0] += values.size
                return
            # Zero is always inside: the integers' range will hold it, and bins that start there stay aligned.
            zeros = int(self.counts.sum())
            self.counts[:] = 0
            span = max(self.high, 0.0, -self.low, self.high - self.low)
            # Not below float32's least normal number: values divided by a smaller width would be infinite.
            self.width = max(span / (len(self.counts) // 2), float(np.finfo(np.float32).tiny))
            self.first = int(np.floor(min(self.low, 0.0) / self.width))
            self.counts[-self.first] += zeros
        self._reach(low, high)
        places = np.floor(values.reshape(-1) / self.width).astype(np.int64) - self.first
        self.counts += np.bincount(np.clip(places, 0, len(self.counts) - 1), minlength=len(self.counts))

    def edges(self) -> np.ndarray:
        """The edges of the bins."""
        return (self.first + np.arange(len(self.counts) + 1)) * self.width

    def occupied(self) -> tuple[np.ndarray, np.ndarray]:
        """The centres of the bins that hold values, within the values seen, and their counts."""
        _refuse_unseen(self.low <= self.high)
        (held,) = np.nonzero(self.counts)
        centres = (self.first + held + 0.5) * self.width
        return np.clip(centres, self.low, self.high), self.counts[held]

    def _reach(self, low: float, high: float) -> None:
        while True:
            start, end = np.floor(low / self.width), np.floor(high / self.width)
            first = min(self.first, int(start))
            last = int(max(end, (self._last_held() if self.counts.any() else start)))
            if last - first < len(self.counts):
                break
            self._merge_pairs()
        if first < self.first:
            moved = np.zeros_like(self.counts)
            (held,) = np.nonzero(self.counts)
            moved[held + self.first - first] = self.counts[held]
            self.counts, self.first = moved, first

    def _last_held(self) -> int:
        return self.first + int(np.nonzero(self.counts)[0][-1])

    def _merge_pairs(self) -> None:
        places = (self.first + np.arange(len(self.counts))) // 2
        first = int(places[0])
        self.counts = np.bincount(places - first, weights=self.counts, minlength=len(self.counts)).astype(np.int64)
        self.first, self.width = first, self.width * 2


class Percentile(Histogram):
    """Clips the same share of values at both ends, so that `percentile` percent (50 to 100) are inside."""

    def __init__(self, percentile: float = 99.99) -> None:
        if not 50 <= percentile <= 100:
            raise CompressError(f"A percentile of {percentile} is not within 50 to 100. 99.99 is usual.")
        super().__init__()
        self.percentile = percentile

    def range(self) -> tuple[float, float]:
        _refuse_unseen(self.low <= self.high)
        if self.width == 0.0:
            return self.low, self.high
        share = np.concatenate([[0], np.cumsum(self.counts)]) / self.counts.sum()
        tail = (100 - self.percentile) / 200
        edges = self.edges()
        low = edges[np.searchsorted(share, tail, side="right") - 1]
        high = edges[np.searchsorted(share, 1 - tail, side="left")]
        return float(max(low, self.low)), float(min(high, self.high))


class Entropy(Histogram):
    """The range that loses the least information: the smallest Kullback-Leibler divergence of the quantized
    distribution from the one seen (S. Migacz, 8-bit inference with TensorRT, 2017), for a range that need not be
    symmetric: a threshold t keeps the values from max(low, -t) to min(high, t).
    """

    def range(self) -> tuple[float, float]:
        _refuse_unseen(self.low <= self.high)
        return _best(self, thresholds(self.low, self.high), lambda low, high: divergence(self, low, high))


class Mse(Histogram):
    """The range with the smallest mean squared error of the observed values, rounded to 256 levels; each end is moved by
    itself, in turn, as in torch's HistogramObserver.
    """

    def range(self) -> tuple[float, float]:
        centres, counts = self.occupied()

        def error(low: float, high: float) -> float:
            return squared_error(centres, counts, low, high)

        low, high = _best(self, thresholds(self.low, self.high), error)
        for _ in range(2):
            steps = np.linspace(1, CANDIDATES, CANDIDATES) / CANDIDATES
            lows = [(end, high) for end in min(self.low, 0.0) * steps]
            low, high = min([(low, high), *lows], key=lambda ends: error(*ends))
            highs = [(low, end) for end in max(self.high, 0.0) * steps]
            low, high = min([(low, high), *highs], key=lambda ends: error(*ends))
        return float(low), float(high)


METHODS: dict[str, Callable[[], Observer]] = {
    "minmax": MinMax,
    "percentile": Percentile,
    "entropy": Entropy,
    "mse": Mse,
}


def observer(method: str) -> Observer:
    """A new observer by its method's name. Raises CompressError for an unknown one."""
    if method not in METHODS:
        raise CompressError(f"Unknown range method '{method}'.{guess(method, METHODS)} Known: {', '.join(METHODS)}.")
    return METHODS[method]()


def thresholds(low: float, high: float) -> np.ndarray:
    """The thresholds that a search tries: from 1/`CANDIDATES` of the largest magnitude up to all of it."""
    return np.linspace(1, CANDIDATES, CANDIDATES) / CANDIDATES * max(abs(low), abs(high))


def squared_error(centres: np.ndarray, counts: np.ndarray, low: float, high: float) -> float:
    """The mean squared error of `centres`, `counts` of each, quantized to uint8 from `low` to `high` (0 included)."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / (LEVELS - 1)
    if scale == 0.0:
        return float(counts @ centres**2 / counts.sum())
    zero_point = np.rint(-low / scale)
    levels = np.clip(np.rint(centres / scale) + zero_point, 0, LEVELS - 1) - zero_point
    return float(counts @ (centres - levels * scale) ** 2 / counts.sum())


def divergence(histogram: Histogram, low: float, high: float) -> float:
    """KL(P || Q) in nats: P the counts from `low` to `high` with the clipped ones added to the end bins, Q the counts
    inside, spread evenly over the occupied bins of each of 256 levels. A bin of P that Q leaves empty costs as much
    as if one value of all were there.
    """
    centres, counts = histogram.occupied()
    inside = (centres >= low) & (centres <= high)
    if not inside.any():
        return np.inf
    kept = counts[inside].astype(np.float64)
    reference = kept.copy()
    reference[0] += counts[centres < low].sum()
    reference[-1] += counts[centres > high].sum()
    step = max((high - low) / LEVELS, np.finfo(np.float64).tiny)
    level = np.minimum(((centres[inside] - low) / step).astype(np.int64), LEVELS - 1)
    mass = np.bincount(level, weights=kept, minlength=LEVELS)
    bins = np.bincount(level, minlength=LEVELS)
    spread = mass[level] / bins[level]
    p, q = reference / reference.sum(), spread / spread.sum()
    return float(np.sum(p * np.log(p / np.maximum(q, 1 / counts.sum()))))


def _best(seen: Histogram, candidates: np.ndarray, cost: Callable[[float, float], float]) -> tuple[float, float]:
    ranges = [(max(seen.low, -threshold), min(seen.high, threshold)) for threshold in candidates]
    low, high = min(reversed(ranges), key=lambda ends: cost(*ends))  # of equals, the one that clips least
    return float(low), float(high)


def _ends(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise CompressError("The calibration saw NaN or infinity in an activation. Check the model and its inputs.")
    return low, high


def _refuse_unseen(seen: bool) -> None:
    if not seen:
        raise CompressError("No values were observed. Calibrate on at least one row.")
