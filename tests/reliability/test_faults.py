"""A full disk, a folder that cannot be written and two runs in one folder: one line each, and nothing broken that opens."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.reliability import counts
from tests.reliability.commands import LARGEST_FILE, Commands, Ended
from tests.reliability.tiny_pipeline import artifacts, write_pipeline

TRAINED = ("--epochs", 1, "--batch-size", 16, "--max-length", 32, "--precision", "fp32")
WRITERS: dict[str, tuple[object, ...]] = {
    "import": ("import", "model"),
    "finetune": ("finetune", "model", "--task", "task.yaml", *TRAINED),
    "distill": ("distill", "model", "--task", "task.yaml", "--layers", 1, *TRAINED),
    "prune": (
        "prune",
        "model",
        "--task",
        "task.yaml",
        "--method",
        "kwon",
        "--target-ratio",
        0.7,
        "--calibration",
        "task-256",
    ),
    "dynamic": ("quantize", "model", "--task", "task.yaml", "--mode", "dynamic"),
    "static": ("quantize", "model", "--task", "task.yaml", "--mode", "static", "--calibration", "task-256"),
    "fp16": ("quantize", "model", "--task", "task.yaml", "--precision", "fp16"),
    "qat": ("qat", "model", "--task", "task.yaml", "--calibration", "task-256", *TRAINED),
    "export": ("export", "model", "--task", "task.yaml"),
    "benchmark": ("benchmark", "model", "--task", "task.yaml", "--suite", "suite.yaml"),
    "report": ("report", "measured/measurements.json"),
}
SMALLEST, LARGEST = 4_000, 900_000
"""Bytes: no weight of the tiny model fits into the first; everything that one command writes fits into three times the last."""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """A folder with a model, a task, a suite and measurements, and commands that run there."""
    import yaml

    folder = tmp_path_factory.mktemp("faults")
    plan = yaml.safe_load(write_pipeline(folder).read_text())
    (folder / "task.yaml").write_text(yaml.safe_dump(plan["task"]))
    (folder / "suite.yaml").write_text(yaml.safe_dump(plan["benchmark"]))
    commands = Commands(folder)
    made = commands.run("benchmark", "model", "--task", "task.yaml", "--suite", "suite.yaml", "-o", "measured")
    assert made.code == 0, made.errors
    return commands


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[dict[str, str]]:
    """A disk of `size` bytes at `folder`; where nothing may be mounted, no file there may grow beyond `size`.

    Yields:
        What the environment of the command must hold.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode == 0:
        try:
            yield {}
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
    else:
        yield {LARGEST_FILE: str(size)}


def is_one_line(ended: Ended) -> bool:
    """Whether a command failed with exit code 1 and one line of its own as the last."""
    last = ended.errors.strip().splitlines()[-1]
    return ended.code == 1 and last.startswith("Error: ") and len(last) <= 507 and "Traceback" not in ended.errors


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_ends_in_one_line_and_leaves_nothing_that_opens(workplace: Commands, name: str) -> None:
    chance = random.Random(f"{counts.SEED} {name}")
    for number in range(counts.FAULTS):
        size = int(SMALLEST * (LARGEST / SMALLEST) ** chance.random())
        disk = workplace.folder / f"disk-{name}-{number}"
        out = disk / ("page/report.html" if name == "report" else "out")
        with small_disk(disk, size) as environment:
            ended = workplace.run(*WRITERS[name], "-o", out, environment=environment)
            if ended.code != 0:
                assert is_one_line(ended), (size, ended.code, ended.errors[-2000:])
                assert not (out / "manifest.json").exists()
            opened = sum(1 for _ in artifacts(disk))  # each that is there opens, and its files are whole
        counts.record("full disk", command=name, size=size, code=ended.code, artifacts=opened)


@pytest.mark.slow
def test_the_same_command_goes_on_once_there_is_room(workplace: Commands) -> None:
    words = WRITERS["distill"]
    alone = workplace.run(*words, "-o", "roomy/student")
    assert alone.code == 0, alone.errors
    disk = workplace.folder / "disk-again"
    with small_disk(disk, 150_000) as environment:
        assert is_one_line(workplace.run(*words, "-o", disk / "student", environment=environment))
        if not environment:
            subprocess.run(["mount", "-o", "remount,size=50000000", str(disk)], check=True)
        again = workplace.run(*words, "-o", disk / "student")
        assert again.code == 0, again.errors
        student, expected = (one / "student/model.safetensors" for one in (disk, workplace.folder / "roomy"))
        assert student.read_bytes() == expected.read_bytes()


@pytest.mark.slow
def test_two_runs_in_one_folder_end_as_each_does_alone(workplace: Commands) -> None:
    def words(temperature: int, folder: str) -> tuple[object, ...]:
        return (*WRITERS["distill"], "--temperature", temperature, "-o", f"{folder}/student-{temperature}")

    for temperature in (2, 8):
        assert workplace.run(*words(temperature, "alone")).code == 0
    running = [workplace.start(*words(temperature, "together")) for temperature in (2, 8)]
    for one in running:
        ended = one.ended()
        assert ended.code == 0, ended.errors
    for temperature in (2, 8):
        file = f"student-{temperature}/model.safetensors"
        alone, together = (workplace.folder / name / file for name in ("alone", "together"))
        assert alone.read_bytes() == together.read_bytes(), temperature
    counts.record("two runs", weights="equal")


@pytest.mark.slow
def test_two_processes_never_write_one_artifact(workplace: Commands) -> None:
    words = (*WRITERS["finetune"], "-o", "contested")
    ended = [one.ended() for one in [workplace.start(*words), workplace.start(*words)]]
    codes = sorted(one.code for one in ended)
    assert codes in ([0, 0], [0, 1]), [one.errors for one in ended]  # the second waits its turn, or says who writes
    assert all("Traceback" not in one.errors for one in ended)
    assert [one.name for one in artifacts(workplace.folder / "contested")] == ["contested"]


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder that cannot be written, for root as well: a read-only mount where one may be made."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0 and os.geteuid() == 0:
        pytest.skip("root may write everywhere, and nothing may be mounted here")
    folder.chmod(0o500) if mounted.returncode != 0 else None
    try:
        yield
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        else:
            folder.chmod(0o700)


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_that_cannot_be_written_is_one_line(workplace: Commands, name: str) -> None:
    folder = workplace.folder / f"read-only-{name}"
    folder.mkdir()
    with read_only(folder):
        ended = workplace.run(*WRITERS[name], "-o", folder / ("report.html" if name == "report" else "out"))
    assert is_one_line(ended), (ended.code, ended.errors[-2000:])
    counts.record("read-only folder", command=name, code=ended.code)
