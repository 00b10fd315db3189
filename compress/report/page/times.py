"""One unit for all times of a column, so that they can be compared by eye."""

from __future__ import annotations

from collections.abc import Callable

from compress.report.comparison import Comparison


def unit_of_times(comparison: Comparison) -> Callable[[float], str]:
    """Writes a time of the headline in milliseconds, or in seconds where even the fastest takes one: `0.642 ms`, `12.3 s`."""
    headline = comparison.headline
    times = [row.speeds[headline].time.value for row in comparison.rows] if headline else []
    known = [one for one in times if one is not None]
    unit, size = ("s", 1.0) if known and min(known) >= 1 else ("ms", 1e-3)
    return lambda seconds: f"{_three_digits(seconds / size)}\u00a0{unit}"


def _three_digits(value: float) -> str:
    for below, digits in ((0.9995, 3), (9.995, 2), (99.95, 1)):
        if value < below:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"
