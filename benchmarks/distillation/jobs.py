"""One student is one job: trained by its contestant's tool, read once on every split, kept as one file when it is done."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from contestants import SHARED, Contestant

from compress.core.artifact import hash_file, write_whole

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "benchmarks" / ".distillation"


@dataclass(frozen=True)
class Place:
    """Where a run finds what it needs, and how much of the machine each job takes."""

    teacher: Path
    data: Path
    work: Path = WORK
    threads: int = 2


@dataclass(frozen=True)
class Job:
    """One student to train. `rows` is how many training rows it sees, None for all of them."""

    contestant: Contestant
    layers: int
    learning_rate: float
    seed: int
    epochs: float
    rows: int | None = None

    @property
    def name(self) -> str:
        """The name of its files."""
        rows = f"-{self.rows}-rows" if self.rows else ""
        rate = f"{self.learning_rate:.0e}".replace("e-0", "e-")
        return f"{self.contestant.name}-{self.layers}-layers-rate-{rate}{rows}-seed-{self.seed}"

    def identity(self, teacher: str) -> dict[str, Any]:
        """All that decides the student; a result with another identity is not this job's. `teacher` is a hash."""
        plain = asdict(self)
        known = {"name": self.contestant.name, "tool": self.contestant.tool, "settings": self.contestant.settings}
        whole = {**plain, "contestant": known, "shared": SHARED, "teacher": teacher}
        return dict(json.loads(json.dumps(whole)))


def finished(job: Job, place: Place) -> dict[str, Any] | None:
    """The job's result where it was finished before, with the same identity."""
    file = place.work / "results" / f"{job.name}.json"
    if not file.is_file():
        return None
    result: dict[str, Any] = json.loads(file.read_text())
    return result if result["identity"] == job.identity(hash_of(place.teacher)) else None


def done(job: Job, place: Place, splits: Sequence[str]) -> dict[str, Any]:
    """The job's result; trains the student and reads the splits where that was not finished before.

    Raises:
        SystemExit: the tool failed; its last words and where its log lies. The same command tries again.
    """
    known = finished(job, place)
    if known is not None:
        return known
    student = place.work / "runs" / job.name
    before, started = load_average(), time.perf_counter()
    processor = _train(job, place, student)
    seconds = time.perf_counter() - started
    result = {
        "identity": job.identity(hash_of(place.teacher)),
        "commit": commit(),
        "threads": place.threads,
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
        "load_average": [before, load_average()],
        "facts": facts(student),
        "splits": {split: read(student, place, split) for split in splits},
    }
    (place.work / "results").mkdir(parents=True, exist_ok=True)
    write_whole(place.work / "results" / f"{job.name}.json", json.dumps(result, indent=1) + "\n")
    return result


def _train(job: Job, place: Place, student: Path) -> float:
    """The processor's seconds, which tell the cost on a machine that others use as well."""
    student.parent.mkdir(parents=True, exist_ok=True)
    words = (compress_command if job.contestant.tool == "compress" else textbrewer_command)(job, place, student)
    log = place.work / "logs" / f"{job.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as stream:
        started = subprocess.Popen(words, stdout=stream, stderr=stream, env=environment(place.threads))
        _, status, used = os.wait4(started.pid, 0)
        started.returncode = code = os.waitstatus_to_exitcode(status)
    if code or not (student / "model.safetensors").is_file():
        words_at_end = " ".join(log.read_text().split()[-40:])
        raise SystemExit(f"{job.name} ended with code {code}: ... {words_at_end}\nSee {log}.")
    return used.ru_utime + used.ru_stime


