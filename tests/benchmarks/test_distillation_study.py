"""What the study in `benchmarks/distillation/` promises, checked without training anything."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.benchmarks.conftest import Scripts

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "distillation"


@pytest.fixture
def place(scripts: Scripts, tmp_path: Path) -> Any:
    """A place whose models are one file each, and whose texts are written already."""
    names = ("minilm-sst2", "base", "bart-samsum", "stories260k")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(name.encode())
    (tmp_path / "work" / "texts").mkdir(parents=True)
    for rows in ("all", "19000"):
        (tmp_path / "work" / "texts" / f"sst2-{rows}.txt").write_text("a text\n")
    data = dict.fromkeys(("SST-2", "SAMSum", "own-text"), tmp_path)
    return scripts["jobs"].Place({name: tmp_path / name for name in names}, data, tmp_path / "work")


@pytest.fixture
def tool(scripts: Scripts, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Commands and readings replaced by their traces, the jobs' names in order; each choice takes its first candidate."""
    traces: list[str] = []

    def made(job: Any, place: Any) -> float:
        traces.append(job.name)
        return 60.0

    def read(folder: Path, task: Mapping[str, Any], split: str, *_: Any) -> dict[str, Any]:
        metric, higher = ("nats per token", False) if task["name"] == "own-text" else ("accuracy", True)
        return {"metric": metric, "higher_is_better": higher, "rows": 4, "value": 0.5, "loss": 1.0, "by_row": "1100"}

    monkeypatch.setattr(scripts["jobs"], "_made", made)
    monkeypatch.setattr(scripts["reading"], "read", read)
    monkeypatch.setattr(scripts["jobs"], "commit", lambda: "a commit")
    monkeypatch.setattr(scripts["study"], "own_text", lambda *_: None)
    return traces


def options(scripts: Scripts, **changes: Any) -> Any:
    import argparse

    return argparse.Namespace(**{"minutes": 1e6, "only": None, "rows": None, **changes})


def every_job(scripts: Scripts) -> list[Any]:
    """All jobs of the plan, each after those that it needs, as if each choice had taken its first candidate."""
    queue = scripts["study"].QUEUE
    choices = scripts["plan"].choices_of(queue)
    found: dict[str, Any] = {}

    def add(job: Any) -> None:
        for one in job.needs:
            add(one)
        found.setdefault(job.name, job)

    for entry in queue:
        for job, _ in entry.jobs(lambda name: next(iter(choices[name].candidates.values()))):
            add(job)
    return list(found.values())


