"""Before anything is trained, one line gives the gain of a teacher in a measured situation like this one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from compress.cli import compress
from compress.cli.gained import gained
from compress.core.artifact import Artifact, Step
from compress.core.catalogue import find
from compress.data import unlabelled
from compress.data.loading import described_task
from compress.distillation import train
from compress.distillation.distill_settings import Distill
from compress.distillation.expected_gain import Situation, expectation, first_like, in_words, situation
from compress.distillation.measured_gains import MEASURED, Measured
from compress.models.load import resolve_model
from compress.techniques.apply import apply

REPOSITORY = Path(__file__).parents[2]
ALL_LABELLED = Situation("labels", 64_103, layers=(3, 6))


@pytest.mark.parametrize("one", MEASURED, ids=lambda one: f"{one.learns} {one.gain}")
def test_each_figure_stands_on_the_page_that_it_names(one: Measured) -> None:
    page = (REPOSITORY / one.source).read_text(encoding="utf-8").replace("−", "-")
    assert one.source.startswith(("docs/", "benchmarks/results/"))
    for figure in (one.gain, *(one.interval or ())):
        assert f"{figure:+.2f}" in page


@pytest.mark.parametrize("number", range(len(MEASURED)))
def test_each_figure_is_used_in_some_situation(number: int) -> None:
    one = MEASURED[number]
    labelled = one.least_rows or 1000
    share = one.labelled[0] or one.labelled[1]
    here = Situation(
        one.learns,
        labelled,
        unlabelled=0 if share == 1 else round(labelled * (1 - share) / share),
        layers=(round(100 * one.depth[1]), 100),
        teacher_saw=bool(one.teacher_saw),
        smoothed=bool(one.smoothed),
    )
    assert first_like(here) is one


def test_a_situation_without_a_gain_says_so_and_what_would_help() -> None:
    assert in_words(ALL_LABELLED) == (
        "All 64,103 rows are labelled, and the student keeps 3 of its teacher's 6 layers: our measurements showed no gain over "
        "plain training (SST-2, 64,103 rows, 3 of 6 layers, 3 seeds: +0.40, −0.42 to +1.21). Unlabelled text would help: "
        "--unlabelled-data."
    )


def test_few_labels_and_much_text_gain_more_where_the_teacher_saw_more_labels_than_the_student() -> None:
    here = Situation("labels", 1000, unlabelled=20_000, layers=(3, 6))
    assert "showed a gain of 6.72 points of accuracy over plain training" in in_words(here)
    same = in_words(replace(here, teacher_saw=True))
    assert "with a teacher that was fine-tuned on the same rows" in same
    assert "showed a gain of 3.96 points of accuracy over plain training" in same


def test_a_summarizers_teacher_that_is_unsure_is_said_to_have_done_harm() -> None:
    here = Situation("references", 14_000, layers=(5, 9), smoothed=True)
    assert "showed a loss of 0.65 points of ROUGE-L over plain training" in in_words(here)
    assert "--alpha 0" in in_words(here)
    assert first_like(replace(here, smoothed=None)) is first_like(here)  # not looked at yet
    assert first_like(replace(here, smoothed=False)) is None


def test_a_lower_perplexity_is_a_gain() -> None:
    assert "a gain of 0.10 of perplexity" in in_words(Situation("text", 4000, layers=(3, 5)))


@pytest.mark.parametrize(
    "here",
    [
        replace(ALL_LABELLED, labelled=900),
        replace(ALL_LABELLED, layers=(2, 6)),
        replace(ALL_LABELLED, layers=None),
        replace(ALL_LABELLED, unlabelled=100_000, teacher_saw=True),
    ],
    ids=["few rows", "fewer layers", "another model", "many labels and much text"],
)
def test_of_what_was_not_measured_no_gain_is_predicted(here: Situation) -> None:
    assert first_like(here) is None
    assert in_words(here).endswith(": we have not measured the gain of a teacher here; --with-baseline finds out.")
    assert in_words(here, compares=True).endswith("here; the baseline will tell.")


def test_the_situation_is_read_from_the_settings_the_data_and_the_teachers_own_steps(
    make_model: Callable[..., Path], task: dict[str, Any], tmp_path: Path
) -> None:
    more = tmp_path / "more.txt"
    more.write_text("a fine plot\n\na dull price\n")
    teacher, described = resolve_model(str(make_model("bert", num_hidden_layers=4))), described_task(task)
    found = situation(Distill(layers=(0, 2, 3), unlabelled_data=str(more)), teacher, described)
    assert (found.learns, found.layers, found.unlabelled, found.teacher_saw) == ("labels", (3, 4), 2, False)
    assert found.labelled > 100
    assert situation(Distill(hidden_size=16), teacher, described).layers == (4, 4)
    assert situation(Distill(student=str(teacher.folder)), teacher, described).layers is None

    from compress.data import loading

    step = Step("finetune", {}, data={"train": loading.load(described.task, described.data, "train").identity})
    assert situation(Distill(layers=2), replace(teacher, steps=(step,)), described).teacher_saw


def test_a_student_that_learns_nothing_of_a_teacher_expects_nothing(
    make_model: Callable[..., Path], task: dict[str, Any]
) -> None:
    teacher = resolve_model(str(make_model("bert")))
    assert expectation(Distill(layers=1, alpha=0.0), teacher, described_task(task)) is None
    assert expectation(Distill(layers=1), teacher, described_task(task))


def test_distill_says_it_before_it_trains_and_keeps_it_and_so_does_a_dry_run(
    make_model: Callable[..., Path],
    task: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    said = []

    def no_training(*_: Any, **__: Any) -> dict[str, Any]:
        said.append(caplog.text)
        return {"training_steps": 0}

    monkeypatch.setattr(train, "train_student", no_training)
    technique, teacher = find("techniques", "distill"), make_model("bert", num_hidden_layers=4)
    settings = technique.settings(layers=2, max_length=32, precision="fp32")
    made = apply(technique, resolve_model(str(teacher)), settings, tmp_path / "student", task=task)
    line = "and the student keeps 2 of its teacher's 4 layers: we have not measured the gain of a teacher here"
    assert line in said[0]
    assert line in made.steps[-1].facts["expectation"]
    assert line in gained(None, made)["expectation"]

    file = tmp_path / "task.yaml"
    file.write_text(json.dumps(task))  # JSON is YAML
    asked = ["distill", str(teacher), "--task", str(file), "--layers", "2", "--dry-run", "-o", str(tmp_path / "dry")]
    for more in ([], ["--json"]):
        printed = CliRunner().invoke(compress, [*asked, *more]).stdout
        assert line in (json.loads(printed)["expectation"] if more else printed.splitlines()[-1])


def test_unlabelled_texts_are_read_once(
    make_model: Callable[..., Path], task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a dry run to count them, and by a step to train on them."""
    more, file = tmp_path / "more.txt", tmp_path / "task.yaml"
    more.write_text("a fine plot\n\na dull price\n")
    file.write_text(json.dumps(task))
    asked, read = [], unlabelled.read
    monkeypatch.setattr(unlabelled, "read", lambda *given: asked.append(given) or read(*given))
    monkeypatch.setattr(train, "train_student", lambda *_, **__: {"training_steps": 0})
    given = [str(make_model("bert", num_hidden_layers=4)), "--layers", "2", "--unlabelled-data", str(more)]
    command = ["distill", *given, "--task", str(file), "--max-length", "32", "-o", str(tmp_path / "student")]
    dry = CliRunner().invoke(compress, [*command, "--dry-run"])
    assert "labelled rows and 2 unlabelled texts" in dry.stdout
    assert len(asked) == 1
    assert CliRunner().invoke(compress, command).exit_code == 0
    told = Artifact.open(tmp_path / "student").steps[-1].facts["expectation"]
    assert "labelled rows and 2 unlabelled texts" in told
    assert len(asked) == 2


def test_a_narrower_student_is_like_none_that_was_measured() -> None:
    here = Situation("labels", labelled=20_000, layers=(6, 6), narrower=True)
    assert first_like(replace(here, narrower=False)) is not None
    assert first_like(here) is None
    assert "keeps all 6 layers, narrower ones: we have not measured" in in_words(here)
