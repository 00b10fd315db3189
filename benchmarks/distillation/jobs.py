"""One model is one job: a command makes it, it is read once on each split, and its result is kept as one file."""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import reading

from compress.core.artifact import digest, hash_file, write_whole

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "benchmarks" / ".distillation"
GIVEN = "given"
"""The tool of a job that makes nothing: its source is read as it is."""
TEXTBREWER = "textbrewer"


class Failed(Exception):  # noqa: N818 - what became of a job, not a mistake in this code
    """A job's command failed; its last words, and where its log is."""

    def __init__(self, job: str, said: str) -> None:
        super().__init__(said)
        self.job = job


class Busy(Exception):  # noqa: N818 - a state of a job, not a mistake
    """Another process does this job, or makes what it needs."""


@dataclass(frozen=True)
class Job:
    """One command that makes a model."""

    name: str
    """Of its files."""
    tool: str
    """A technique of `compress` (`distill`, `finetune`, `quantize`), `given` or `textbrewer`."""
    source: Job | str
    """The model that the command is given: another job's, or the name of one in the place."""
    task: Mapping[str, Any]
    """As `compress` reads it, but that `data` names a folder of the place."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """By the long names of the command's options; under `textbrewer` those of its `DistillationConfig`."""
    teachers: tuple[Job | str, ...] = ()
    """The further teachers."""
    text: int | None = None
    """How many of the training split's texts are given without labels: 0 for all of them, None for no text."""
    confidence: float = 0.0
    """Only those of these texts to whose most likely class the source gives at least this probability. `distill --min-confidence`
    does the same for one teacher, and averages several; jobs were finished before there was that option."""

    @property
    def needs(self) -> tuple[Job, ...]:
        """The jobs whose models it reads."""
        return tuple(one for one in (self.source, *self.teachers) if isinstance(one, Job))


@dataclass(frozen=True)
class Place:
    """Where jobs find what they need, and how much of the machine each takes."""

    models: Mapping[str, Path]
    data: Mapping[str, Path]
    work: Path = WORK
    threads: int = 1
    most_rows: int | None = None
    """Of every split, to try whether everything runs; None for all."""

    def folder(self, model: Job | str) -> Path:
        """A model's folder."""
        if isinstance(model, str):
            return self.models[model]
        return self.folder(model.source) if model.tool == GIVEN else self.work / "runs" / model.name

    def identity(self, model: Job | str) -> Any:
        """All that decides a model: the hash of given weights, or a job's settings and what its inputs are."""
        if isinstance(model, str):
            return hash_of(self.models[model])
        inputs = [self.identity(one) for one in (model.source, *model.teachers)]
        plain = {
            "tool": model.tool,
            "settings": model.settings,
            "text": model.text,
            "confidence": model.confidence,
            "most_rows": self.most_rows,
            "task": model.task,
            "inputs": [one if isinstance(one, str) else digest(one) for one in inputs],
        }
        return dict(json.loads(json.dumps(plain)))

    def described(self, task: Mapping[str, Any], *, whole: bool = False) -> dict[str, Any]:
        """A task as `compress` reads it.

        Args:
            whole: without the limits of its training.
        """
        found = {key: value for key, value in task.items() if not (whole and key in ("limit", "seed"))}
        found["data"] = str(self.data[task["data"]].resolve())
        if self.most_rows:
            asked = found.get("limit", {})
            splits = ("train", "holdout", "evaluation", "test")
            found["limit"] = {split: min(asked.get(split, self.most_rows), self.most_rows) for split in splits}
        return found


def finished(job: Job, place: Place, splits: Sequence[str] = ()) -> dict[str, Any] | None:
    """The job's result where it was finished before, with the same identity, and read on these splits."""
    file = place.work / "results" / f"{job.name}.json"
    if not file.is_file():
        return None
    result: dict[str, Any] = json.loads(file.read_text())
    same = result["identity"] == place.identity(job)
    return result if same and set(splits) <= set(result["splits"]) else None


def done(job: Job, place: Place, splits: Sequence[str] = ()) -> dict[str, Any]:
    """The job's result; makes the models that it needs, makes its own, and reads splits, where that was not done before.

    Raises:
        Busy: another process does that job, or one that it needs.
        Failed: a command failed. The same call tries again.
    """
    for needed in job.needs:
        if finished(job, place) is None:
            done(needed, place)
    with locked(job.name, place):
        return _done(job, place, splits)


