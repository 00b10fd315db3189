"""Detects whether something else used the processors during a round: load of other processes, and stolen time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

OTHER_LOAD = 0.10
"""Of all processors' time in a round. A tenth of two cores moved medians by about as much as the gaps we report."""
STOLEN = 0.03
"""Of all processors' time: the hypervisor gave it to another guest."""


@dataclass(frozen=True)
class Reading:
    """The load of other processes during one round, as shares of all processors' time."""

    other_load: float
    stolen: float

    def is_noisy(self) -> bool:
        """Whether the round's timings are to be measured again."""
        return self.other_load > OTHER_LOAD or self.stolen > STOLEN

    def worst(self) -> float:
        """How far it exceeds the limits, to choose the quietest of several attempts."""
        return max(self.other_load / OTHER_LOAD, self.stolen / STOLEN)

    def __str__(self) -> str:
        return f"{self.other_load:.0%} of the processors used by others, {self.stolen:.0%} stolen"


Watch = Callable[[], Callable[[], Reading | None]]
"""Call it when a round starts; call what it gives when the round ends. The reading is None where nothing can be read."""


def watcher(process_ids: Iterable[int]) -> Watch:
    """Watches the processors, leaving out our own use of them.

    Args:
        process_ids: the workers'; this process is always ours.

    Returns:
        A watch whose readings are None on systems other than Linux.
    """
    ours = (os.getpid(), *process_ids)

    def start() -> Callable[[], Reading | None]:
        if not sys.platform.startswith("linux"):
            return lambda: None
        busy, stolen, own, began = *_machine_seconds(), _own_seconds(ours), time.monotonic()

        def stop() -> Reading:
            now_busy, now_stolen = _machine_seconds()
            available = max(time.monotonic() - began, 1e-3) * (os.cpu_count() or 1)
            other = (now_busy - busy) - (_own_seconds(ours) - own)
            return Reading(max(0.0, other) / available, max(0.0, now_stolen - stolen) / available)

        return stop

    return start


def _machine_seconds() -> tuple[float, float]:
    """Seconds since boot, over all processors, that were spent on processes here, and that were stolen."""
    import psutil

    times = psutil.cpu_times()
    busy = times.user + times.nice + times.system + times.irq + times.softirq
    return busy, getattr(times, "steal", 0.0)


def _own_seconds(process_ids: Iterable[int]) -> float:
    import psutil

    total = 0.0
    for process_id in process_ids:
        try:
            times = psutil.Process(process_id).cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total