def test_every_job_has_settings_that_its_technique_takes(
    scripts: Scripts, place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compress.core import catalogue
    from compress.core.unread_settings import refuse_unread

    monkeypatch.setattr(scripts["reading"], "confidence", lambda *_: np.ones(1))  # of the one text in the place
    techniques = {name: catalogue.find("techniques", name) for name in ("distill", "finetune", "quantize")}
    jobs = every_job(scripts)
    for job in jobs:
        if job.tool not in techniques:
            continue
        words = scripts["jobs"].compress_command(job, place, place.folder(job))
        flags = words[words.index("--task") + 2 : words.index("-o")]
        given = {flag[2:].replace("-", "_"): value for flag, value in zip(flags[::2], flags[1::2], strict=True)}
        if "teachers" in given:
            given["teachers"] = tuple(given["teachers"].split(","))
        technique = techniques[job.tool]
        refuse_unread(technique.settings(**given), technique.read_when)
    assert {job.tool for job in jobs} == {*techniques, "given"}


def test_one_name_is_one_job(scripts: Scripts, place: Any) -> None:
    by_name: dict[str, Any] = {}
    queue = scripts["study"].QUEUE
    choices = scripts["plan"].choices_of(queue)
    for entry in queue:
        for job, _ in entry.jobs(lambda name: next(iter(choices[name].candidates.values()))):
            for one in (job, *job.needs):
                assert by_name.setdefault(one.name, place.identity(one)) == place.identity(one)


def test_nothing_is_chosen_on_rows_that_judge(scripts: Scripts) -> None:
    queue = scripts["study"].QUEUE
    for entry in queue:
        if entry.choice is not None:
            arms = [
                arm
                for other in queue
                for arm in other.arms
                if arm.name.split("-")[0] == entry.choice.name.split("-")[0]
            ]
            assert all(entry.choice.split not in arm.judged_on for arm in arms), entry.choice.name


def test_no_arm_has_the_seed_of_the_choices(scripts: Scripts) -> None:
    arms = scripts["plan"].arms_of(scripts["study"].QUEUE)
    assert not any(scripts["contestants"].TUNING_SEED in arm.seeds for arm in arms.values())


def test_every_contrast_is_of_arms_that_are_there(scripts: Scripts) -> None:
    known = {*scripts["plan"].arms_of(scripts["study"].QUEUE), *scripts["arms"].EARLIER}
    for one in scripts["study"].CONTRASTS:
        assert {one.arm, one.against} <= known


def test_both_sides_of_a_contrast_with_few_labels_have_the_same_rows(scripts: Scripts) -> None:
    arms = scripts["plan"].arms_of(scripts["study"].QUEUE)
    for names in (("given-1000", "given-1000-plain"), ("own-text", "own-plain"), ("own-ensemble", "own-plain")):
        for seed in (0, 1, 2):
            tasks = [arms[name].of_seed(seed, lambda name: {}).task for name in names]
            assert tasks[0] == tasks[1]
            assert tasks[0]["seed"] == seed


def test_a_run_does_the_plan_in_its_order_with_what_each_job_needs_and_a_second_one_nothing(
    scripts: Scripts, place: Any, tool: list[str]
) -> None:
    study = scripts["study"]
    study.run(place, options(scripts))
    assert not list(study._missing(place, study.chooser(place)))
    once = [job.name for job in every_job(scripts) if job.tool != "given"]
    assert tool == once
    assert len(once) > 100
    study.run(place, options(scripts))
    assert tool == once


def test_a_run_stops_when_its_minutes_are_spent_and_goes_on_with_more(
    scripts: Scripts, place: Any, tool: list[str]
) -> None:
    study = scripts["study"]
    study.run(place, options(scripts, minutes=5))
    first = list(tool)
    assert 5 <= len(first) <= 7  # a minute each; a job may bring the one that it needs
    study.run(place, options(scripts, minutes=9))
    assert tool[: len(first)] == first
    assert len(first) < len(tool) <= 11


@pytest.fixture
def broken(scripts: Scripts, tool: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], list[str]]]:
    """`broken("own")`: the jobs of such names fail, in a plan of one question; gives their names, one for each try."""
    jobs, tries = scripts["jobs"], []
    question = [entry for entry in scripts["study"].QUEUE if entry.question == scripts["arms"].A2]
    monkeypatch.setattr(scripts["study"], "QUEUE", question)
    made = jobs._made

    def breaks(name: str) -> list[str]:
        def or_not(job: Any, place: Any) -> float:
            if not job.name.startswith(name):
                return float(made(job, place))
            tries.append(job.name)
            raise jobs.Failed(job.name, "out of patience")

        monkeypatch.setattr(jobs, "_made", or_not)
        return tries

    return breaks


