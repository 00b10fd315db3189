"""Where there is no terminal, a bar is lines with the time of day, the time since the start and the time that is left."""

from __future__ import annotations

import io
import logging
import re
import sys
import threading
import time

import pytest

from compress.core import progress


def test_a_line_of_progress_has_the_time_the_elapsed_time_and_what_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    caplog.set_level(logging.INFO, logger="compress")
    with progress.bar("teacher: training", 226, 26) as running:
        running.advance(50)  # at once: no line yet
        assert not caplog.messages
        now[0] = 110.0
        running.advance(50, "loss 0.590")
        running.advance(1)
        now[0] = 126.0
        running.advance(0, "scoring held-out rows: 64 of 128")  # nothing is done, and yet it does not stand still
    first, second = caplog.messages
    assert re.match(r"\d\d:\d\d:\d\d  teacher: training: 126 of 226, 10 s elapsed, about 10 s left  loss 0.590$", first)
    assert second.endswith("scoring held-out rows: 64 of 128")
    assert "127 of 226, 26 s elapsed" in second


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "0 s"), (0.2, "0.2 s"), (59.7, "1 min 0 s"), (75.0, "1 min 15 s"), (7300.0, "2 h 1 min")],
)
def test_times_are_written_in_words(seconds: float, words: str) -> None:
    assert progress.duration(seconds) == words


def test_work_without_steps_says_that_it_goes_on_even_where_a_library_is_kept_quiet(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.01)
    caplog.set_level(logging.INFO, logger="compress")
    threads = threading.active_count()
    with progress.during("student: exporting to ONNX"):
        logging.disable(logging.WARNING)  # as while a model is traced
        try:
            until = time.monotonic() + 5
            while len(caplog.messages) < 3 and time.monotonic() < until:
                time.sleep(0.005)
        finally:
            logging.disable(logging.NOTSET)
    first, second, *_ = caplog.messages
    assert first == "student: exporting to ONNX."
    assert re.match(r"\d\d:\d\d:\d\d  student: exporting to ONNX: 0(\.\d)? s elapsed$", second)
    assert threading.active_count() == threads


def test_work_without_steps_is_silent_where_only_results_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.01)
    caplog.set_level(logging.WARNING, logger="compress")
    with progress.during("student: exporting to ONNX"):
        time.sleep(0.05)
    assert not caplog.messages


def test_on_a_terminal_the_bar_shows_the_elapsed_time_and_what_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    for name, value in {"TERM": "xterm", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.INFO, logger="compress")
    with progress.bar("Timed rounds", 10) as running:
        for _ in range(5):
            time.sleep(0.01)
            running.advance()
    plain = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", terminal.getvalue())
    assert re.search(r"Timed rounds \S+ +5/10 0:00:0\d 0:00:0\d", plain)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True
