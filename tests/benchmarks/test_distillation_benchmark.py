"""What `benchmarks/distillation/` promises, checked without training a student."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.benchmarks.conftest import Scripts

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "distillation"


@pytest.fixture
def place(scripts: Scripts, tmp_path: Path) -> Any:
    """A place to work in, with a teacher that is one file."""
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "model.safetensors").write_bytes(b"weights")
    return scripts["jobs"].Place({"teacher": tmp_path / "teacher"}, {"SST-2": tmp_path}, work=tmp_path / "work")


def read(right: str, test: str = "1" * 4) -> dict[str, Any]:
    """A finished student's result with these right answers on dev and on test."""
    splits = {"holdout": "1", "evaluation": right, "test": test}
    return {
        "seconds": 60.0,
        "processor_seconds": 30.0,
        "splits": {
            name: {"right": each.count("1"), "rows": len(each), "right_by_sentence": each}
            for name, each in splits.items()
        },
    }


def test_every_contestant_gets_the_same_number_of_trials_on_the_same_rows(scripts: Scripts) -> None:
    trials = [
        {
            (*(job.settings[key] for key in ("learning_rate", "layers", "seed", "epochs")), job.task["limit"]["train"])
            for job in scripts["compare"].tuning_jobs(one)
        }
        for one in scripts["contestants"].CONTESTANTS
    ]
    assert len(trials[0]) == 3
    assert all(each == trials[0] for each in trials)


def test_no_final_student_has_a_seed_that_was_tuned_on(scripts: Scripts) -> None:
    assert scripts["contestants"].TUNING_SEED not in scripts["contestants"].SEEDS


def test_textbrewer_mixes_soft_targets_and_labels_as_ours_does(scripts: Scripts) -> None:
    ours, brewer = (
        next(one.settings for one in scripts["contestants"].CONTESTANTS if one.name == name)
        for name in ("ours", "textbrewer")
    )
    assert brewer["temperature"] == ours["temperature"]
    assert brewer["kd_loss_weight"] == ours["alpha"] * ours["temperature"] ** 2
    assert brewer["hard_label_weight"] == 1 - ours["alpha"]


def test_our_contestants_use_settings_that_distill_has(scripts: Scripts, place: Any) -> None:
    from compress.distillation.distill_settings import Distill

    for one in scripts["contestants"].CONTESTANTS:
        if one.tool != "compress":
            continue
        job = scripts["contestants"].job_of(one, 3, 1e-4, 0, 2.0)
        words = scripts["jobs"].compress_command(job, place, place.work / "student")
        flags = words[words.index("--task") + 2 : words.index("-o")]
        given = {flag[2:].replace("-", "_"): value for flag, value in zip(flags[::2], flags[1::2], strict=True)}
        read_back = Distill(**given)
        assert read_back.keep_checkpoint == "last"
        assert (read_back.learning_rate, read_back.epochs, read_back.seed) == (1e-4, 2.0, 0)


