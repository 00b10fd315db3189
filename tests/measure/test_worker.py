"""Tests of real worker processes: what they answer, how they wait, and what is said when one fails."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.measure import batches as inputs
from compress.measure import memory
from compress.measure import worker as worker_module
from compress.measure.batches import Condition
from compress.measure.process import THREAD_VARIABLES, WorkerFailed, WorkerProcess, environment
from compress.runtimes import onnx_runtime, pytorch
from compress.runtimes.rows import Rows, predict_all
from compress.runtimes.runtime import Serving, logits_of

CONDITIONS = (Condition(1, "real", 5), Condition(1, 32, 3), Condition(4, 16, 2))
Start = Callable[..., WorkerProcess]


@pytest.fixture(scope="module")
def rows() -> Rows:
    draw = np.random.default_rng(1)
    ids = [[2, *draw.integers(5, 35, draw.integers(1, 19)), 3] for _ in range(23)]
    return Rows.encode({"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids]})


@pytest.fixture(scope="module")
def file(rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("inputs") / "inputs.npz"
    inputs.save(inputs.prepare(rows, CONDITIONS, seed=0), target)
    return target


@pytest.fixture
def start(file: Path) -> Iterator[Start]:
    """Starts workers that are gone when the test ends."""
    started: list[WorkerProcess] = []

    def worker(runtime: str, artifact: Artifact, threads: int = 1, silence_seconds: float = 300) -> WorkerProcess:
        serving = Serving(threads)
        started.append(WorkerProcess(runtime, artifact, serving, file, silence_seconds=silence_seconds))
        return started[-1]

    yield worker
    for one in started:
        one.close()


def test_a_worker_predicts_the_whole_split_as_a_session_in_this_process_does(
    start: Start, tiny_onnx: Artifact, rows: Rows, tmp_path: Path
) -> None:
    worker = start("onnx_runtime", tiny_onnx)
    worker.ask("load")
    told: list[int] = []
    worker.ask("predict", progress=told.append, batch_size=8, to=str(tmp_path / "logits.npy"))
    expected = predict_all(onnx_runtime.open_session(tiny_onnx, Serving(1)), rows, 8)["logits"]
    assert np.allclose(np.load(tmp_path / "logits.npy"), expected, atol=1e-5)
    assert sum(told) == len(rows)


def test_a_timing_gives_its_seconds_and_the_logits_it_computed(start: Start, tiny_onnx: Artifact, rows: Rows) -> None:
    worker = start("onnx_runtime", tiny_onnx)
    worker.ask("load")
    told = worker.ask("time", condition="1xreal", calls=5)
    assert len(told["seconds"]) == 5
    assert all(second > 0 for second in told["seconds"])
    numbers = inputs.prepare(rows, CONDITIONS, seed=0).numbers["1xreal"]
    expected = predict_all(onnx_runtime.open_session(tiny_onnx, Serving(1)), rows, 1)["logits"]
    for key, logits in told["logits"].items():
        assert logits == pytest.approx(expected[numbers[int(key)]], abs=1e-4)


def test_a_torch_worker_serves_too_and_needs_more_memory_than_it_did_without_the_model(
    start: Start, tiny_torch: Artifact, file: Path
) -> None:
    worker = start("pytorch", tiny_torch)
    phases = memory.serve_phases(worker, CONDITIONS)
    assert list(phases) == ["loaded", "1x32", "4x16"]
    peaks = [told["peak_bytes"] for told in phases.values()]
    assert peaks == sorted(peaks)
    assert 50_000_000 < phases["loaded"]["empty_bytes"] < peaks[0]
    logits = worker.ask("time", condition="1xreal", calls=5)["logits"]["0"]
    session = pytorch.open_session(tiny_torch, Serving(1))
    assert logits == pytest.approx(logits_of(session.predict(inputs.open_batches(file, "1xreal")[0]))[0], abs=1e-4)


def test_an_idle_worker_blocks_and_takes_no_processor_time(start: Start, tiny_onnx: Artifact) -> None:
    worker = start("onnx_runtime", tiny_onnx, threads=2)
    worker.ask("load")
    worker.ask("time", condition="4x16", calls=20)
    process = psutil.Process(worker.process_id)
    before = sum(process.cpu_times()[:2])
    time.sleep(1.0)
    assert sum(process.cpu_times()[:2]) - before <= 0.1


def test_a_worker_answers_only_when_its_runtimes_threads_have_come_to_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """They look for work for 40 ms of processor time, and once get no processor for a window."""
    used = iter([0.0, 0.01, 0.01, 0.01, 0.01, 0.02, 0.02, 0.03, 0.03, 0.04, 0.04, 0.0401, 0.0401, 0.0402])
    slept: list[float] = []
    monkeypatch.setattr(worker_module.time, "process_time", lambda: next(used))
    monkeypatch.setattr(worker_module.time, "sleep", slept.append)
    worker_module.come_to_rest()
    assert len(slept) == 7


def test_a_worker_that_never_rests_answers_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    used = itertools.count(0.0, 0.01)
    monkeypatch.setattr(worker_module.time, "process_time", lambda: next(used))
    monkeypatch.setattr(worker_module.time, "sleep", lambda seconds: None)
    worker_module.come_to_rest()


def test_threads_are_pinned_before_anything_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    monkeypatch.setenv("MALLOC_TOP_PAD_", "268435456")
    found = environment(3)
    assert {found[name] for name in THREAD_VARIABLES} == {"3"}
    assert "MALLOC_TOP_PAD_" not in found, "a user's serving process has an allocator as it comes"


def test_a_file_that_is_no_model_gives_the_runtimes_reason(start: Start, tiny_onnx: Artifact, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    worker = start("onnx_runtime", replace(tiny_onnx, folder=tmp_path))
    with pytest.raises(WorkerFailed, match=r"model\.onnx cannot be opened"):
        worker.ask("load")


def test_an_error_leaves_the_worker_alive(start: Start, tiny_onnx: Artifact) -> None:
    worker = start("onnx_runtime", tiny_onnx)
    worker.ask("load")
    with pytest.raises(WorkerFailed, match=r"ZeroDivisionError"):
        worker.ask("time", condition="of nothing", calls=1)
    assert worker.ask("time", condition="1x32", calls=1)["seconds"]


def test_a_worker_is_asked_for_its_commands_alone(tiny_onnx: Artifact, file: Path) -> None:
    worker = worker_module.Worker(onnx_runtime.RUNTIME, tiny_onnx, Serving(1), file)
    with pytest.raises(CompressError, match="cannot be asked to generate, only to load, serve, time, predict"):
        worker.do("generate", batch_size=8, to="")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_worker_is_reported_with_its_signal(start: Start, tiny_onnx: Artifact) -> None:
    worker = start("onnx_runtime", tiny_onnx)
    worker.ask("load")
    os.kill(worker.process_id, signal.SIGKILL)
    with pytest.raises(WorkerFailed, match="SIGKILL"):
        worker.ask("time", condition="1x32", calls=1)


def test_a_worker_that_cannot_start_is_reported_with_its_last_words(start: Start, tiny_torch: Artifact) -> None:
    worker = start("no_such_runtime", tiny_torch)
    with pytest.raises(WorkerFailed, match="ended with code 1: .*Unknown runtime 'no_such_runtime'"):
        worker.ask("load")


def test_a_worker_that_says_nothing_is_stopped(start: Start, tiny_torch: Artifact) -> None:
    worker = start("pytorch", tiny_torch, silence_seconds=0.01)
    with pytest.raises(WorkerFailed, match="did not answer"):
        worker.ask("load")
    assert not psutil.pid_exists(worker.process_id)


def test_a_worker_ends_when_the_process_that_asked_is_gone(start: Start, tiny_onnx: Artifact) -> None:
    worker = start("onnx_runtime", tiny_onnx)
    worker.ask("load")
    assert worker._process.stdin is not None
    worker._process.stdin.close()
    assert worker._process.wait(timeout=60) == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl")
def test_a_worker_dies_with_a_parent_that_is_killed_also_in_a_long_computation(tiny_onnx: Artifact, file: Path) -> None:
    program = f"""
