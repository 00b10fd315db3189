"""A run that is killed at any moment goes on with the same command, and ends with the weights of an undisturbed run."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from tests.reliability import counts
from tests.reliability.commands import Commands, Ended, Running, alive
from tests.reliability.tiny_pipeline import artifacts, unfinished, weights, write_pipeline

SIGNALS = {"KILL": signal.SIGKILL, "INT": signal.SIGINT, "TERM": signal.SIGTERM, "HUP": signal.SIGHUP}
STOPPED = {"INT": 130, "TERM": 143, "HUP": 129}
"""The exit codes of a command that was asked to stop and did: 128 and the signal's number. One that was only starting, and
had nothing to put away, is ended by the signal itself."""
TO_STOP = 20.0
"""Seconds that a command has to stop when it is asked to: a step of training, then a checkpoint."""
LEFT_BY_OTHERS = {".ses"}
"""What libraries leave in the temporary folder at import."""


def disturbed(running: Running, name: str) -> Ended:
    """Send the signal: one to be obeyed goes to the command alone, SIGKILL to the command or to its whole group."""
    running.kill(SIGNALS[name], group=False)
    return running.ended(TO_STOP)


def none_left(session: int, seconds: float = 5.0) -> bool:
    """Whether no process of a session runs on; a worker may take a moment to see that its parent has died."""
    deadline = time.monotonic() + seconds
    while alive(session):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.slow
@pytest.mark.parametrize("measured", [False, True], ids=["steps", "benchmark"])
def test_a_killed_run_goes_on_and_ends_as_an_undisturbed_one(tmp_path: Path, measured: bool) -> None:
    write_pipeline(tmp_path, measured=measured)
    commands = Commands(tmp_path)
    whole = commands.run("run", "tiny.yaml", "-o", "runs/whole")
    assert whole.code == 0, whole.errors
    expected = weights(tmp_path / "runs/whole")
    chance = random.Random(counts.SEED + measured)
    longest, remaining, chain, killed = whole.seconds, counts.KILLS, 1, 0
    if measured:
        remaining = max(1, remaining // 3)

    def check_whole(ended: Ended, out: str) -> None:
        assert ended.code == 0, ended.errors
        assert weights(tmp_path / out) == expected
        assert unfinished(tmp_path / out) == []
        if killed:
            counts.record("chain", weights=len(expected), kills=killed, measured=measured)

    while remaining:
        out = f"runs/killed-{chain}"
        running = commands.start("run", "tiny.yaml", "-o", out)
        if running.wait(longest * chance.choice((0.2, 0.5, 1.0)) * chance.uniform(0.05, 1.0)):
            ended = running.ended()  # it was faster than the signal
            check_whole(ended, out)
            longest = longest if killed else min(longest, ended.seconds)
            chain, killed = chain + 1, 0
            continue
        remaining, killed = remaining - 1, killed + 1
        name = chance.choice(["KILL", "KILL", "INT", "TERM", "HUP"])
        ended = disturbed(running, name)
        assert none_left(running.session), f"processes are left after SIG{name}"
        assert "Traceback" not in ended.errors, ended.errors
        if ended.code != 0:  # 0: it ended while the signal was on its way
            assert ended.code in {STOPPED.get(name), -SIGNALS[name]}, (name, ended.code, ended.errors)
        opened = sum(1 for _ in artifacts(tmp_path / out)) if (tmp_path / out).exists() else 0
        left = {one.name for one in commands.temporary.rglob("*")} - LEFT_BY_OTHERS
        assert not left, f"left in the temporary folder after SIG{name}: {left}"
        counts.record("kill", signal=name, code=ended.code, artifacts=opened, measured=measured)
    check_whole(commands.run("run", "tiny.yaml", "-o", f"runs/killed-{chain}"), f"runs/killed-{chain}")
