"""A benchmark says how long is left: model by model before the timed rounds, and of the rounds while they run."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from compress.measure import run


def test_a_benchmark_says_what_is_left_before_and_in_its_timed_rounds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]

    def takes(seconds: float) -> None:
        now[0] += seconds

    def rounds(*_: Any, done: Callable[[], None], **__: Any) -> dict[Any, Any]:
        for _round in range(4):
            takes(20)
            done()
        return {}

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(run.Run, "measure_size", lambda *_: takes(10))
    monkeypatch.setattr(run.Run, "start", lambda *_: takes(20))
    monkeypatch.setattr(run.Run, "measure_quality", lambda *_: takes(30))
    monkeypatch.setattr(run, "glance", lambda _: None)
    monkeypatch.setattr(run, "time_rounds", rounds)
    caplog.set_level(logging.INFO, logger="compress")
    watch = lambda *_: None  # noqa: E731 - one line that does nothing
    plan: Any = SimpleNamespace(
        watch=watch, threads=1, rounds=4, repeats=0, conditions=["1xreal"], options=("ours",), journal=None
    )
    entries: Any = [SimpleNamespace(name=name) for name in ("fp32-torch", "fp32-onnx", "student")]
    run.measure(entries, SimpleNamespace(), plan)  # type: ignore[arg-type]  # nothing is evaluated
    first, second, third, *timed = caplog.messages
    assert first == "fp32-torch (1 of 3): size, memory and quality."
    assert second.endswith("quality; about 2 min 0 s left before the timed rounds.")
    assert third.endswith("quality; about 1 min 0 s left before the timed rounds.")
    assert [re.sub(r"^\d\d:\d\d:\d\d  ", "", line) for line in timed] == [
        "Timed rounds: 1 of 4, 20 s elapsed, about 1 min 0 s left",
        "Timed rounds: 2 of 4, 40 s elapsed, about 40 s left",
        "Timed rounds: 3 of 4, 1 min 0 s elapsed, about 20 s left",
        "Timed rounds: 4 of 4, 1 min 20 s elapsed, about 0 s left",
    ]
