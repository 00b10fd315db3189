"""Runs `compress` commands in processes that start in a tenth of a second: a server imports torch once, and forks.

Each command gets a session (process group) of its own, so that it and its workers can be killed together, a temporary
folder of its own, so that what it leaves there can be counted, and files for its output.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

PRELOADED = (
    *("torch", "transformers", "transformers.modeling_utils", "transformers.trainer", "accelerate", "datasets"),
    *("onnx", "onnxruntime", "onnxscript", "scipy.stats", "sklearn.metrics", "safetensors.torch"),
    *(
        "compress.cli",
        "compress.pipeline",
        "compress.measure.benchmark",
        "compress.training.train",
        "compress.onnx.exported",
    ),
)
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "MALLOC_TOP_PAD_": "67108864",  # set: a training command does not start its process a second time
    "COLUMNS": "200",
}
LARGEST_FILE = "COMPRESS_TEST_LARGEST_FILE"
"""In a command's environment: how many bytes a file of its may have, in the place of a small disk."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    """The exit code; negative: the signal that ended it."""
    output: str
    errors: str
    seconds: float


@dataclass
class Running:
    """A command that was started."""

    process: ForkServerProcess
    session: int
    files: tuple[Path, Path]
    began: float

    def wait(self, seconds: float) -> bool:
        """Whether it ended within so many seconds."""
        self.process.join(seconds)
        return self.process.exitcode is not None

    def kill(self, number: int, *, group: bool) -> None:
        """Send a signal to the command, or to its whole session."""
        try:
            if group:
                os.killpg(self.session, number)
            else:
                os.kill(self.session, number)
        except ProcessLookupError:
            pass  # it ended a moment ago

    def ended(self, seconds: float = 240.0) -> Ended:
        """Wait for the end; a command that has none within `seconds` is killed, which fails the test."""
        if not self.wait(seconds):
            self.kill(signal.SIGKILL, group=True)
            self.process.join()
            raise AssertionError(f"still running after {seconds:.0f} s: {self.files[1].read_text()[-800:]}")
        code = self.process.exitcode
        assert code is not None
        output, errors = (file.read_text(errors="replace") if file.exists() else "" for file in self.files)
        return Ended(code, output, errors, time.monotonic() - self.began)


class Commands:
    """Starts commands in a folder; `temporary` is the only place beside it where they may write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True, exist_ok=True)
        self._context = _context()
        self._count = 0

    def start(self, *words: object, environment: Mapping[str, str] | None = None) -> Running:
        """Start `compress WORDS` with the folder as the current one."""
        self._count += 1
        files = (self.folder / f"out-{self._count}.txt", self.folder / f"err-{self._count}.txt")
        said = {
            **ENVIRONMENT,
            "TMPDIR": str(self.temporary),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            **(environment or {}),
        }
        process = self._context.Process(target=_command, args=([str(word) for word in words], self.folder, files, said))
        process.start()
        assert process.pid is not None
        return Running(process, process.pid, files, time.monotonic())

    def run(self, *words: object, environment: Mapping[str, str] | None = None, seconds: float = 240.0) -> Ended:
        """Start a command and wait for its end."""
        return self.start(*words, environment=environment).ended(seconds)


def alive(session: int) -> list[int]:
    """The processes of a session that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def _command(words: Sequence[str], folder: Path, files: tuple[Path, Path], said: Mapping[str, str]) -> None:
    """In the new process: become the command."""
    import tempfile

    os.setsid()
    os.chdir(folder)
    os.environ.update(said)
    if limit := said.get(LARGEST_FILE):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python does at start: a write beyond the limit fails
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    tempfile.tempdir = None  # the server may have looked for its own
    for number, file in zip((1, 2), files, strict=True):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
    sys.argv = ["compress", *words]
    from compress.__main__ import main

    main()
