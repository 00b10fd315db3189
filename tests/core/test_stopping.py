"""Whatever asks a command to stop, it stops in one way: one line, the code that shells know, and nothing waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from compress.core import stopping

ALL = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.fixture(autouse=True)
def _handlers_as_they_were(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(stopping, "SAME_SECONDS", 0.0)
    before = {number: signal.getsignal(number) for number in (*stopping.SIGNALS, signal.SIGALRM)}
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), ALL)
def test_a_command_stops_with_one_line_and_the_code_that_shells_know(number: int, code: int) -> None:
    working = "def work(*given):\n    print('at work', flush=True)\n    time.sleep(60)\n"
    program = (
        f"import sys, time, compress.core.catalogue as catalogue\n{working}catalogue.summary = work\n"
        "sys.argv = ['compress', 'list']\nfrom compress.__main__ import main\nmain()"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "at work\n"
    running.send_signal(number)
    _, errors = running.communicate(timeout=30)
    assert errors.splitlines() == ["Stopped. Finished work is kept; the same command continues."]
    assert running.returncode == code


@pytest.mark.parametrize(("number", "code"), ALL)
def test_the_signal_is_known_where_it_is_raised(number: int, code: int) -> None:
    stopping.raise_at_signals()
    with pytest.raises(stopping.Stopped) as caught:
        os.kill(os.getpid(), number)
    assert (caught.value.number, caught.value.exit_code) == (number, code)


@pytest.mark.parametrize(("number", "code"), ALL)
def test_a_signal_that_comes_while_an_object_is_taken_down_is_not_lost(number: int, code: int) -> None:
    class TakenDown:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)

    def drop() -> None:
        TakenDown()
        time.sleep(10)

    stopping.raise_at_signals()
    with pytest.raises(stopping.Stopped) as caught:
        drop()
    assert caught.value.exit_code == code


def test_a_second_signal_ends_the_process_at_once() -> None:
    program = (
        "import os, signal, time; from compress.core.stopping import SAME_SECONDS, raise_at_signals; raise_at_signals()\n"
        "try:\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "finally:\n    time.sleep(SAME_SECONDS + 0.1); os.kill(os.getpid(), signal.SIGTERM); print('cleaned up')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "")


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_who_listens_is_told_of_the_first_signal_and_stopped_by_the_second(number: int) -> None:
    before, told = signal.getsignal(number), []
    restore = stopping.listen(told.append)
    os.kill(os.getpid(), number)
    assert told == [number]
    with pytest.raises(stopping.Stopped):
        os.kill(os.getpid(), number)
    restore()
    assert signal.getsignal(number) is before


def test_a_signal_that_a_launcher_passes_on_is_the_same_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "SAME_SECONDS", 60.0)
    told: list[int] = []
    restore = stopping.listen(told.append)
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    assert told == [signal.SIGINT]
    restore()


def test_a_hang_up_that_nohup_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stopping.raise_at_signals()
    os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize(
    "raised", ["EOFError()", "ValueError('x\\n' * 3000)", "BaseException('a panic')", "RecursionError()"]
)
def test_what_nobody_foresaw_is_one_line_and_no_interruption(raised: str) -> None:
    done = subprocess.run([sys.executable, "-c", _raising(raised)], capture_output=True, text=True, check=False)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("Error: compress hit an unexpected error (")
    assert len(line) <= 500


def test_a_command_that_runs_out_of_memory_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _raising("MemoryError()")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: `compress list` ran out of memory.")


def _raising(what: str) -> str:
    return (
        "import sys\nimport compress.core.catalogue as catalogue\n"
        f"def fail(*given): raise {what}\n"
        "catalogue.summary = fail\nsys.argv = ['compress', 'list']\n"
        "from compress.__main__ import main\nmain()"
    )


@pytest.mark.parametrize(("number", "code"), ALL)
def test_a_signal_that_comes_where_no_exception_may_leave_stops_at_the_end_of_the_block(number: int, code: int) -> None:
    before = {one: signal.getsignal(one) for one in stopping.SIGNALS}
    done = False
    with pytest.raises(stopping.Stopped) as caught, stopping.held():
        os.kill(os.getpid(), number)
        done = True
    assert done
    assert caught.value.exit_code == code
    assert {one: signal.getsignal(one) for one in stopping.SIGNALS} == before
