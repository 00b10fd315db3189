"""Distillation by `compress distill` beside the same student without a teacher and beside TextBrewer.

    python benchmarks/distillation/compare.py TEACHER --data SST-2

The protocol, fixed before any number was seen, but for the epochs (see there):

- Students: layers 1, 3 and 5 of the 6-layer teacher (and layers 2 and 5), with the teacher's embeddings and head. The
  same start, training rows, order of rows, batches of 32 of like length, AdamW, linear schedule with 6 % warm-up, weight
  decay 0.01, clipping at 1, bf16 autocast and dropout for all contestants. The last epoch's weights are kept.
- Tuning: each contestant trains at 5e-5, 1e-4 and 2e-4 (3 layers, 12,000 training rows, 1 epoch, seed 100); the rate with
  the most right answers on the 5 % held out of train is taken, of equals the one with the smaller loss. Nothing else is
  tuned. The rate is used for every size.
- Then seeds 0, 1 and 2 on all training rows that are not held out, 1 epoch. Each of these students reads dev (872
  sentences) and test-labeled (1,821) once, in fp32. Two epochs were planned; they were cut to one for want of time, for
  all contestants alike, after the tuning and before any student of two epochs or of all rows was finished.
- Bars: the mean over the seeds of right answers on dev, at least 757 with 3 layers and 735 with 2.
- Tests: each sentence's score is the share of the seeds that got it right, over dev and test together; the difference
  of means with its paired 95 % interval decides, the p of sign flips is a note.

Each student is one job. A finished job is kept and never done again, so the same command goes on where it stopped.
Writes `distillation.json` and `distillation.md` into `--out` after every final student.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import contestants as field
import standings
from contestants import CONTESTANTS, Contestant, job_of
from jobs import ROOT, Busy, Failed, Job, Place, commit, done, finished, hash_of, with_short_lists

from compress.core.artifact import write_whole
from compress.core.machine import machine

RESULTS = ROOT / "benchmarks" / "results"
TUNING_SPLITS = ("holdout",)
FINAL_SPLITS = ("holdout", *standings.EVALUATION)


def main() -> None:
    """Tunes, trains, reads and writes both files."""
    options = parsed()
    place = Place({"teacher": options.teacher}, {"SST-2": options.data}, threads=options.threads)
    if options.report:
        print(write(place, options))
        return
    if options.judge:
        print(judge_again(options.out))
        return
    entered = [one for one in CONTESTANTS if not options.only or one.name in options.only]
    try:
        _train_all(place, entered, options)
    except (Busy, Failed) as reason:
        raise SystemExit(str(reason)) from None
    print(write(place, options))


def _train_all(place: Place, entered: Sequence[Contestant], options: argparse.Namespace) -> None:
    with ThreadPoolExecutor(options.jobs) as pool:
        trials = [job for one in entered for job in tuning_jobs(one)]
        list(pool.map(lambda job: told(job, done(job, place, TUNING_SPLITS)), trials))
        rates = {one.name: standings.chosen(tuned(one, place)) for one in entered if tuned(one, place)}
        finals = [job for _, job in final_jobs(entered, rates, options)]
        for job in pool.map(lambda job: _final(job, place), finals):
            write(place, options)
            print(f"{job.name}: kept", flush=True)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path, help="folder of a 6-layer SST-2 classifier")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.tsv, dev.tsv, test-labeled.tsv")
    names = [one.name for one in CONTESTANTS]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help="this contestant (repeatable)")
    parser.add_argument("--layers", action="append", type=int, help="this size of student (repeatable; default: 3, 2)")
    parser.add_argument("--epochs", type=float, default=field.EPOCHS, help="of the final students (%(default)g)")
    parser.add_argument("--jobs", type=int, default=1, help="students trained side by side (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of each job (%(default)s)")
    parser.add_argument("--report", action="store_true", help="train nothing: write what is finished")
    parser.add_argument("--judge", action="store_true", help="train nothing: judge the students in --out again")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for distillation.json and distillation.md")
    options = parser.parse_args()
    options.layers = options.layers or [3, 2]
    return options


def tuning_jobs(contestant: Contestant) -> list[Job]:
    """The three trials of a contestant."""
    shared = (field.TUNING_SEED, field.TUNING_EPOCHS, field.TUNING_ROWS)
    return [job_of(contestant, field.TUNING_LAYERS, rate, *shared) for rate in field.TUNED_RATES]


def tuned(contestant: Contestant, place: Place) -> dict[float, Mapping[str, Any]]:
    """Rate -> what the trial got on the held-out rows; nothing until all trials are finished."""
    found = {job.settings["learning_rate"]: finished(job, place, TUNING_SPLITS) for job in tuning_jobs(contestant)}
    if None in found.values():
        return {}
    return {rate: in_rights(result)["splits"]["holdout"] for rate, result in found.items() if result}


def in_rights(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result as `distillation.json` has it: which sentences of each split were predicted correctly, and how many."""
    splits = {
        split: {
            "right": read["by_row"].count("1"),
            "rows": read["rows"],
            "loss": read["loss"],
            "right_by_sentence": read["by_row"],
        }
        for split, read in result["splits"].items()
    }
    return {**result, "splits": splits}


