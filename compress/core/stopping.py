"""Stops a command cleanly on Ctrl-C, SIGTERM (docker stop, Slurm, systemd) and SIGHUP (a closed terminal)."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
SAME_SECONDS = 0.3
"""A launcher passes on to its processes what the terminal has told them already: signals so close together are one."""

SOON_SECONDS = 0.02
"""From a signal that was lost to when it is raised again: the object has been taken down by then."""


class Stopped(KeyboardInterrupt):
    """A signal asked this process to stop."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """What a shell reports of a process that such a signal ended: 130, 143 or 129."""
        return 128 + self.number


def raise_at_signals() -> None:
    """From now on the first signal raises `Stopped`, and a second one ends the process at once.

    A SIGHUP that is ignored, as `nohup` has it, stays ignored.
    """
    _answer([_raise, _end])
    sys.unraisablehook = _raise_what_was_lost


def _raise_what_was_lost(lost: sys.UnraisableHookArgs) -> None:
    """Python drops what is raised while it takes an object down (`__del__`): a signal that came then is raised again."""
    stopped = lost.exc_value
    if not isinstance(stopped, Stopped):
        sys.__unraisablehook__(lost)
        return
    signal.signal(signal.SIGALRM, lambda *_: _raise(stopped.number))
    signal.setitimer(signal.ITIMER_REAL, SOON_SECONDS)


def listen(react: Callable[[int], None]) -> Callable[[], None]:
    """Tell the first signal to `react` instead; the second raises `Stopped`, and a third ends the process at once.

    Returns:
        What puts everything back as it was. Outside the main thread, where signals cannot be caught, nothing is changed.
    """
    try:
        former = _answer([react, _raise, _end])
    except ValueError:
        return lambda: None

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    return restore


@contextmanager
def held() -> Iterator[None]:
    """A signal that comes within the block stops the process at its end: within it, C++ calls Python from places that an
    exception must not leave (torch's tracing), where it would abort the process. A second one raises `Stopped` at once."""
    came: list[int] = []
    restore = listen(came.append)
    try:
        yield
    finally:
        restore()
        if came:
            raise Stopped(came[0])


def _answer(answers: list[Callable[[int], None]]) -> dict[int, Any]:
    """Answer one signal after another, each by the next of these; gives the former handlers."""
    waiting, last = iter(answers), -SAME_SECONDS

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal last
        if time.monotonic() - last < SAME_SECONDS:
            return
        last = time.monotonic()
        next(waiting, _end)(number)

    ignored = {number for number in SIGNALS if number != signal.SIGINT and signal.getsignal(number) is signal.SIG_IGN}
    return {number: signal.signal(number, handle) for number in SIGNALS if number not in ignored}


def _raise(number: int) -> None:
    raise Stopped(number)


def _end(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
