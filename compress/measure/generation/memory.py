"""How the peak memory of a process grows with what its model writes: the cache of keys and values, and what comes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compress.core.errors import CompressError
from compress.core.measurement import Measurement
from compress.measure.batches import REAL, Condition
from compress.measure.process import WorkerProcess

GROWTH = "memory_growth_bytes_per_token"
TIMES = (1, 2, 4)
"""How many times the suite's number of new tokens is written, one after the other."""


def condition_of_growth(conditions: Sequence[Condition]) -> Condition | None:
    """The fixed length with the most rows, whose caches are easiest to tell from all else; None for real lengths only."""
    fixed = [one for one in conditions if one.length != REAL]
    return max(fixed, key=lambda one: one.batch, default=None)


def lengths(condition: Condition, new_tokens: int, context: int | None, *, writes_apart: bool) -> list[int]:
    """How many tokens are written, fewer where a model does not read so many.

    Args:
        condition: tells the prompt's length.
        new_tokens: the suite's.
        context: the most tokens a row may have; None for no limit.
        writes_apart: whether a prompt takes none of them, since it is read by an encoder.

    Raises:
        CompressError: there is no room for different lengths.
    """
    room = None if context is None else context - (0 if writes_apart else int(condition.length))
    least = new_tokens if room is None else min(new_tokens, room // max(TIMES))
    if least < 1:
        raise CompressError(
            f"a prompt of {condition.length} tokens leaves no room among {context} to write more and more"
        )
    return [times * least for times in TIMES]


def peaks(worker: WorkerProcess, condition: Condition, counts: Sequence[int]) -> dict[int, float]:
    """The peak memory while so many tokens are written, in bytes, by their number.

    Args:
        worker: a fresh one, which has loaded nothing yet.
        condition: of a fixed length.
        counts: rising.

    Raises:
        WorkerFailed: it cannot load, or not write.
    """
    worker.ask("load")
    worker.ask("grow", condition=condition.key, new_tokens=counts[0])  # a warm-up: libraries take memory once
    return {
        count: float(worker.ask("grow", condition=condition.key, new_tokens=count)["peak_bytes"]) for count in counts
    }


def growth(
    fingerprint: str, found: Mapping[int, float], condition: Condition, where: Mapping[str, Any]
) -> list[Measurement]:
    """The peaks, and what they rise by for each token of each row, from the fewest to the most tokens.

    Args:
        fingerprint: the artifact's.
        found: what `peaks` gave.
        condition: what it was read under.
        where: runtime, threads, options, device.
    """
    under = {"batch": condition.batch, "length": condition.length, **where}
    measured = [
        Measurement(
            fingerprint,
            "peak_memory_bytes",
            value,
            "bytes",
            False,
            {**where, "phase": f"{condition.key}+{count}", "new_tokens": count},
            samples=1,
        )
        for count, value in found.items()
    ]
    fewest, most = min(found), max(found)
    value = (found[most] - found[fewest]) / ((most - fewest) * condition.batch)
    raw = tuple(found.values())
    notes = [f"from {fewest} to {most} tokens in each of {condition.batch} rows"]
    if value <= 0:
        notes.append("what was written fitted into memory that the process held already")
    measured.append(
        Measurement(
            fingerprint, GROWTH, value, "bytes/token", False, under, samples=len(raw), raw=raw, notes=tuple(notes)
        )
    )
    return measured


def absent(fingerprint: str, condition: Condition | None, where: Mapping[str, Any], reason: str) -> Measurement:
    """The growth of a model that could not be made to write."""
    under = dict(where) if condition is None else {"batch": condition.batch, "length": condition.length, **where}
    return Measurement(fingerprint, GROWTH, None, "bytes/token", False, under, absent=reason)
