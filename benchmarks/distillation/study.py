"""Where distillation helps, and where it does not: few labels, hidden layers, several teachers, a summarizer, a decoder.

    python benchmarks/distillation/study.py --models MODELS --data DATA --base BASE --work WORK

MODELS has the folders minilm-sst2 (a 6-layer SST-2 classifier), bart-samsum and stories260k; DATA has SST-2 and SAMSum; BASE is
all-MiniLM-L6-v2 as it was published. The protocol, written before its results but for three changes that say so (alpha and
100 labels below; two lower learning rates in `arms.py`):

- Three seeds each. A seed also draws the labelled rows where there are few. Both sides of a contrast have the same seeds, and
  with few labels the same rows. Batches of 32, AdamW, linear schedule, the last weights.
- Every choice (learning rate, epochs, alpha, losses) is made with one more seed on the 3,354 rows held out of SST-2's training
  split, and for the decoder on texts held out of its own. SST-2's dev and test-labeled, 2,693 rows together, are read once for
  each arm and choose nothing. The given teacher had been trained on the held-out rows, so they choose between its students'
  settings and never say whether it helps. The summarizer had too, which would favour its students over plain training: recipes
  are chosen on SAMSum's validation split, and judged on its test split.
- A student without its teacher has its own best epochs and learning rate, up to as many steps as the student with the text.
- The interval of a contrast is over rows and seeds (`compress.metrics.crossed`). Nothing is corrected for the number of
  contrasts.
- With all labels, the students of 3 and 2 layers with a teacher are results of `compare.py`; its training split had 64,103 rows,
  today's has 63,995. Students without a teacher are trained again, and compared with those of that time.
- Where a confidence was chosen, texts of whose class the (first) teacher is less sure are left out before a job starts.
- The candidates for alpha were trained again when the weight of labelled rows among many unlabelled ones was corrected.
- An arm of 100 labels was planned and left out, since labels hardly count beside 64,000 texts that a good teacher labels.
- The jobs run in the order of `--plan`, the most telling first, and stop after `--minutes` of a processor.

Each model is one job. A finished job is kept and never done again, so the same command continues where it stopped. Several
processes may run the same command on one folder: each does what no other one does, and waits where only that is left.
"""

from __future__ import annotations

import argparse
import datetime
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import arms
import findings
import generative_arms
import students
from contestants import SEEDS, TUNING_SEED
from jobs import (
    HERE,
    ROOT,
    Busy,
    Failed,
    Job,
    Place,
    commit,
    done,
    finished,
    locked,
    processor_minutes,
    with_short_lists,
)
from plan import Arm, Choice, Chosen, Entry, Settings, Undecided, arms_of, best, choices_of

from compress.core.artifact import write_whole
from compress.core.machine import machine

RESULTS = ROOT / "benchmarks" / "results"
COMMAND = "python benchmarks/distillation/study.py --models MODELS --data DATA --base BASE --work WORK"
QUEUE: tuple[Entry, ...] = (
    *arms.FEW_LABELS,
    *arms.LAYERS,
    *generative_arms.SUMMARIES,
    *generative_arms.OWN_TEXTS,
    *arms.LATER,
    *generative_arms.ALL_SUMMARIES,
)
CONTRASTS = (*arms.CONTRASTS, *generative_arms.CONTRASTS)


def main() -> None:
    """Runs what is not finished, in the order of the plan."""
    options = parsed()
    place = place_of(options)
    if options.plan:
        print(findings.listed(QUEUE), end="")
    elif options.report:
        print(write(place, options.out))
    else:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        run(place, options)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="folder with minilm-sst2, bart-samsum, stories260k")
    parser.add_argument("--data", type=Path, required=True, help="folder with SST-2 and SAMSum")
    parser.add_argument("--base", type=Path, required=True, help="folder of all-MiniLM-L6-v2 as it was published")
    parser.add_argument("--work", type=Path, required=True, help="folder for models, logs and finished jobs (20 GB)")
    parser.add_argument("--threads", type=int, default=1, help="of each job (%(default)s)")
    parser.add_argument(
        "--minutes", type=float, default=480, help="of a processor, after which no job starts (%(default)g)"
    )
    parser.add_argument("--only", action="append", metavar="TEXT", help="jobs whose name contains it (repeatable)")
    parser.add_argument("--rows", type=int, help="at most so many of each split, and one epoch: to try whether it runs")
    parser.add_argument("--plan", action="store_true", help="print the plan and its cost, and stop")
    parser.add_argument("--report", action="store_true", help="train nothing: write what is finished")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for study.json and study.md")
    return parser.parse_args()


