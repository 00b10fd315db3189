"""What a model said on a whole split is kept, checked when it is opened, and asked for again where it was damaged."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.measure.evaluation import Evaluation
from compress.measure.plan import Candidate, Entry
from compress.runtimes.runtime import Serving


class Worker:
    """Writes three rows of logits wherever it is told to."""

    def __init__(self) -> None:
        self.calls = 0

    def ask(self, what: str, *, to: str, **_: Any) -> None:
        self.calls += 1
        np.save(to, np.arange(6.0).reshape(3, 2))
        if what == "fails":
            raise CompressError("it failed")


@pytest.fixture
def cached(tmp_path: Path) -> Any:
    worker = Worker()
    artifact = Artifact(tmp_path, {"weights": "w"}, None, "onnx")
    runtime = SimpleNamespace(name="onnxruntime", version=lambda: "1")
    candidate = Candidate(Entry("model", artifact, runtime), runtime, Serving(), worker=worker)  # type: ignore[arg-type]  # a stand-in for a process
    split: Any = SimpleNamespace(cache=tmp_path / "cache", identity=lambda: {"split": "these"}, batch_size=2)
    return lambda what="predict": (Evaluation.asked(split, candidate, what, 3), worker)


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_what_was_damaged_is_asked_for_again(damage: str, cached: Any) -> None:
    file, worker = cached()
    content = file.read_bytes()
    assert cached()[0] == file
    assert worker.calls == 1
    file.write_bytes(content[:-8] if damage == "cut" else content[:-1] + b"\1")
    assert cached()[0].read_bytes() == content
    assert worker.calls == 2


def test_what_a_worker_that_failed_has_written_is_not_kept(cached: Any, tmp_path: Path) -> None:
    with pytest.raises(CompressError, match="it failed"):
        cached("fails")
    assert not list((tmp_path / "cache").rglob("*.npy"))