def test_textbrewer_is_pinned_exactly() -> None:
    lines = (FOLDER / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert "textbrewer==0.2.1" in pins
    assert all(re.fullmatch(r"\w+==[\d.]+", pin) for pin in pins)


@pytest.fixture
def tool(scripts: Scripts, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Training and reading replaced by their traces: a list that grows by one word for each."""
    jobs, traces = scripts["jobs"], []

    def made(job: Any, place: Any) -> float:
        traces.append("trained")
        return 1.0

    def split(student: Path, task: Any, name: str, *_: Any) -> dict[str, Any]:
        traces.append(name)
        return {"rows": 2, "value": 0.5, "loss": 0.5, "by_row": "10"}

    monkeypatch.setattr(jobs, "_made", made)
    monkeypatch.setattr(scripts["reading"], "read", split)
    return traces


def test_a_finished_job_is_neither_trained_nor_read_again(scripts: Scripts, place: Any, tool: list[str]) -> None:
    jobs = scripts["jobs"]
    job = scripts["contestants"].job_of(scripts["contestants"].CONTESTANTS[0], 3, 1e-4, 0, 2.0)
    first = jobs.done(job, place, ("evaluation", "test"))
    assert tool == ["trained", "evaluation", "test"]
    assert jobs.done(job, place, ("evaluation", "test")) == first
    assert len(tool) == 3
    jobs.done(job, place, ("holdout", "test"))
    assert tool[3:] == ["holdout"]  # a split that is asked for later is read without training again


@pytest.mark.parametrize("change", ["epochs", "settings", "teacher"])
def test_a_job_of_another_kind_is_not_taken_for_finished(
    scripts: Scripts, place: Any, tool: list[str], change: str
) -> None:
    from dataclasses import replace

    jobs = scripts["jobs"]
    job = scripts["contestants"].job_of(scripts["contestants"].CONTESTANTS[0], 3, 1e-4, 0, 2.0)
    jobs.done(job, place)
    if change == "epochs":
        job = replace(job, settings={**job.settings, "epochs": 3.0})
    elif change == "settings":
        job = replace(job, settings={**job.settings, "alpha": 0.9})
    else:
        (place.models["teacher"] / "model.safetensors").write_bytes(b"other weights")
        jobs.hash_of.cache_clear()
    assert jobs.finished(job, place) is None


def test_a_tool_that_fails_leaves_no_result_and_its_last_words(
    scripts: Scripts, place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = scripts["jobs"]
    job = scripts["contestants"].job_of(scripts["contestants"].CONTESTANTS[0], 3, 1e-4, 0, 2.0)
    fails = [sys.executable, "-c", "import sys; sys.exit('out of patience')"]
    monkeypatch.setattr(jobs, "compress_command", lambda *_: fails)
    with pytest.raises(jobs.Failed, match="out of patience"):
        jobs.done(job, place)
    assert jobs.finished(job, place) is None


def test_the_rate_with_most_right_is_chosen_and_of_equals_the_one_with_less_loss(
    scripts: Scripts,
) -> None:
    chosen = scripts["standings"].chosen
    assert chosen({1e-4: {"right": 9, "loss": 0.9}, 2e-4: {"right": 8, "loss": 0.1}}) == 1e-4
    assert chosen({1e-4: {"right": 9, "loss": 0.9}, 2e-4: {"right": 9, "loss": 0.1}}) == 2e-4


def test_a_sentence_scores_the_share_of_seeds_that_got_it_right(scripts: Scripts) -> None:
    results = {0: read("110", "0"), 1: read("100", "1"), 2: read("100", "1")}
    assert scripts["standings"].pooled(results, [0, 1, 2]) == pytest.approx([1, 1 / 3, 0, 2 / 3])


def test_sign_flips_agree_with_scipys_exact_permutation_test(scripts: Scripts) -> None:
    from scipy.stats import permutation_test

    generator = np.random.default_rng(5)
    first, second = (generator.integers(0, 4, 11) / 3 for _ in range(2))
    first[0] = second[0]  # sentences without a difference change nothing

    def mean(differences: Any, axis: int) -> Any:
        return np.mean(differences, axis=axis)

    exact = permutation_test((first - second,), mean, permutation_type="samples", n_resamples=np.inf)
    # 20,000 draws: the standard error of a p near 1/2 is 0.0035.
    assert scripts["standings"].sign_flips(first, second) == pytest.approx(exact.pvalue, abs=0.015)


def test_equal_students_are_not_worse_if_there_are_enough_sentences_and_p_is_one(
    scripts: Scripts,
) -> None:
    found = scripts["standings"].compare({0: read("1010")}, {0: read("1010")})
    assert found["verdict"] == "not enough seeds or examples"
    assert found["p_value"] == 1.0
    found = scripts["standings"].compare({0: read("10" * 500)}, {0: read("10" * 500)})
    assert found["verdict"] == "not worse"
    assert found["p_value"] == 1.0


def test_only_seeds_that_both_finished_are_compared(scripts: Scripts) -> None:
    mine, others = {0: read("1" * 40), 1: read("0" * 40)}, {0: read("0" * 40)}
    found = scripts["standings"].compare(mine, others)
    assert found["seeds"] == [0]
    assert found["verdict"] == "better"
    assert found["p_value"] < 0.001
    assert scripts["standings"].compare({0: read("1")}, {1: read("1")}) is None


def test_a_bar_is_judged_only_when_all_seeds_are_there(scripts: Scripts) -> None:
    judge = scripts["standings"].judge
    ours = {seed: read("1" * 757 + "0" * 115) for seed in (0, 1, 2)}
    bars = judge({"ours": {3: ours}}, (0, 1, 2))["bars"]
    assert [(bar["mean"], bar["bar"]) for bar in bars] == [(757, 757)]
    del ours[2]
    assert judge({"ours": {3: ours}}, (0, 1, 2))["bars"] == []


def test_every_pair_with_ours_is_tested_once(scripts: Scripts) -> None:
    sizes = {3: {0: read("10")}}
    names = ("ours", "plain", "textbrewer", "ours-tinybert")
    tests = scripts["standings"].judge(dict.fromkeys(names, sizes), (0,))["tests"]
    pairs = [frozenset((test["contestant"], test["against"])) for test in tests]
    assert len(pairs) == len(set(pairs)) == 5  # of six pairs, all but plain with TextBrewer


def test_the_page_tells_what_did_not_run_and_that_a_difference_was_not_shown(scripts: Scripts) -> None:
    standings, rates = scripts["standings"], scripts["contestants"].TUNED_RATES
    finals = {
        name: {3: {seed: read("1" * n + "0" * (872 - n)) for seed, n in enumerate((700, 704))}}
        for name in ("ours", "plain")
    }
    results = {
        "command": "python compare.py",
        "created": "2026-11-23T00:00:00+00:00",
        "machine": {"cpu": "a processor", "cores": 2},
        "training_rows": 64000,
        "holdout_rows": 3000,
        "protocol": {"epochs": 2.0, "tuned_rates": rates, "threads": 1},
        "tuning": {name: {rate: {"right": 5, "loss": 0.5} for rate in rates} for name in finals},
        "chosen": dict.fromkeys(finals, 1e-4),
        "finals": finals,
        "missing": ["ours with 3 layers (seed 2)"],
        **standings.judge(finals, (0, 1)),
    }
    page = standings.markdown(results)
    assert "700, 704 | 702.0 ± 2.8" in page
    assert "702.0 of 872 on the mean; 757 is not reached" in page
    assert "**not enough seeds or examples**" in page
    assert "Not run: ours with 3 layers (seed 2)." in page
    blocks = re.findall(r"(?:^\|.*\n)+", page, flags=re.MULTILINE)
    assert len(blocks) == 2
    assert "took 2 minutes of a processor" in page
    for block in blocks:
        assert len({line.count("|") for line in block.splitlines()}) == 1
    json.dumps(results)


def test_a_report_trains_nothing(scripts: Scripts, monkeypatch: pytest.MonkeyPatch, place: Any) -> None:
    compare = scripts["compare"]
    monkeypatch.setattr(
        sys, "argv", ["compare.py", str(place.models["teacher"]), "--data", str(place.work), "--report"]
    )
    monkeypatch.setattr(compare, "done", lambda *_: pytest.fail("a student was trained"))
    written = []
    monkeypatch.setattr(compare, "write", lambda *_: written.append("page") or "page")
    compare.main()
    assert written == ["page"]


def test_judging_again_changes_no_student_and_trains_none(scripts: Scripts, tmp_path: Path) -> None:
    kept = FOLDER.parent / "results"
    for name in ("distillation.json", "distillation.md"):
        (tmp_path / name).write_bytes((kept / name).read_bytes())
    scripts["compare"].judge_again(tmp_path)
    for name in ("distillation.json", "distillation.md"):  # today's statistics are those of the page that is kept
        assert (tmp_path / name).read_text() == (kept / name).read_text()
