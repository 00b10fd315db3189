"""Shows progress of long steps: messages through logging, and a progress bar on a terminal or in a notebook."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Protocol, TypeVar

from compress.core.notebook import in_notebook
from compress.core.printable import one_line

logger = logging.getLogger("compress")

Item = TypeVar("Item")
EVERY_SECONDS = 15.0
"""Where there is no terminal, a bar becomes a line of text this often."""
FIRST_SECONDS = 3.0
"""When the first such line comes: how long a long piece of work will take is known soon."""


class Bar(Protocol):
    """A running progress bar."""

    def advance(self, by: int = 1, note: str = "") -> None:
        """Advance by some units; the note (a loss, a score) is shown beside the bar."""


def say(message: str) -> None:
    """Show a message to the user; silent with `--quiet`."""
    logger.info(message)


def warn(message: str) -> None:
    """Show a warning to the user, also with `--quiet`."""
    logger.warning(message)


@contextmanager
def during(what: str) -> Iterator[None]:
    """Say what begins; while it lasts, a line now and then says for how long it has been going on.

    For work without steps to count, such as tracing a model.
    """
    say(f"{what}.")
    begun, over = time.monotonic(), threading.Event()

    def go_on() -> None:
        while not over.wait(EVERY_SECONDS):
            line = f"{time.strftime('%H:%M:%S')}  {what}: {duration(time.monotonic() - begun)} elapsed"
            if logger.getEffectiveLevel() <= logging.INFO:
                # Handled, not logged: what is traced is kept quiet by `logging.disable`, which is of the whole process.
                logger.handle(logger.makeRecord(logger.name, logging.INFO, __file__, 0, line, (), None))

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items while a bar shows how far it is."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with bar(description, total) as running:
        for item in items:
            yield item
            running.advance()


@contextmanager
def bar(description: str, total: int | None, done: int = 0) -> Iterator[Bar]:
    """A progress bar on stderr: live on a terminal and in a notebook, now and then a line elsewhere, nothing with `--quiet`."""
    if not logger.isEnabledFor(logging.INFO):
        yield _Silent()
    elif sys.stderr.isatty():
        with _live(description, total, done) as running:
            yield running
    elif in_notebook():
        with _in_notebook(description, total, done) as running:
            yield running
    else:
        yield _Lines(description, total, done)


@contextmanager
def _live(description: str, total: int | None, done: int) -> Iterator[Bar]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(one_line(description), total=total, completed=done, note="")

        class Live:
            def advance(self, by: int = 1, note: str = "") -> None:
                progress.advance(task, by)
                if note:
                    progress.update(task, note=one_line(note))

        yield Live()


@contextmanager
def _in_notebook(description: str, total: int | None, done: int) -> Iterator[Bar]:
    """tqdm's: rich needs ipywidgets in a notebook, tqdm does without them."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")
        from tqdm.auto import tqdm

    with tqdm(desc=one_line(description), total=total, initial=done, leave=False) as shown:

        class Live:
            def advance(self, by: int = 1, note: str = "") -> None:
                if note:
                    shown.set_postfix_str(one_line(note), refresh=False)
                shown.update(by)

        yield Live()


class _Silent:
    def advance(self, by: int = 1, note: str = "") -> None:
        pass


class _Lines:
    """Lines with the time of day, the time since the start and the time that is left: the first one soon, then regularly."""

    def __init__(self, description: str, total: int | None, done: int) -> None:
        self.description, self.total, self.done = description, total, done
        self.begun_at = done
        self.begun = time.monotonic()
        self.next = self.begun + FIRST_SECONDS

    def advance(self, by: int = 1, note: str = "") -> None:
        self.done += by
        now = time.monotonic()
        if now < self.next:
            return
        self.next = now + EVERY_SECONDS
        of = f" of {self.total:,}" if self.total else ""
        elapsed = now - self.begun
        times = f"{duration(elapsed)} elapsed"
        if self.total and self.done > self.begun_at:
            left = elapsed / (self.done - self.begun_at) * (self.total - self.done)
            times += f", about {duration(left)} left"
        clock = time.strftime("%H:%M:%S")
        say(f"{clock}  {self.description}: {self.done:,}{of}, {times}{'  ' + note if note else ''}")


def duration(seconds: float) -> str:
    """A time in words.

    >>> [duration(one) for one in (0.4, 4.4, 75, 7300)]
    ['0.4 s', '4 s', '1 min 15 s', '2 h 1 min']
    """
    whole = round(seconds)
    if whole < 1:
        return f"{seconds:.1f} s" if seconds >= 0.05 else "0 s"
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
