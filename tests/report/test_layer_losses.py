"""An accuracy budget reads as a line, with a plot of what each layer loses alone; its ranking does not flood the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compress import report
from compress.report import layer_losses, lineage
from tests.report.made_up import Made, MakeRun, int8


def ranked(count: int) -> list[dict[str, Any]]:
    return [
        {"name": f"encoder.layer.{number}.output.dense", "divergence": 0.5 / 2**number, "changed": 0.25 / 2**number}
        for number in range(count)
    ]


def budgeted(*, kept: int = 1, met: bool = True) -> dict[str, Any]:
    """A quantize step under a limit, that left some of 20 layers in floating point."""
    step = int8("static")
    step["settings"] |= {"max_drop": 0.5}
    step["facts"]["accuracy_budget"] = {
        "max_drop": 0.5,
        "metric": "accuracy",
        "in_points": True,
        "met": met,
        "layers": 20,
        "kept_in_float": ranked(kept),
        "ranking": ranked(20),
        "verified_on": {"rows": 1650, "drop": 0.12, "interval": [-0.2, 0.45]},
        "cost": {
            "bytes": {"everything_quantized": 22_900_000, "chosen": 23_400_000},
            "seconds": {"everything_quantized": 0.01, "chosen": 0.0103},
        },
    }
    return step


def test_what_was_kept_and_what_it_costs_is_a_sentence() -> None:
    (step,) = lineage.steps({"steps": [budgeted()]})
    assert step.story == (
        "The limit of 0.5 is kept: 1 of 20 layers stays in floating point (encoder.layer.0.output.dense); 0.12 points of "
        "accuracy lost (95 % interval -0.20 to 0.45) on 1,650 held-out rows that did not choose; 23.4 MB instead of 22.9, and "
        "1.03 times the time of everything in int8."
    )
    (step,) = lineage.steps({"steps": [budgeted(kept=5, met=False)]})
    assert step.story.startswith("The limit of 0.5 is not kept: 5 of 20 layers stay in floating point (")
    assert "encoder.layer.2.output.dense, 2 more)" in step.story


def test_the_page_draws_the_ranking_and_the_json_has_all_of_it(make_run: MakeRun, tmp_path: Path) -> None:
    make_run([Made("int8", 757, 20, 1.6, 60, steps=(budgeted(),))]).save(tmp_path)
    files = report.write([tmp_path], tmp_path / "report.html")
    text = files.html.read_text()
    assert "KL divergence of each layer quantized alone" in text
    assert "0.5, 25.0 %, kept in floating point" in text
    assert f"the first {layer_losses.SHOWN} of 20 layers" in text
    assert "encoder.layer.19.output.dense" not in text
    (run,) = json.loads(files.json.read_text())["runs"]
    assert any(len(one["facts"].get("accuracy_budget", {}).get("ranking", [])) == 20 for one in run["steps"])


@pytest.mark.parametrize("odd", [None, 3, "none", [], {"ranking": 5}, {"ranking": [{}]}, {"max_drop": 1, "met": True}])
def test_a_budget_of_another_shape_is_no_error(odd: Any) -> None:
    raw = budgeted()
    raw["facts"]["accuracy_budget"] = odd
    (step,) = lineage.steps({"steps": [raw]})
    assert step.story == ""
    assert layer_losses.plot(step.facts, "Step 1") is None
