"""A run says about how long it will still take, where that is known, and computes the same with an estimate and without."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from compress import pipeline
from compress.cli import compress
from compress.cli.planning import estimate, runs
from compress.cli.planning.runs import expectations, of_pipeline, time_left
from compress.core.time_left import TimeLeft
from compress.measure.size import disk_bytes

SMALL = {"small": {"prune": {"method": "layers", "layers": 1}}}
STUDENT = {"distill": {"layers": 1, "epochs": 1, "batch_size": 64, "max_length": 32}}


@pytest.fixture
def planned(tmp_path: Path, make_model: Callable[..., Path], task: dict[str, Any]) -> Callable[..., pipeline.Pipeline]:
    """A pipeline of some steps."""
    model = make_model("bert")

    def plan(steps: dict[str, Any], **further: Any) -> pipeline.Pipeline:
        file = tmp_path / "my.yaml"
        file.write_text(yaml.safe_dump({"model": str(model), "task": task, "steps": steps, **further}, sort_keys=False))
        return pipeline.read(str(file))

    return plan


def test_each_step_says_how_much_is_left_of_all_of_them(
    planned: Callable[..., pipeline.Pipeline], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="compress")
    plan = planned({**SMALL, "smaller": {"prune": {"method": "layers", "layers": [0]}}})
    pipeline.run(plan, tmp_path / "run", estimate=lambda *_: TimeLeft({"small": 600.0, "smaller": 600.0}))
    first, second = [line for line in caplog.messages if line.startswith("Step ")]
    assert first == "Step 1 of 2: small, about 20 min left (prune: new)."
    assert second == "Step 2 of 2: smaller, about 2 min left (prune: new).", (
        "the first one took less than was estimated"
    )


def test_the_parts_of_a_run_are_its_steps_and_its_measurements(
    planned: Callable[..., pipeline.Pipeline], tmp_path: Path
) -> None:
    import torch

    plan = planned({"student": STUDENT, **SMALL}, benchmark="quick")
    expected = pipeline.check_all(plan, tmp_path / "run")
    torch.manual_seed(3)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    left = time_left(plan, expected)
    assert torch.rand(1) == drawn
    assert left is not None
    whole = left.seconds() or 0.0
    for part in ("student", "small", "measurements"):
        before = left.seconds() or 0.0
        left.over(part, None)
        assert (left.seconds() or 0.0) < before <= whole


@pytest.mark.parametrize("why", ["finished", "interrupted", "too large", "fails"])
def test_nothing_is_said_where_it_is_not_known(
    why: str, planned: Callable[..., pipeline.Pipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(SMALL)
    out = tmp_path / "run"
    if why == "finished":
        pipeline.run(plan, out)
    expected = pipeline.check_all(plan, out)
    if why == "interrupted":
        (out / "small.partial").mkdir(parents=True)
    if why == "too large":
        monkeypatch.setattr(estimate, "LARGEST_BYTES", 1)
    if why == "fails":
        monkeypatch.setattr(runs, "estimated", lambda *_, **__: 1 / 0)
    left = time_left(plan, expected)
    assert (left.in_words() if left else "") == ""


def test_the_command_run_says_it(planned: Callable[..., pipeline.Pipeline], tmp_path: Path) -> None:
    planned(SMALL)
    result = CliRunner().invoke(compress, ["run", str(tmp_path / "my.yaml"), "-o", str(tmp_path / "run")])
    assert "Step 1 of 1: small, about 10 s left (prune: new)." in result.stderr.splitlines()


def test_unlabelled_and_augmented_rows_are_counted_among_a_students(
    planned: Callable[..., pipeline.Pipeline], tmp_path: Path
) -> None:
    texts = tmp_path / "more.txt"
    texts.write_text("good\n\nbad\nbetter\n")
    further = {"distill": {**STUDENT["distill"], "unlabelled_data": str(texts), "augment": 2}}
    plan = planned({"usual": STUDENT, "further": further})
    found = of_pipeline(plan, pipeline.check_all(plan, tmp_path / "run"))
    usual, more = (one.training_rows or 0 for one in found.steps)
    assert more == 3 + 3 * usual


def test_a_pipeline_that_begins_with_a_config_runs_dry_and_has_no_estimate(tmp_path: Path) -> None:
    plan = pipeline.read("quickstart-summarize")
    assert time_left(plan, pipeline.check_all(plan, tmp_path)) is None
    done = CliRunner().invoke(compress, ["run", "quickstart-summarize", "-o", str(tmp_path / "run"), "--dry-run"])
    assert done.exit_code == 0, done.output
    *_, last = done.stdout.splitlines()
    assert last == "Estimate: not known, since the model has no weights yet."


def test_a_dry_run_has_a_line_for_each_step_with_why_it_runs_and_what_it_takes(
    planned: Callable[..., pipeline.Pipeline], tmp_path: Path
) -> None:
    plan = planned({"small": SMALL["small"], "student": STUDENT})
    pipeline.run(dataclasses.replace(plan, steps=plan.steps[:1]), tmp_path / "run")
    asked = ["run", str(tmp_path / "my.yaml"), "-o", str(tmp_path / "run"), "--dry-run"]
    small, student, gain, last = CliRunner().invoke(compress, asked).stdout.splitlines()
    assert small.split(maxsplit=2) == ["small", "prune", "finished, reused"]
    assert re.fullmatch(r"student +distill +new: \d+ rows, \d+ training steps, about \d+ s, \d+ MB", student)
    assert gain.startswith("student: All ")
    assert gain.endswith(": we have not measured the gain of a teacher here; --with-baseline finds out.")
    assert last.startswith("Estimate: about ")


def test_a_dry_run_says_what_a_teacher_will_bring_also_of_one_that_is_yet_to_be_fine_tuned(
    planned: Callable[..., pipeline.Pipeline], tmp_path: Path
) -> None:
    more = tmp_path / "more.txt"
    more.write_text("a fine plot\na dull price\n")
    student = {"distill": {**STUDENT["distill"], "unlabelled_data": str(more)}}
    plan = planned(
        {"teacher": {"finetune": {"epochs": 1, "max_length": 32}}, "student": {**student, "from": "teacher"}}
    )
    found = expectations(plan, pipeline.check_all(plan, tmp_path / "run"))
    assert set(found) == {"student"}
    assert (
        "with a teacher that was fine-tuned on the same rows, and the student keeps 1 of its teacher's"
        in found["student"]
    )
    smaller = planned({**SMALL, "student": {**STUDENT, "from": "small"}})
    assert not expectations(smaller, pipeline.check_all(smaller, tmp_path / "run")), "how many layers is not known yet"


def test_a_student_keeps_the_embeddings_and_a_share_of_the_layers(
    planned: Callable[..., pipeline.Pipeline], tmp_path: Path
) -> None:
    plan = planned({"student": STUDENT})
    expected = pipeline.check_all(plan, tmp_path / "run")
    (step,) = of_pipeline(plan, expected).steps
    made = pipeline.run(plan, tmp_path / "run").artifacts["student"]
    assert step.megabytes == pytest.approx(
        disk_bytes(made) / 1e6, rel=0.2
    )  # 512 positions weigh a sixth of so small a model