def place_of(options: argparse.Namespace) -> Place:
    """The folders by the names that the arms use."""
    models = {
        name: options.models / name for name in (students.TEACHER, generative_arms.SUMMARIZER, generative_arms.DECODER)
    }
    data = {name: options.data / name for name in ("SST-2", "SAMSum")}
    own = {generative_arms.OWN_TEXT: options.work / "own-text"}
    return Place({**models, students.BASE: options.base}, {**data, **own}, options.work, options.threads, options.rows)


def run(place: Place, options: argparse.Namespace) -> None:
    """Do the first job of the plan that is not finished, until there is none; wait while other processes do what is left.

    A job that fails is tried once, and what needs it is left out.
    """
    chosen, failed = chooser(place), set[str]()
    while True:
        is_busy = False
        for job, splits in unfinished(place, chosen):
            if failed & _with_needed(job) or (options.only and not any(text in job.name for text in options.only)):
                continue
            spent = processor_minutes(place)
            if spent >= options.minutes:
                print(f"{spent:.0f} processor minutes are spent: stopped before {job.name}.", flush=True)
                return
            try:
                if job.task["data"] == generative_arms.OWN_TEXT:
                    own_text(place, options.rows)
                result = done(job, place, splits)
            except Busy:
                is_busy = True
                continue
            except Failed as reason:
                failed.add(reason.job)
                print(reason, flush=True)
            else:
                print(line(job, result), flush=True)
            break  # what is chosen may be another job now
        else:
            if not is_busy:
                return
            time.sleep(20)


def _with_needed(job: Job) -> set[str]:
    """The names of a job and of all jobs that it needs."""
    return {job.name}.union(*map(_with_needed, job.needs))


def unfinished(place: Place, chosen: Chosen) -> Iterator[tuple[Job, tuple[str, ...]]]:
    """The jobs that can be done now, in the order of the plan, with the splits on which each is read."""
    for entry in QUEUE:
        with suppress(Undecided):
            for job, splits in entry.jobs(chosen):
                if not finished(job, place, splits):
                    yield job, splits


def line(job: Job, result: Mapping[str, Any]) -> str:
    """What is shown of a finished job: no reading of the evaluation splits, which choose nothing on the way."""
    shown = result["splits"].get("holdout", {}).get("value", "")
    return f"{job.name}: held out {shown}, {result['processor_seconds'] / 60:.1f} processor minutes"


def own_text(place: Place, rows: int | None) -> None:
    """The texts that the decoder generates for its students, where they are not there yet.

    Raises:
        Busy: another process makes them.
    """
    folder = place.data[generative_arms.OWN_TEXT]
    number = 8 * rows if rows else 4608
    words = [sys.executable, str(HERE.parent / "own_text.py"), str(place.models[generative_arms.DECODER]), str(folder)]
    with locked(generative_arms.OWN_TEXT, place):
        if not (folder / "task.yaml").is_file():
            subprocess.run([*words, "--texts", str(number)], check=True)


def chooser(place: Place) -> Chosen:
    """Gives the settings that a choice took, from the results of its trials. What was chosen once stays so."""
    choices, known = choices_of(QUEUE), dict[str, Settings]()

    def chosen(name: str) -> Settings:
        if name not in known:
            known[name] = _taken(choices[name], place, chosen)
        return known[name]

    return chosen


