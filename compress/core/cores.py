"""The number of processors that this process may use: its affinity, and the quota of its control groups (versions 1 and
2).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

PROCESS = Path("/proc/self")


def available_cores(process: Path = PROCESS) -> int:
    """The number of processors that this process may use, at least 1; a container may limit it.

    A quota is rounded up: half a processor's time is still spent on one.
    """
    cores = affinity()
    quota = cpu_quota(process)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def affinity() -> int:
    """How many processors the system schedules this process on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(process: Path = PROCESS) -> float | None:
    """The CPU quota in processors, 0.5 for half of one; None without a limit.

    `docker run --cpus 2` and a Kubernetes limit set such a quota and leave all processors in sight. Each group above
    this process's own may have one too, and the smallest decides.

    Args:
        process: the folder that the system describes the process in.
    """
    quotas = [
        quota
        for folder in _folders(_text(process / "cgroup"), _text(process / "mountinfo"))
        for quota in _quotas(folder)
    ]
    return min(quotas, default=None)


def _folders(groups: str, mounts: str) -> Iterator[Path]:
    """This process's group and all above it, as far as they can be seen, in each hierarchy that knows processors.

    Args:
        groups: the text of `/proc/self/cgroup`, lines such as `4:cpu,cpuacct:/docker/1f` (version 1) and `0::/docker/1f`.
        mounts: the text of `/proc/self/mountinfo`.
    """
    paths = {}
    for line in groups.splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0" and not controllers:
            paths["cgroup2"] = path
        elif "cpu" in controllers.split(","):
            paths["cgroup"] = path
    for line in mounts.splitlines():
        place, _, kind = line.partition(" - ")
        fields, told = place.split(), kind.split()
        if len(fields) < 5 or len(told) < 3 or told[0] not in paths:
            continue
        system, options = told[0], told[-1]
        if system == "cgroup" and "cpu" not in options.split(","):
            continue
        root, mounted = fields[3], Path(fields[4].replace("\\040", " "))  # how the kernel writes a space
        path = paths[system]
        # A container without a namespace of its own sees the host's path, but only its own group, mounted as the root.
        below = PurePosixPath(path).relative_to(root) if PurePosixPath(path).is_relative_to(root) else PurePosixPath()
        yield from (mounted / one for one in (below, *below.parents))


def _quotas(folder: Path) -> Iterator[float]:
    """The group's quota; none where it says `max` or -1."""
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    if not quota:
        quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    try:
        if int(quota) > 0 and int(period) > 0:
            yield int(quota) / int(period)
    except ValueError:
        return


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
