"""A run says about how long it will still take, where that is known, and computes the same with an estimate and without."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from compress import pipeline
from compress.cli import compress
from compress.cli.planning import runs
from compress.cli.planning.runs import of_pipeline, time_left
from compress.core.time_left import TimeLeft

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
def test_nothing_is_told_where_it_is_not_known(
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
        monkeypatch.setattr(runs, "LARGEST_BYTES", 1)
    if why == "fails":
        monkeypatch.setattr(runs, "estimated", lambda *_, **__: 1 / 0)
    left = time_left(plan, expected)
    assert (left.in_words() if left else "") == ""


def test_the_command_run_tells_it(planned: Callable[..., pipeline.Pipeline], tmp_path: Path) -> None:
    planned(SMALL)
    result = CliRunner().invoke(compress, ["run", str(tmp_path / "my.yaml"), "-o", str(tmp_path / "run")])
    assert "Step 1 of 1: small, about 10 s left (prune: new)." in result.stderr.splitlines()


def test_unlabelled_and_augmented_rows_are_counted_among_a_students(
    planned: Callable[..., pipeline.Pipeline], tmp_path: Path
) -> None:
    texts = tmp_path / "more.txt"
    texts.write_text("good\n\nbad\nbetter\n")
    further = {"distill": {**STUDENT["distill"], "unlabelled_data": str(texts), "augment": 2}}
    estimate = of_pipeline(planned({"usual": STUDENT, "further": further}), tmp_path / "run")
    usual, more = (one.training_rows or 0 for one in estimate.steps)
    assert more == 3 + 3 * usual