def test_a_job_that_fails_is_tried_once_and_what_needs_it_is_left_out(
    scripts: Scripts, place: Any, tool: list[str], broken: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    tries = broken("own-teacher-seed-0")
    scripts["study"].run(place, options(scripts))
    assert tries == ["own-teacher-seed-0"]
    assert "out of patience" in capsys.readouterr().out
    students = ("own-plain", "own-text", "own-ensemble", "own-second-round")
    assert not any(f"{name}-seed-0" in tool for name in students)
    assert all(f"{name}-seed-1" in tool for name in students)


def test_a_choice_whose_trial_fails_is_not_made_and_its_arms_are_left_out(
    scripts: Scripts, place: Any, tool: list[str], broken: Any
) -> None:
    tries = broken("own-teacher-5-epochs-1e-4")
    scripts["study"].run(place, options(scripts))
    assert tries == ["own-teacher-5-epochs-1e-4"]
    assert "own-teacher-15-epochs-5e-5" in tool
    assert not any(name.startswith(("own-teacher-seed", "own-text")) for name in tool)
    assert "own-plain-10-epochs-2e-4" not in tool  # whose teacher has no settings


LOCKS = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def elsewhere(place: Any) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """`elsewhere("a-job")`: a process that does this job, until it is killed."""
    started: list[subprocess.Popen[str]] = []

    def does(name: str) -> subprocess.Popen[str]:
        (place.work / "locks").mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-S", "-c", LOCKS, str(place.work / "locks" / name)]
        started.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout is not None
        assert started[-1].stdout.readline() == "locked\n"
        return started[-1]

    yield does
    for process in started:
        process.kill()
        process.communicate()


def test_a_job_that_another_process_does_is_busy_with_what_needs_it_until_that_process_ends(
    scripts: Scripts, place: Any, tool: list[str], elsewhere: Any
) -> None:
    jobs = scripts["jobs"]
    teacher = jobs.Job("teacher", "finetune", "base", {"name": "sst2", "data": "SST-2"})
    student = jobs.Job("student", "distill", teacher, {"name": "sst2", "data": "SST-2"})
    process = elsewhere("teacher")
    for job in (teacher, student):
        with pytest.raises(jobs.Busy, match="teacher"):
            jobs.done(job, place)
    assert tool == []
    process.kill()
    process.wait()
    jobs.done(student, place)
    assert tool == ["teacher", "student"]


def test_a_run_does_what_no_other_process_does_and_then_waits_for_it(
    scripts: Scripts, place: Any, tool: list[str], elsewhere: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = elsewhere("given-text-alpha-0.9")
    done_before: list[str] = []

    def waits(seconds: float) -> None:
        done_before.extend(tool)
        process.kill()
        process.wait()

    monkeypatch.setattr(scripts["study"].time, "sleep", waits)
    scripts["study"].run(place, options(scripts, only=["given-text"]))
    assert done_before == ["given-text-alpha-0.5", "given-text-alpha-1"]
    assert tool == [*done_before, "given-text-alpha-0.9"]


def test_the_page_says_that_it_is_unfinished_and_what_is_missing(
    scripts: Scripts, place: Any, tool: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = scripts["study"]
    monkeypatch.setattr(study, "earlier", lambda one: {})
    study.run(place, options(scripts, only=["given-1000", "given-text", "given-plain"]))
    page = study.write(place, tmp_path / "out")
    assert "**Unfinished:**" in page
    assert "given-0-seed-0" in page
    assert "| given-1000, given-1000-plain | 0.00 points |" in page
    told = json.loads((tmp_path / "out" / "study.json").read_text())
    assert "by_row" not in told["arms"]["given-1000"]["by_seed"]["0"]["splits"]["holdout"]
    assert "a text" not in (tmp_path / "out" / "study.json").read_text()


def read(by_row: Any, **more: Any) -> dict[str, Any]:
    """A finished job that was read on one split."""
    plain = {"metric": "accuracy", "higher_is_better": True, "rows": len(by_row), "by_row": by_row}
    return {"splits": {"test": {**plain, **more}}, "processor_seconds": 60.0}


def test_a_gain_is_above_zero_for_the_better_arm_whichever_way_the_metric_points(scripts: Scripts) -> None:
    compare = scripts["findings"].compare
    good, bad = {0: read("1" * 30 + "0" * 10)}, {0: read("1" * 10 + "0" * 30)}
    assert compare(good, bad, ("test",))["difference"] == pytest.approx(0.5)
    falls = {"metric": "nats per token", "higher_is_better": False}
    generator = np.random.default_rng(0)
    low = generator.uniform(1, 2, 40)
    good, bad = {0: read(low.tolist(), **falls)}, {0: read((low + 0.5).tolist(), **falls)}
    found = compare(good, bad, ("test",))
    assert found["difference"] == pytest.approx(0.5)
    assert found["word"] == "better"


def test_texts_count_by_their_tokens(scripts: Scripts) -> None:
    scores = scripts["reading"].scores
    found = scores({"by_row": [1.0, 3.0], "weights": [30, 10]})
    assert found.mean() == pytest.approx((30 * 1.0 + 10 * 3.0) / 40)


def test_seeds_that_disagree_make_the_interval_wider(scripts: Scripts) -> None:
    compare = scripts["findings"].compare
    plain = {seed: read("10" * 200) for seed in (0, 1, 2)}
    alike = {seed: read("1" * 40 + "10" * 180) for seed in (0, 1, 2)}
    apart = {seed: read("1" * (40 * seed) + "10" * (200 - 20 * seed)) for seed in (0, 1, 2)}
    one, other = (compare(arm, plain, ("test",)) for arm in (alike, apart))
    assert one["difference"] == pytest.approx(other["difference"])
    width, wider = (found["interval"][1] - found["interval"][0] for found in (one, other))
    assert wider > 1.5 * width


def test_a_given_model_is_beside_every_seed(scripts: Scripts) -> None:
    students = {seed: read("1" * (20 + seed) + "0" * (20 - seed)) for seed in (0, 1, 2)}
    found = scripts["findings"].compare(students, {0: read("1" * 40)}, ("test",), with_one_model=True)
    assert found["seeds"] == [0, 1, 2]
    assert found["difference"] == pytest.approx(21 / 40 - 1)


def test_a_contrast_of_which_one_seed_is_finished_is_of_that_seed(scripts: Scripts) -> None:
    plan, findings = scripts["plan"], scripts["findings"]
    students = {seed: read("1" * (20 + seed) + "0" * (20 - seed)) for seed in (0, 1, 2)}
    plain = {"judged_on": ("test",), "seeds": (0, 1, 2)}
    arms = {"one": {**plain, "by_seed": students}, "other": {**plain, "by_seed": {1: read("1" * 40)}}}
    (found,) = findings.contrasts([plan.Contrast("a situation", "one", "other")], arms)
    assert found["seeds"] == [1]
    arms["other"] |= {"seeds": (1,)}  # a given model, which is beside every seed
    (found,) = findings.contrasts([plan.Contrast("a situation", "one", "other")], arms)
    assert found["seeds"] == [0, 1, 2]


def test_of_equal_candidates_the_first_is_chosen_and_a_loss_is_chosen_low(scripts: Scripts) -> None:
    plan = scripts["plan"]
    choice = plan.Choice("a", "", {"one": {}, "two": {}, "three": {}}, lambda *_: None, 1)
    values = {"one": 0.5, "two": 0.7, "three": 0.7}
    up, down = (
        {label: {"value": value, "higher_is_better": higher} for label, value in values.items()}
        for higher in (True, False)
    )
    assert plan.best(choice, up) == "two"
    assert plan.best(choice, down) == "one"


def test_the_plan_lists_each_entry_with_its_cost(scripts: Scripts) -> None:
    queue = scripts["study"].QUEUE
    page = scripts["findings"].listed(queue)
    assert len(page.splitlines()) == len(queue) + 2
    assert f"{sum(entry.minutes for entry in queue):.0f} |" in page.splitlines()[-1]


def test_a_stopped_job_keeps_what_it_cost(scripts: Scripts, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = scripts["jobs"]
    job = jobs.Job("a", "distill", "base", {"name": "sst2", "data": "SST-2"})
    works = "import sys, time; [x * x for x in range(10**6)]; sys.exit({})"
    monkeypatch.setattr(jobs, "compress_command", lambda *_: [sys.executable, "-c", works.format("'no'")])
    with pytest.raises(jobs.Failed):
        jobs.done(job, place)
    first = jobs._spent(job, place)
    assert first > 0
    monkeypatch.setattr(jobs, "compress_command", lambda *_: [sys.executable, "-c", works.format(0)])
    assert jobs.done(job, place)["processor_seconds"] > first
