"""Detects whether something else used the processors during a round: load of other processes, and stolen time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from compress.core.cores import affinity, available_cores

OTHER_LOAD = 0.05
"""Of the time of the processors in use. A foreign process that took 8 % of both of two lowered the ends of intervals of ratios
from 2.0 to 1.1."""
STOLEN = 0.03
"""Of the same: the hypervisor gave it to another guest."""
RESOLUTION_SECONDS = 0.01
"""The system counts idle time in hundredths of a second: less than one of them is not seen."""
GLANCE_SECONDS = 0.3


@dataclass(frozen=True)
class Reading:
    """The load of other processes during one round, as shares of the time of the processors in use.

    One that fills a processor is 0.5 where two are in use, however many there are; several may make more than 1.
    """

    other_load: float
    stolen: float

    def is_noisy(self) -> bool:
        """Whether the round's timings are to be measured again."""
        return self.other_load > OTHER_LOAD or self.stolen > STOLEN

    def worst(self) -> float:
        """How far it exceeds the limits, to choose the quietest of several attempts."""
        return max(self.other_load / OTHER_LOAD, self.stolen / STOLEN)

    def __str__(self) -> str:
        stolen = f", {self.stolen:.0%} stolen" if self.stolen >= 0.005 else ""
        return f"other processes took {self.other_load:.0%} of the processors in use{stolen}"


Watch = Callable[[], Callable[[], Reading | None]]
"""Call it when a round starts; call what it gives when the round ends. The reading is None where nothing can be read."""


def watcher(process_ids: Iterable[int], threads: int) -> Watch:
    """Watches the processors that this process may run on, leaving out our own use of them.

    Args:
        process_ids: the workers'; this process is always ours.
        threads: of each worker. What others use is a share of so many processors, or of as many as there are for us.

    Returns:
        A watch whose readings are None on systems other than Linux.
    """
    ours = (os.getpid(), *process_ids)

    def start() -> Callable[[], Reading | None]:
        if not sys.platform.startswith("linux"):
            return lambda: None
        before, own_before, began = _machine_seconds(), _own_seconds(ours), time.monotonic()

        def stop() -> Reading:
            now, own = _machine_seconds(), _own_seconds(ours) - own_before
            in_use = max(time.monotonic() - began, 1e-3) * min(threads, available_cores())
            other = now.busy - before.busy - own - now.resolution
            return Reading(max(0.0, other) / in_use, max(0.0, now.stolen - before.stolen - now.resolution) / in_use)

        return stop

    return start


def glance(watch: Watch) -> Reading | None:
    """What others use while this process waits for a moment."""
    stop = watch()
    time.sleep(GLANCE_SECONDS)
    return stop()


@dataclass(frozen=True)
class _Seconds:
    """Of the processors we may run on, since some moment, over all of them."""

    busy: float
    stolen: float
    resolution: float
    """What both may be wrong by."""


def _machine_seconds() -> _Seconds:
    """Idle time is exact where the clock stops for it, unlike the time of processes, which is sampled tick by tick."""
    import psutil

    now, times, count = time.monotonic(), [psutil.cpu_times()], os.cpu_count() or 1
    if affinity() < count:
        each, allowed = psutil.cpu_times(percpu=True), os.sched_getaffinity(0)
        if max(allowed) < len(each):  # else some processor is offline or hidden, and the list does not go by number
            times, count = [each[one] for one in allowed], len(allowed)
    stolen = sum(getattr(one, "steal", 0.0) for one in times)
    idle = sum(one.idle + getattr(one, "iowait", 0.0) for one in times)
    return _Seconds(now * count - idle - stolen, stolen, RESOLUTION_SECONDS * len(times))


def _own_seconds(process_ids: Iterable[int]) -> float:
    return sum(map(_process_seconds, process_ids))


def _process_seconds(process_id: int) -> float:
    """The processor time of a process, 0 of one that is gone."""
    import psutil

    try:
        # The clock that clock_getcpuclockid(3) names: exact, where psutil counts in hundredths of a second.
        return time.clock_gettime(~process_id << 3 | 2)
    except OSError:
        pass
    try:
        times = psutil.Process(process_id).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)