def compress_command(job: Job, place: Place, student: Path) -> list[str]:
    """`compress distill` for this job. Killed, it goes on from its last checkpoint when it is started again."""
    settings = {
        **SHARED,
        **job.contestant.settings,
        "layers": job.layers,
        "learning_rate": job.learning_rate,
        "epochs": job.epochs,
        "seed": job.seed,
    }
    flags = [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    task = place.work / "tasks" / f"sst2-{job.rows or 'all'}.yaml"
    task.parent.mkdir(parents=True, exist_ok=True)
    task.write_text(json.dumps(described(job, place)) + "\n")  # JSON is YAML
    return [
        *(sys.executable, "-m", "compress", "distill", str(place.teacher)),
        *("--task", str(task), *flags, "-o", str(student), "--force"),
    ]


def textbrewer_command(job: Job, place: Place, student: Path) -> list[str]:
    """The runner for this job. It cannot be resumed: killed, it starts anew."""
    shutil.rmtree(student, ignore_errors=True)
    scratch = place.work / "scratch" / job.name
    scratch.mkdir(parents=True, exist_ok=True)
    described_job = {
        **SHARED,
        "teacher": str(place.teacher.resolve()),
        "task": described(job, place),
        "layers": job.layers,
        "learning_rate": job.learning_rate,
        "epochs": job.epochs,
        "seed": job.seed,
        "settings": dict(job.contestant.settings),
        "threads": place.threads,
        "cache": str(place.work / "teacher" / hash_of(place.teacher)[:16]),
        "scratch": str(scratch),
        "out": str(student),
    }
    file = scratch / "job.json"
    file.write_text(json.dumps(described_job, indent=1))
    install_textbrewer()
    return [sys.executable, str(HERE / "textbrewer_runner.py"), str(file)]


def described(job: Job, place: Place) -> dict[str, Any]:
    """The task as `compress` reads it; the held-out 5 % are cut off before the limit applies."""
    limit = {"limit": {"train": job.rows}} if job.rows else {}
    return {"name": "sst2", "data": str(place.data.resolve()), **limit}


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
        # glibc maps large tensors anew at every step and the kernel fills each page with zeros: without that, a step
        # (a dense gradient of the embedding, 47 MB) takes 10 to 15 % less, bit for bit the same.
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": "8000000000",
    }


def read(student: Path, place: Place, split: str) -> dict[str, Any]:
    """A student's answers on a split, in fp32 and the same way for every contestant: right ones, and the mean loss."""
    from compress.core.artifact import Artifact
    from compress.runtimes.pytorch import open_session
    from compress.runtimes.rows import Rows, predict_all
    from compress.runtimes.runtime import Serving

    columns, labels = split_rows(place.teacher, place.data, split)
    artifact = Artifact(student, origin={}, task=None)
    session = open_session(artifact, Serving(threads=place.threads))
    logits = predict_all(session, Rows.encode(columns))["logits"].astype(np.float64)
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    right = logits.argmax(axis=1) == labels
    return {
        "right": int(right.sum()),
        "rows": len(labels),
        "loss": round(float(-logs[np.arange(len(labels)), labels].mean()), 5),
        "right_by_sentence": "".join(str(int(one)) for one in right),
    }


@lru_cache
def split_rows(teacher: Path, data: Path, split: str) -> tuple[dict[str, list[list[int]]], np.ndarray]:
    """The token ids and the labels of a split."""
    from compress.data import loading
    from compress.models import load as models

    tokenizer = models.tokenizer(teacher)
    task, folder = loading.resolve({"name": "sst2", "data": str(data.resolve())})
    rows = loading.tokenize(loading.load(task, folder, split).rows, tokenizer, SHARED["max_length"]).rows
    columns = {name: list(rows[name]) for name in rows.column_names if name in tokenizer.model_input_names}
    return columns, np.asarray(rows["label"])


@lru_cache
def hash_of(teacher: Path) -> str:
    """Of the teacher's weights."""
    return hash_file(teacher / "model.safetensors")


def facts(student: Path) -> Mapping[str, Any]:
    """What `compress` tells of its training, without the curves; nothing for TextBrewer."""
    manifest = student / "manifest.json"
    told = json.loads(manifest.read_text())["steps"][-1]["facts"] if manifest.is_file() else {}
    wanted = ("training_steps", "training_rows", "holdout_rows", "training_seconds", "teacher_seconds")
    return {name: told[name] for name in (*wanted, "teacher_reused", "resumed_from_step", "autocast") if name in told}


def load_average() -> list[float]:
    """Of the last one and five minutes: whether the job had the machine to itself."""
    return [round(value, 2) for value in os.getloadavg()[:2]]


def commit() -> str:
    """The checkout's commit, with a mark where files of it were changed."""
    told = [["git", "rev-parse", "--short=12", "HEAD"], ["git", "status", "--porcelain", "--untracked-files=no"]]
    head, changed = (subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout.strip() for words in told)
    return f"{head} and changes" if changed else head
