"""Measures the peers' ONNX files and ours side by side: right answers, latency in interleaved rounds, memory.

    python benchmarks/peers/compare.py TEACHER --data SST-2 --ours int8=runs/int8/model.onnx

Everything is measured twice: once with every contestant on ONNX Runtime's default session options, once with every
contestant on ours. Run `make.py` first. Writes `peers.json` (all raw values) and `peers.md` into `--out`.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import feeds
import numpy as np
import standings
from contestants import BASELINE, CONTESTANTS

from compress.core.artifact import Artifact, hash_file, write_whole
from compress.core.machine import machine
from compress.measure.batches import REAL, Condition, Inputs, prepare, save
from compress.measure.interference import watcher
from compress.measure.latency import quiet_rounds
from compress.measure.memory import serve_phases
from compress.measure.process import WorkerFailed, WorkerProcess
from compress.measure.rounds import Timings, time_rounds
from compress.metrics import statistics
from compress.metrics import timings as timing_statistics
from compress.metrics.quiet_rounds import refusal
from compress.runtimes.rows import Rows
from compress.runtimes.runtime import Serving
from compress.runtimes.session_choices import CHOICES

ROOT = Path(__file__).resolve().parent.parent.parent
MODELS = ROOT / "benchmarks" / ".peers" / "models"
RESULTS = ROOT / "benchmarks" / "results"
RUNTIME = "onnx_runtime"
SEED = 20261123
# Calls in one turn of one contestant: about 0.1 s each at fp32, long beside the hand-over from worker to worker.
CONDITIONS = (Condition(1, REAL, 40), Condition(1, 128, 12), Condition(32, 64, 3))
NEEDED = 762  # right answers of 872 that make a peer one to be beaten: 1 % of the rows below the teacher's 770
REPEATS = 2  # how often a disturbed round is measured again


@dataclass(frozen=True)
class Entry:
    """One contestant: a file to be measured, or the reason why there is none."""

    name: str
    role: str  # peer or ours
    model: Path | None
    facts: Mapping[str, Any] = field(default_factory=dict)  # how it was made, its bytes and its hash


def main() -> None:
    """Measures, judges and writes both files."""
    options = parsed()
    entries = [*peers(options.only), *(ours(each) for each in options.ours)]
    names = [entry.name for entry in entries]
    if len(set(names)) < len(names):
        raise SystemExit(f"Two contestants have the same name: {', '.join(names)}. Rename yours in --ours NAME=PATH.")
    if options.baseline not in [entry.name for entry in entries if entry.model]:
        raise SystemExit(f"There is no model '{options.baseline}' to be the baseline. Run make.py first.")

    columns, labels = feeds.evaluation(options.teacher, options.data)
    inputs = prepared(Rows.encode(columns))
    results: dict[str, Any] = {
        "command": command_as_typed(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "teacher_sha256": hash_file(options.teacher / "model.safetensors"),
        "evaluation_sha256": hash_file(options.data / "dev.tsv"),
        "threads": options.threads,
        "rounds": options.rounds,
        "calls": {condition.key: condition.calls for condition in CONDITIONS},
        "baseline": options.baseline,
        "needed": NEEDED,
        "sentences": len(labels),
        "contestants": {entry.name: {"role": entry.role, **entry.facts} for entry in entries},
        "options": {},
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for choice in options.options:
        print(f"session options: {choice}", flush=True)
        serving = Serving(threads=options.threads, options=choice)
        results["options"][choice] = {
            "session": CHOICES[choice].to_dict(),
            "measured": measure(entries, inputs, labels, serving, options.baseline, options.rounds),
        }
        # Written after each choice, so that a run cut short keeps what it has.
        results["standings"] = standings.judge(results)
        write_whole(options.out / "peers.json", with_short_lists(results))
        write_whole(options.out / "peers.md", standings.markdown(results))
    print(standings.markdown(results))


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path, help="folder of the teacher: its tokenizer feeds every contestant")
    parser.add_argument("--data", type=Path, required=True, help="folder with SST-2's dev.tsv")
    parser.add_argument("--ours", action="append", default=[], metavar="NAME=PATH", help="our ONNX file (repeatable)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this peer (repeatable)")
    parser.add_argument("--baseline", default=BASELINE, metavar="NAME", help="what ratios are to (%(default)s)")
    parser.add_argument("--rounds", type=int, default=40, help="interleaved rounds (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads inside an operator (%(default)s)")
    parser.add_argument("--options", action="append", choices=sorted(CHOICES), help="session options (default: all)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for peers.json and peers.md")
    options = parser.parse_args()
    options.options = options.options or list(CHOICES)
    return options


def peers(only: Sequence[str]) -> list[Entry]:
    """What `make.py` left behind, failures among it; those in `only`, and always the baseline, where it is given."""
    found = []
    for contestant in CONTESTANTS:
        if only and contestant.name not in (*only, BASELINE):
            continue
        record, model = (MODELS / contestant.name / name for name in ("made.json", "model.onnx"))
        facts = json.loads(record.read_text()) if record.exists() else {"error": "not made yet: run make.py"}
        found.append(Entry(contestant.name, "peer", model if model.exists() else None, facts))
    return found


def ours(given: str) -> Entry:
    """`NAME=PATH` as a contestant."""
    name, _, path = given.partition("=")
    model = Path(path)
    if not path or not model.is_file():
        raise SystemExit(f"--ours {given}: want NAME=PATH of an ONNX file that exists.")
    facts = {"summary": f"ours: {name}", "bytes": model.stat().st_size, "sha256": hash_file(model)}
    return Entry(name, "ours", model, facts)


def prepared(rows: Rows) -> Inputs:
    """The same batches for all. At real lengths each round takes the next of all sentences, in one seeded order."""
    made = prepare(rows, CONDITIONS, seed=SEED)
    shuffled = np.random.default_rng(SEED).permutation(len(rows))
    singles = {c.key: [rows.batch([int(number)]) for number in shuffled] for c in CONDITIONS if c.length == REAL}
    return Inputs(rows, {**made.batches, **singles})


def measure(
    entries: Sequence[Entry],
    inputs: Inputs,
    labels: Sequence[int],
    serving: Serving,
    baseline: str,
    rounds: int,
) -> dict[str, Any]:
    """Name -> all that was read from that contestant, or `{"error": ...}`.

    One worker process lives for each contestant while latency is read; memory is read in processes of their own.
    """
    measured: dict[str, Any] = {}
    predicted: dict[str, list[int]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        save(inputs, folder / "inputs.npz")
        workers = {}
        for entry in entries:
            try:
                if entry.model is None:
                    raise WorkerFailed(str(entry.facts["error"]))
                measured[entry.name] = {"peak_bytes": peaks(entry.model, serving, folder / "inputs.npz")}
                worker = stack.enter_context(worker_for(entry.model, serving, folder / "inputs.npz"))
                worker.ask("load")
                predicted[entry.name] = predictions(worker, folder / "logits.npy")
            except WorkerFailed as failure:
                measured[entry.name] = {"error": str(failure)}
                continue
            workers[entry.name] = worker
            print(f"  {entry.name}: loaded, predicted", flush=True)

        if baseline not in workers:
            raise SystemExit(f"The baseline {baseline} cannot be served: {measured[baseline]['error']}")
        watch = watcher([worker.process_id for worker in workers.values()], serving.threads)
        turns = itertools.count(1)
        timed = time_rounds(
            workers,
            CONDITIONS,
            rounds=rounds,
            repeats=REPEATS,
            watch=watch,
            done=lambda: say_round(next(turns), rounds),
        )
    for name in workers:
        measured[name] |= quality(predicted[name], predicted[baseline], labels)
        latency = {c.key: latencies(timed[name, c.key], timed[baseline, c.key]) for c in CONDITIONS}
        measured[name]["latency"] = latency
    return measured


def say_round(turn: int, rounds: int) -> None:
    """A line after the first and after every fifth round."""
    number, rest = divmod(turn, len(CONDITIONS))
    if rest == 0 and (number in (1, rounds) or number % 5 == 0):
        print(f"  round {number} of {rounds}", flush=True)


def worker_for(model: Path, serving: Serving, inputs: Path) -> WorkerProcess:
    """A fresh process that serves that file and nothing else."""
    artifact = Artifact(model.parent, origin={}, task=None, format="onnx", parts={"model": model.name})
    return WorkerProcess(RUNTIME, artifact, serving, inputs)


def peaks(model: Path, serving: Serving, inputs: Path) -> dict[str, int]:
    """Peak resident bytes of a fresh process: after loading, then after serving each fixed shape."""
    with worker_for(model, serving, inputs) as worker:
        phases = serve_phases(worker, CONDITIONS)
        return {phase: told["peak_bytes"] for phase, told in phases.items() if "peak_bytes" in told}


def predictions(worker: WorkerProcess, file: Path) -> list[int]:
    """The class of each evaluation sentence, each sentence alone and unpadded."""
    worker.ask("predict", batch_size=1, to=str(file))
    return [int(label) for label in np.load(file).argmax(axis=1)]


def quality(predicted: Sequence[int], teacher: Sequence[int], labels: Sequence[int]) -> dict[str, Any]:
    """Right answers, and how they and the predictions stand to the fp32 teacher's."""
    right = [float(mine == label) for mine, label in zip(predicted, labels, strict=True)]
    teachers = [float(its == label) for its, label in zip(teacher, labels, strict=True)]
    paired = statistics.compare(right, teachers)
    return {
        "right": int(sum(right)),
        "agrees_with_fp32": sum(mine == its for mine, its in zip(predicted, teacher, strict=True)),
        "won": paired.only_first,
        "lost": paired.only_second,
        "p_value": paired.p_value,
        "right_by_sentence": "".join(str(int(each)) for each in right),
    }