@contextmanager
def locked(name: str, place: Place) -> Iterator[None]:
    """While this lasts no other process makes what has this name. A process that ends, however it does, holds nothing.

    Raises:
        Busy: another process makes it.
    """
    (place.work / "locks").mkdir(parents=True, exist_ok=True)
    with (place.work / "locks" / name).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"Another process makes {name}.") from None
        yield


def _done(job: Job, place: Place, splits: Sequence[str]) -> dict[str, Any]:
    result = finished(job, place)
    if result is None:
        before, started = load_average(), time.perf_counter()
        processor = 0.0 if job.tool == GIVEN else _made(job, place)
        result = {
            "identity": place.identity(job),
            "commit": commit(),
            "threads": place.threads,
            "seconds": round(time.perf_counter() - started, 1),
            "processor_seconds": round(processor + _spent(job, place), 1),
            "load_average": [before, load_average()],
            "facts": facts(place.folder(job)),
            "splits": {},
        }
        _keep(job, place, result)
    for split in splits:
        if split not in result["splits"]:
            started = time.process_time()
            length, task = job.settings.get("max_length", 128), place.described(job.task, whole=True)
            result["splits"][split] = reading.read(place.folder(job), task, split, length, place.threads)
            result["processor_seconds"] = round(result["processor_seconds"] + time.process_time() - started, 1)
            _keep(job, place, result)
    return result


def _keep(job: Job, place: Place, result: Mapping[str, Any]) -> None:
    (place.work / "results").mkdir(parents=True, exist_ok=True)
    write_whole(place.work / "results" / f"{job.name}.json", json.dumps(result) + "\n")


def _made(job: Job, place: Place) -> float:
    """Runs the job's command; gives the processor's seconds, which tell the cost on a machine that others use as well."""
    out, log = place.folder(job), place.work / "logs" / f"{job.name}.log"
    for folder in (out.parent, log.parent):
        folder.mkdir(parents=True, exist_ok=True)
    words = (textbrewer_command if job.tool == TEXTBREWER else compress_command)(job, place, out)
    with log.open("a") as stream:
        # In a session of its own: a signal to the whole group would reach it twice, and a second one ends a training
        # without a checkpoint.
        started = subprocess.Popen(
            words, stdout=stream, stderr=stream, env=environment(place.threads), start_new_session=True
        )
        try:
            _, status, used = os.wait4(started.pid, 0)
        except BaseException:
            started.terminate()
            _, _, used = os.wait4(started.pid, 0)
            _spend(job, place, _processor_seconds(used))
            raise
        started.returncode = code = os.waitstatus_to_exitcode(status)
    if code:
        _spend(job, place, _processor_seconds(used))
        words_at_end = " ".join(log.read_text().split()[-40:])
        raise Failed(job.name, f"{job.name} ended with code {code}: ... {words_at_end}\nSee {log}.")
    return _processor_seconds(used)


def _processor_seconds(used: resource.struct_rusage) -> float:
    return float(used.ru_utime + used.ru_stime)


def _spend(job: Job, place: Place, seconds: float) -> None:
    """Notes the processor's seconds of a try that did not finish."""
    (place.work / "tries").mkdir(parents=True, exist_ok=True)
    with (place.work / "tries" / f"{job.name}.txt").open("a") as stream:
        stream.write(f"{seconds:.1f}\n")


def _spent(job: Job, place: Place) -> float:
    file = place.work / "tries" / f"{job.name}.txt"
    return sum(map(float, file.read_text().split())) if file.is_file() else 0.0


def processor_minutes(place: Place) -> float:
    """What all finished jobs of a place took, with the tries of theirs that did not finish."""
    results = (place.work / "results").glob("*.json")
    return sum(float(json.loads(file.read_text())["processor_seconds"]) for file in results) / 60


def compress_command(job: Job, place: Place, out: Path) -> list[str]:
    """A command of `compress`. If it was killed, it continues from its last checkpoint when it is started again."""
    task = place.work / "tasks" / f"{job.name}.yaml"
    task.parent.mkdir(parents=True, exist_ok=True)
    task.write_text(json.dumps(place.described(job.task)) + "\n")  # JSON is YAML
    return [
        *(sys.executable, "-m", "compress", job.tool, str(place.folder(job.source))),
        *("--task", str(task), *_flags(job, place), "-o", str(out), "--force"),
    ]


def _flags(job: Job, place: Place) -> Iterator[str]:
    settings = dict(job.settings)
    if place.most_rows and "epochs" in settings:
        settings["epochs"] = min(settings["epochs"], 1.0)
    if job.teachers:
        settings["teachers"] = ",".join(str(place.folder(one)) for one in job.teachers)
    if job.text is not None:
        settings["unlabelled_data"] = texts(job, place)
    for name, value in settings.items():
        yield from (f"--{name.replace('_', '-')}", str(value))


