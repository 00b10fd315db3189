"""Processes that train one model in parallel: their number, this process's rank, and waiting for the first one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from compress.core.errors import CompressError
from compress.core.progress import warn

LAUNCHED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun (and `accelerate launch` on GPUs) gives every process; torch needs all of them to bring them together."""
OWN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
"""Those of the launch that torch and accelerate take for a launch wherever they find one of them."""
MPI_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")
WORKS = "torchrun --nproc-per-node 2 -m compress ..."
SPEAKS_AFTER_SECONDS = 5.0


def world_size(environment: Mapping[str, str] = os.environ) -> int:
    """The number of processes that were launched together: 1 unless a launcher's variables are complete.

    >>> world_size({"RANK": "1"})
    1
    >>> world_size(dict(RANK="1", LOCAL_RANK="1", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT="29500"))
    2
    """
    return _place(environment)[1]


def is_main_process(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process writes: the only one, or the first of those launched together."""
    return _place(environment)[0] == 0


def settle() -> None:
    """Ignore leftover launch variables of another program, and refuse incomplete launches.

    A `RANK` without the rest is a leftover of another launch (or of Slurm's scripts). With it this process would wait
    for a first one that there is not, and torch would wait for the others.

    Raises:
        CompressError: several processes were asked for, and each would train a model of its own.
    """
    if world_size() > 1:
        return
    several = next((name for name in MPI_SIZES if _number(os.environ.get(name)) > 1), None)
    if several is not None:
        raise CompressError(
            f"{several} is {os.environ[several]}, but processes started by MPI cannot train together here. "
            f"Start them with `{WORKS}`, or unset {several}."
        )
    # accelerate 1.15 names an address only where several processes are asked for, and leaves them to MPI on CPUs.
    if "ACCELERATE_MIXED_PRECISION" in os.environ and "MASTER_ADDR" in os.environ and "RANK" not in os.environ:
        raise CompressError(
            "`accelerate launch` was asked for several processes and started one: on CPUs it starts no others. "
            f"Use `{WORKS}`, or unset MASTER_ADDR if one is meant."
        )
    found = [name for name in OWN if name in os.environ]
    alone = os.environ.get("RANK") == "0" and os.environ.get("WORLD_SIZE") == "1"
    if found and not alone:
        missing = [name for name in LAUNCHED if not os.environ.get(name)]
        why = f"without {', '.join(missing)}" if missing else "which contradict each other"
        told = ", ".join(f"{name}={os.environ[name]}" for name in found)
        warn(
            f"The environment has {told} {why}: this is not a launch of several processes, so this process runs alone."
        )
    for name in found:
        del os.environ[name]


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = 1800.0) -> None:
    """Wait for another process, and say so; a CompressError when it takes too long.

    Args:
        what: what is waited for, as in `the first process to calibrate`.
    """
    began, spoken = time.monotonic(), False
    while not is_so():
        waited = time.monotonic() - began
        if waited > seconds:
            raise CompressError(f"Waited {seconds:.0f} seconds for {what}. See the first process's messages.")
        if waited > SPEAKS_AFTER_SECONDS and not spoken:
            warn(
                f"Process {os.environ.get('RANK')} of {world_size()} waits for {what}, {seconds / 60:.0f} minutes at most."
            )
            spoken = True
        time.sleep(0.2)


def _place(environment: Mapping[str, str]) -> tuple[int, int]:
    """This process's rank and the number of processes; (0, 1) if it was launched alone."""
    if not all(environment.get(name) for name in LAUNCHED):
        return 0, 1
    rank, size = _number(environment["RANK"]), _number(environment["WORLD_SIZE"])
    return (rank, size) if 0 <= rank < size else (0, 1)


def _number(text: str | None) -> int:
    """The number that a variable holds; -1 where it holds none."""
    try:
        return int(text or "-1")
    except ValueError:
        return -1