from pathlib import Path
from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.measure.process import WorkerProcess
from compress.runtimes.runtime import Serving
artifact = Artifact(Path({str(tiny_onnx.folder)!r}), {{}}, None, "onnx", {dict(tiny_onnx.parts)!r})
worker = WorkerProcess("onnx_runtime", artifact, Serving(1), Path({str(file)!r}))
worker.ask("load")
print(worker.process_id, flush=True)
worker.ask("time", condition="4x16", calls=10**9)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    worker.wait(timeout=5)
    parent.stdout.close()


def test_a_worker_ignores_what_a_terminal_sends_to_both(start: Start, tiny_onnx: Artifact) -> None:
    worker = start("onnx_runtime", tiny_onnx)
    worker.ask("load")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(worker.process_id, number)
    assert worker.ask("time", condition="1x32", calls=1)["seconds"]


def test_a_worker_imports_nothing_from_the_current_folder(
    start: Start, tiny_onnx: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("numpy", "random", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the current folder was imported from')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}{os.environ.get('PYTHONPATH', '')}{os.pathsep}")
    assert start("onnx_runtime", tiny_onnx).ask("load")["peak_bytes"]


def test_inputs_without_a_name_reach_a_worker_and_leave_nothing(
    rows: Rows, tiny_onnx: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    unnamed = inputs.Unnamed()
    inputs.save(inputs.prepare(rows, CONDITIONS, seed=0), unnamed.path)
    assert not list(tmp_path.iterdir())
    with WorkerProcess("onnx_runtime", tiny_onnx, Serving(1), unnamed) as worker:
        worker.ask("load")
        for _ in range(2):
            assert worker.ask("time", condition="1x32", calls=1)["seconds"]
    unnamed.close()


def test_a_fresh_process_does_not_inherit_the_peak_of_the_one_that_started_it(
    start: Start, tiny_onnx: Artifact
) -> None:
    large = np.ones(400_000_000, dtype=np.uint8)  # resident here
    assert memory.peak_memory_bytes() > large.nbytes
    assert start("onnx_runtime", tiny_onnx).ask("load")["peak_bytes"] < 200_000_000


def test_peak_memory_counts_what_was_touched_and_stays_when_it_is_freed() -> None:
    code = """
import numpy as np
from compress.measure.memory import peak_memory_bytes
before = peak_memory_bytes()
held = np.ones(200_000_000, dtype=np.uint8)
del held
after = peak_memory_bytes()
assert 199e6 < after - before < 210e6, (before, after)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_real_lengths_are_drawn_once_and_the_same_for_all(rows: Rows) -> None:
    one, other = (inputs.prepare(rows, CONDITIONS, seed=0) for _ in range(2))
    assert one.numbers == other.numbers
    assert len(set(one.numbers["1xreal"])) == 5
    assert inputs.prepare(rows, CONDITIONS, seed=1).numbers != one.numbers


def test_more_batches_than_examples_go_through_them_again(rows: Rows) -> None:
    many = inputs.prepare(rows, [Condition(8, "real", 10)], seed=0)
    assert len(many.batches["8xreal"]) == 10
    assert all(len(feeds["input_ids"]) == 8 for feeds in many.batches["8xreal"])


def test_inputs_come_back_from_their_file_as_they_were(rows: Rows, file: Path) -> None:
    made = inputs.prepare(rows, CONDITIONS, seed=0)
    assert np.array_equal(inputs.open_rows(file).lengths(), rows.lengths())
    for condition in CONDITIONS:
        again = inputs.open_batches(file, condition.key)
        assert len(again) == len(made.batches[condition.key])
        for one, other in zip(again, made.batches[condition.key], strict=True):
            assert all(np.array_equal(one[name], other[name]) for name in other)


@pytest.mark.gpu
def test_a_worker_on_a_gpu_reports_the_allocators_and_the_drivers_peak(file: Path, tiny_torch: Artifact) -> None:
    with WorkerProcess("pytorch", tiny_torch, Serving(1, "cuda"), file) as worker:
        phases = memory.serve_phases(worker, CONDITIONS)
    device = [told["device_bytes"] for told in phases.values()]
    assert all(one["driver"] >= one["allocator"] > 0 for one in device)
