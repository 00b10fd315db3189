"""Refuses ratios of speed whose rounds other processes disturbed, also those of files that an older version wrote."""

from __future__ import annotations

import re
from dataclasses import replace

from compress.core.measurement import Measurement, Measurements
from compress.metrics.quiet_rounds import LEAST, refusal

_NOTE = re.compile(r"(\d+) of (\d+) rounds were (?:disturbed|noisy)")
"""How a measurement says so."""


def refusal_of(measurement: Measurement | None) -> str | None:
    """Why there is no ratio, where too few of the rounds that it was timed in were quiet."""
    found = next(filter(None, map(_NOTE.search, measurement.notes)), None) if measurement else None
    return refusal(int(found[1]), int(found[2])) if found else None


def checked(ratio: Measurement | None) -> Measurement | None:
    """A ratio without its interval where that is of fewer than six rounds, and without its value where it is refused."""
    if ratio is None or ratio.value is None:
        return ratio
    why = refusal_of(ratio)
    is_itself = ratio.value == 1.0 and set(ratio.raw) <= {1.0}
    if why is not None and not is_itself:
        return replace(ratio, value=None, interval=None, absent=why)
    return replace(ratio, interval=None) if 0 < len(ratio.raw) < LEAST else ratio


def warning(measurements: Measurements) -> str | None:
    """One line where speed has no ratio, or less of it, since the machine was busy; None where nothing disturbed it."""
    timed = [one for one in measurements.measurements if one.name == "latency_seconds" and one.value is not None]
    refused = [one for one in timed if refusal_of(one)]
    if not refused:
        return None
    what = "No speed ratios" if len(refused) == len(timed) else "Some speed ratios are missing"
    return f"{what}: the machine was busy. Measure again when nothing else runs."