def latencies(timings: Timings, baseline: Timings) -> dict[str, Any]:
    """The seconds of each call by round, and the speed in multiples of the baseline's with its 95 % interval."""
    if timings.failure or baseline.failure:
        return {"error": timings.failure or f"the baseline failed: {baseline.failure}"}
    if why := refusal(len(timings.disturbed), len(timings.rounds)):
        return {"error": f"there is no speed: {why}"}
    speed, interval = timing_statistics.ratio(quiet_rounds(baseline), quiet_rounds(timings))
    return {
        "median_seconds": float(np.median(np.concatenate(timings.rounds))),
        "speed": speed,
        "interval": interval,
        "notes": timings.notes,
        "rounds_seconds": [[round(second, 7) for second in one] for one in timings.rounds],
        "disturbed": timings.disturbed,
    }


def command_as_typed() -> str:
    """This command, with folders given absolutely written as seen from the checkout."""
    words = [re.sub(r"(?<![^=])/.*", lambda found: os.path.relpath(found[0], ROOT), word) for word in sys.argv[1:]]
    return " ".join(["python", "benchmarks/peers/compare.py", *words])


def with_short_lists(value: Any) -> str:
    """JSON, indented, with every list of plain values on one line."""
    text = json.dumps(value, indent=1, allow_nan=False)
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: re.sub(r"\s+", " ", found[0]), text) + "\n"


if __name__ == "__main__":
    main()