def texts(job: Job, place: Place) -> Path:
    """A file with the texts of the job's training split, one a line: all, or so many drawn, or those of them that its source is
    sure of. No held-out row is among them.

    Raises:
        Busy: another process writes them.
    """
    wanted = job.text or None
    if place.most_rows:
        wanted = min(wanted or place.most_rows, place.most_rows)
    file = place.work / "texts" / f"{job.task['name']}-{wanted or 'all'}.txt"
    with locked(file.stem, place):
        if not file.is_file():
            _write(file, reading.training_texts(place.described(job.task, whole=True), wanted))
    if not job.confidence:
        return file
    known = file.read_text().splitlines()
    least = 0.0 if place.most_rows else job.confidence  # a teacher of a few rows is sure of nothing
    sure = reading.confidence(place.folder(job.source), known, place.threads) >= least
    confident = file.with_name(f"{job.name}.txt")
    _write(confident, [text for text, is_sure in zip(known, sure, strict=True) if is_sure])
    return confident


def _write(file: Path, lines: Sequence[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, "".join(f"{one}\n" for one in lines))


def textbrewer_command(job: Job, place: Place, out: Path) -> list[str]:
    """The runner for this job. It cannot be resumed: if it was killed, it starts over."""
    shutil.rmtree(out, ignore_errors=True)
    teacher, scratch = place.folder(job.source), place.work / "scratch" / job.name
    scratch.mkdir(parents=True, exist_ok=True)
    described_job = {
        **job.settings,
        "teacher": str(teacher.resolve()),
        "task": place.described(job.task),
        "threads": place.threads,
        "cache": str(place.work / "teacher" / hash_of(teacher)[:16]),
        "scratch": str(scratch),
        "out": str(out),
    }
    file = scratch / "job.json"
    file.write_text(json.dumps(described_job, indent=1))
    install_textbrewer()
    return [sys.executable, str(HERE / "textbrewer_runner.py"), str(file)]


def install_textbrewer() -> Path:
    """TextBrewer in a folder of its own, installed once for these requirements."""
    folder, wanted = WORK / "textbrewer", (HERE / "requirements.txt").read_text()
    mark = folder / "installed-for.txt"
    if not (mark.is_file() and mark.read_text() == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
        subprocess.run([*pip, "-r", str(HERE / "requirements.txt")], check=True)
        mark.write_text(wanted)
    return folder


def environment(threads: int) -> dict[str, str]:
    """A job's environment: this checkout's `compress`, TextBrewer beside it, so many threads, no hub."""
    paths = [str(ROOT), str(WORK / "textbrewer"), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "OMP_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        # glibc maps large tensors at every step and the kernel fills each page with zeros: without that, a step
        # (a dense gradient of the embedding, 47 MB) takes 10 to 15 % less, bit for bit the same.
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": "8000000000",
    }


@lru_cache
def hash_of(model: Path) -> str:
    """Of a given model's weights."""
    return hash_file(model / "model.safetensors")


def facts(folder: Path) -> Mapping[str, Any]:
    """What `compress` tells of a training, without the curves; nothing for TextBrewer."""
    manifest = folder / "manifest.json"
    told = json.loads(manifest.read_text())["steps"][-1]["facts"] if manifest.is_file() else {}
    wanted = ("training_steps", "training_rows", "holdout_rows", "training_seconds", "teacher_seconds")
    more = ("rows_unlabelled", "rows_augmented", "teacher_seconds_saved", "resumed_from_step", "autocast")
    return {name: told[name] for name in (*wanted, *more) if name in told}


def load_average() -> list[float]:
    """Of the last one and five minutes: whether the job had the machine to itself."""
    return [round(value, 2) for value in os.getloadavg()[:2]]


def commit() -> str:
    """The checkout's commit, with a mark where files of it were changed."""
    told = [["git", "rev-parse", "--short=12", "HEAD"], ["git", "status", "--porcelain", "--untracked-files=no"]]
    head, changed = (subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout.strip() for words in told)
    return f"{head} and changes" if changed else head


def with_short_lists(value: Any) -> str:
    """JSON, indented, with every list of plain values on one line."""
    text = json.dumps(value, indent=1, allow_nan=False)
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: re.sub(r"\s+", " ", found[0]), text) + "\n"
