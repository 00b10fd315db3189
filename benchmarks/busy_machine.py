"""Benchmarks two byte-identical files while a foreign process takes a processor, and counts what is claimed.

    python benchmarks/busy_machine.py runs/quickstart/teacher-int8 --runs 20

In each run the artifact is measured twice, under two names, beside the baselines. `always`: the foreign process fills one
processor all the time; no ratio may be claimed. `bursts`: for 2 of every 6 seconds; it must be detected, and the two files must
not be called different. `share`: with `--duty 0.16`, what a process that takes a sixth of a processor does. `quiet`: the control.
Run it on a machine where nothing else runs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact, Step

HOG = """
import sys, time
busy, idle = map(float, sys.argv[1:])
while True:
    end = time.monotonic() + busy
    while time.monotonic() < end:
        pass
    time.sleep(idle)
"""
CASES = ("quiet", "bursts", "share", "always")


@contextmanager
def foreign(case: str, duty: float) -> Iterator[None]:
    """A process that is none of the benchmark's, on the last processor we may use."""
    if case == "quiet":
        yield
        return
    busy, idle = {"bursts": (2.0, 4.0), "always": (1.0, 0.0), "share": (0.05 * duty, 0.05 * (1 - duty))}[case]
    last = max(os.sched_getaffinity(0))
    command = ["taskset", "-c", str(last), sys.executable, "-c", HOG, str(busy), str(idle)]
    with subprocess.Popen(command) as process:
        try:
            yield
        finally:
            process.kill()


def measured(artifacts: list[Path], suite: str, task: list[str], folder: Path) -> dict[str, Any]:
    """One benchmark in a process of its own: how many conditions were disturbed, and what is claimed of which ratio."""
    out = folder / "measured"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "compress", "benchmark", *map(str, artifacts), "--suite", suite, "-o", str(out)]
    command += task
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads((out / "measurements.json").read_text())
    names = {one["fingerprint"]: one["name"] for one in found["artifacts"] if one["role"] == "variant"}
    ratios = [one for one in found["measurements"] if one["name"] == "speedup" and one["artifact"] in names]
    disturbed = {_key(one): len(one["disturbed"]) for one in ratios}
    return {
        "warned": "busy" in ended.stderr,
        "disturbed_rounds": disturbed,
        "ratios": [
            [names[one["artifact"]], one["value"], one["interval"]] for one in ratios if one["value"] is not None
        ],
        "different": different(ratios),
    }


def different(ratios: list[dict[str, Any]]) -> int:
    """Under how many conditions the intervals of the two equal files do not overlap."""
    by_condition: dict[str, list[list[float]]] = {}
    for one in ratios:
        if one["interval"] is not None:
            by_condition.setdefault(_key(one), []).append(one["interval"])
    pairs = [both for both in by_condition.values() if len(both) == 2]
    return sum(max(low for low, _ in both) > min(high for _, high in both) for both in pairs)


def _key(one: dict[str, Any]) -> str:
    return f"{one['condition']['batch']}x{one['condition']['length']}"


def main() -> None:
    """Print a line for each run and the counts of each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path, help="the compressed artifact that is measured twice")
    parser.add_argument("--suite", default="quick")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--duty", type=float, default=0.16, help="of the case `share`")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["quiet", "bursts", "always"])
    parser.add_argument("--task", nargs="*", default=[], help="further options, as in `--task=--rows=200`")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        twin = folder / f"{given.artifact.name}-twin"
        copy_as_twin(given.artifact, twin)
        for case in given.cases:
            runs = []
            for number in range(given.runs):
                with foreign(case, given.duty):
                    runs.append(measured([given.artifact, twin], given.suite, given.task, folder))
                print(case, number + 1, json.dumps(runs[-1]), flush=True)
            detected = sum(bool(one["warned"]) or any(one["disturbed_rounds"].values()) for one in runs)
            claimed = sum(bool(one["ratios"]) for one in runs)
            told_apart = sum(bool(one["different"]) for one in runs)
            print(
                f"{case}: of {given.runs} runs {detected} detected it, {claimed} claimed a ratio, "
                f"{told_apart} called equal files different"
            )


def copy_as_twin(folder: Path, to: Path) -> None:
    """The same files under another fingerprint, since one artifact is measured once."""
    artifact = Artifact.open(folder)
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("manifest.json"))
    artifact.after(Step("export", {"twin": True}), to).save()


if __name__ == "__main__":
    main()
