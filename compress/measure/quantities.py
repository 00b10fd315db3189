"""The measured quantities besides the metrics: their units, and whether higher is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compress.core.measurement import Measurement

SIZE = ("disk_bytes", "parameters", "compressed_bytes", "zeros")
PEAK, DEVICE_PEAK, EMPTY = "peak_memory_bytes", "peak_device_memory_bytes", "empty_process_bytes"
GROWTH = "memory_growth_bytes_per_token"
LATENCY, P90, P99 = "latency_seconds", "latency_p90_seconds", "latency_p99_seconds"
THROUGHPUT, SPEEDUP = "throughput", "speedup"
TOTAL, PER_SECOND = "total_seconds", "output_tokens_per_second"
FIRST, PER_TOKEN = "time_to_first_token_seconds", "time_per_output_token_seconds"
CALIBRATION, BRIER = "calibration_error", "brier_score"
AGREEMENT, DISTINCT, OUTPUT_TOKENS = "agreement_with_root", "distinct_outputs", "output_tokens"
CHANGED = "answers_changed_by_batch"

QUANTITIES: Mapping[str, tuple[str, bool]] = {
    "parameters": ("count", False),
    "zeros": ("share", False),
    **dict.fromkeys(("disk_bytes", "compressed_bytes", PEAK, DEVICE_PEAK, EMPTY), ("bytes", False)),
    GROWTH: ("bytes/token", False),
    **dict.fromkeys((LATENCY, P90, P99, TOTAL, FIRST, PER_TOKEN), ("seconds", False)),
    THROUGHPUT: ("examples/second", True),
    PER_SECOND: ("tokens/second", True),
    SPEEDUP: ("ratio", True),
    **dict.fromkeys((AGREEMENT, DISTINCT), ("share", True)),
    **dict.fromkeys((CALIBRATION, BRIER), ("share", False)),
    **dict.fromkeys((OUTPUT_TOKENS, CHANGED), ("count", False)),
}
"""By its name in `measurements.json`: its unit, and whether more of it is better."""


def measured(
    fingerprint: str, name: str, value: float, condition: Mapping[str, Any] | None = None, **more: Any
) -> Measurement:
    """One of the `QUANTITIES`.

    Args:
        fingerprint: the artifact's.
        name: the quantity's.
        value: in its unit.
        condition: what it was read under.
        more: samples, interval, notes and what else a `Measurement` holds.
    """
    return Measurement(fingerprint, name, float(value), *QUANTITIES[name], condition or {}, **more)


def absent(fingerprint: str, name: str, condition: Mapping[str, Any], reason: str) -> Measurement:
    """One of the `QUANTITIES` that has no value here, and why."""
    return Measurement(fingerprint, name, None, *QUANTITIES[name], condition, absent=reason)