def _taken(choice: Choice, place: Place, chosen: Chosen) -> Settings:
    results = {label: finished(job, place, (choice.split,)) for label, job in choice.trials(chosen).items()}
    if None in results.values():
        raise Undecided(f"trials of {choice.name} are not finished")
    return choice.candidates[
        best(choice, {label: one["splits"][choice.split] for label, one in results.items() if one})
    ]


def write(place: Place, out: Path) -> str:
    """Writes what is finished so far; gives the page."""
    chosen, known = chooser(place), arms_of(QUEUE)
    results: dict[str, dict[int, Any]] = {
        name: {} if place.most_rows else earlier(one) for name, one in arms.EARLIER.items()
    }
    results |= {name: dict(_finished(name, place, chosen)) for name in known}
    told_arms = {
        name: {
            "summary": known[name].summary if name in known else f"{name}, from the comparison with TextBrewer",
            "judged_on": known[name].judged_on if name in known else ("evaluation", "test"),
            "seeds": known[name].seeds if name in known else SEEDS,
            "by_seed": by_seed,
        }
        for name, by_seed in results.items()
    }
    told_all = {
        "command": COMMAND,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "protocol": {"seeds": SEEDS, "trial_seed": TUNING_SEED, "threads": place.threads},
        "processor_minutes": round(processor_minutes(place), 1),
        "choices": dict(_decided(place, chosen)),
        "contrasts": list(findings.contrasts(CONTRASTS, told_arms)),
        "arms": told_arms,
        "missing": list(_missing(place, chosen)),
    }
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "study.json", with_short_lists(told_all))
    page = findings.markdown(told_all)
    write_whole(out / "study.md", page)
    return page


def _finished(name: str, place: Place, chosen: Chosen) -> Iterator[tuple[int, dict[str, Any]]]:
    arm = arms_of(QUEUE)[name]
    for seed in arm.seeds:
        try:
            result = finished(arm.of_seed(seed, chosen), place, arm.splits)
        except Undecided:
            continue
        if result:
            kept = {key: value for key, value in result.items() if key != "identity"}
            yield seed, {**kept, "splits": {name: _shown(one, name, arm) for name, one in kept["splits"].items()}}


def _shown(read: Mapping[str, Any], split: str, arm: Arm) -> dict[str, Any]:
    """What is read of a split, without its rows where no contrast needs them."""
    return {key: value for key, value in read.items() if split in arm.judged_on or key not in ("by_row", "weights")}


def _decided(place: Place, chosen: Chosen) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, choice in choices_of(QUEUE).items():
        try:
            results = {label: finished(job, place, (choice.split,)) for label, job in choice.trials(chosen).items()}
        except Undecided:
            continue
        whole = {label: one for label, one in results.items() if one}
        if len(whole) == len(results):
            yield name, findings.decided(choice, whole)


def _missing(place: Place, chosen: Chosen) -> Iterator[str]:
    """The jobs that are not finished, and the entries whose settings are not chosen yet."""
    for entry in QUEUE:
        try:
            for job, splits in entry.jobs(chosen):
                if not finished(job, place, splits):
                    yield job.name
        except Undecided:
            names = [arm.name for arm in entry.arms] or [entry.choice.name if entry.choice else ""]
            yield f"{', '.join(names)}: after a choice that is not finished"


def earlier(one: tuple[str, int]) -> dict[int, dict[str, Any]]:
    """An arm of the comparison with TextBrewer, by seed, as its committed results have it."""
    name, layers = one
    known = json.loads((RESULTS / "distillation.json").read_text())["finals"].get(name, {}).get(str(layers), {})
    return {int(seed): {**each, "splits": _as_read(each["splits"])} for seed, each in known.items()}


def _as_read(splits: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        split: {
            "metric": "accuracy",
            "higher_is_better": True,
            "rows": read["rows"],
            "value": round(read["right"] / read["rows"], 6),
            "by_row": read["right_by_sentence"],
        }
        for split, read in splits.items()
    }


if __name__ == "__main__":
    main()