def final_jobs(
    entered: Sequence[Contestant], rates: Mapping[str, float], options: argparse.Namespace
) -> Iterator[tuple[Contestant, Job]]:
    """The students that are compared: size by size, contestant by contestant."""
    for layers in options.layers:
        for one in entered:
            if layers in one.layers:
                yield from ((one, job_of(one, layers, rates[one.name], seed, options.epochs)) for seed in field.SEEDS)


def _final(job: Job, place: Place) -> Job:
    told(job, done(job, place, FINAL_SPLITS))
    return job


def told(job: Job, result: Mapping[str, Any]) -> None:
    """A line for each job. The evaluation splits are left out: nothing may be chosen by them on the way."""
    held_out = in_rights(result)["splits"]["holdout"]
    print(f"{job.name}: {held_out['right']} of {held_out['rows']} held out, {result['seconds']:.0f} s", flush=True)


def write(place: Place, options: argparse.Namespace) -> str:
    """Writes what is finished so far, of all contestants; gives the page."""
    tuning = {one.name: trials for one in CONTESTANTS if (trials := tuned(one, place))}
    rates = {name: standings.chosen(trials) for name, trials in tuning.items()}
    finals: dict[str, dict[int, dict[int, Any]]] = {}
    lacking: dict[str, list[str]] = {}
    for contestant, job in final_jobs([one for one in CONTESTANTS if one.name in rates], rates, options):
        result, layers, seed = finished(job, place, FINAL_SPLITS), job.settings["layers"], job.settings["seed"]
        if result:
            finals.setdefault(contestant.name, {}).setdefault(layers, {})[seed] = in_rights(result)
        else:
            lacking.setdefault(f"{contestant.name} with {layers} layers", []).append(str(seed))
    missing = [f"{what} (seed {', '.join(seeds)})" for what, seeds in lacking.items()]
    results = {
        "command": command_as_typed(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "teacher_sha256": hash_of(place.models["teacher"]),
        "protocol": {
            "epochs": options.epochs,
            "seeds": field.SEEDS,
            "tuned_rates": field.TUNED_RATES,
            "tuning_rows": field.TUNING_ROWS,
            "tuning_epochs": field.TUNING_EPOCHS,
            "tuning_seed": field.TUNING_SEED,
            "shared": field.SHARED,
            "threads": options.threads,
        },
        "contestants": {one.name: {"summary": one.summary, "settings": one.settings} for one in CONTESTANTS},
        **{f"{name}_rows": rows_of(place, split) for name, split in (("training", "train"), ("holdout", "holdout"))},
        "tuning": tuning,
        "chosen": rates,
        "finals": finals,
        "missing": missing,
        **standings.judge(finals, field.SEEDS),
    }
    return _written(results, options.out)


def _written(results: Mapping[str, Any], out: Path) -> str:
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "distillation.json", with_short_lists(results))
    page = standings.markdown(results)
    write_whole(out / "distillation.md", page)
    return page


def judge_again(out: Path) -> str:
    """Bars and tests of the students in `distillation.json`, by today's statistics; writes both files and gives the page."""
    results = json.loads((out / "distillation.json").read_text())
    finals = {
        name: {int(layers): {int(seed): one for seed, one in by_seed.items()} for layers, by_seed in sizes.items()}
        for name, sizes in results["finals"].items()
    }
    tuning = {name: {float(rate): read for rate, read in rates.items()} for name, rates in results["tuning"].items()}
    results |= {"finals": finals, "tuning": tuning}  # whose keys are texts in JSON
    results |= standings.judge(finals, field.SEEDS)
    return _written(results, out)


def command_as_typed() -> str:
    """This command, with folders given absolutely written as seen from the checkout."""
    words = [re.sub(r"(?<![^=])/.*", lambda found: os.path.relpath(found[0], ROOT), word) for word in sys.argv[1:]]
    return " ".join(["python", "benchmarks/distillation/compare.py", *words])


def rows_of(place: Place, split: str) -> int:
    """How many rows a split has."""
    from compress.data import loading

    task, data = loading.resolve(place.described(field.SST2))
    return len(loading.load(task, data, split).rows)


if __name__ == "__main__":
    main()
