"""A command ends with what was gained and the next command; `--json` gives the same as one object on stdout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from compress.cli import compress, gained
from compress.core.artifact import Artifact


def ran(*arguments: object) -> str:
    """What the command prints on stdout, in this process."""
    result = CliRunner().invoke(compress, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_quantize_ends_with_both_sizes_and_how_many_rows_agree(
    make_model: Callable[..., Path], tmp_path: Path, task_file: Path
) -> None:
    out = tmp_path / "q"
    lines = ran("quantize", make_model("bert"), "--task", task_file, "--mode", "dynamic", "-o", out).splitlines()
    assert lines[-2].startswith(f"{out}: 0.")
    assert " MB, agrees with fp32 on " in lines[-2]
    assert lines[-1] == f'Next: compress predict {out} "..."'
    assert Artifact.open(out).fingerprint() not in "".join(lines)


def test_json_is_one_object_with_the_same_figures(make_model: Callable[..., Path], tmp_path: Path) -> None:
    found = json.loads(ran("export", make_model("bert"), "-o", tmp_path / "e", "--json"))
    assert found["format"] == "onnx"
    assert found["agreement"] == {"with": "torch", "share": 1.0, "rows": 24, "unit": "rows"}
    assert found["parameters"]["before"] == found["parameters"]["after"]
    assert found["fingerprint"] == Artifact.open(tmp_path / "e").fingerprint()


@pytest.mark.parametrize("kept", ["best", "last"])
def test_a_training_ends_with_the_score_of_the_kept_weights_and_the_teachers(kept: str) -> None:
    facts: dict[str, Any] = {
        "curves": {"accuracy on held-out rows": [[4, 0.9], [8, 0.8]]},
        "kept": kept,
        "holdout_rows": 50,
    }
    score = gained._score(facts)
    assert score == {"metric": "accuracy", "value": 0.9 if kept == "best" else 0.8, "rows": 50}
    found = {
        "artifact": "s",
        "bytes": {"before": 90_900_000, "after": 23_400_000},
        "parameters": {"before": 22_700_000, "after": 17_400_000},
        "score": score,
        "teacher_score": {"metric": "accuracy", "value": 0.95},
    }
    assert gained.in_words(found) == (
        "s: 90.9 -> 23.4 MB, 22.70 -> 17.40 million parameters, "
        f"accuracy {score['value']:.4f} (teacher 0.9500) on 50 held-out rows."
    )


def test_the_best_perplexity_is_the_least() -> None:
    facts = {"curves": {"perplexity on held-out rows": [[4, 30.0], [8, 25.0]]}, "kept": "best", "holdout_rows": 9}
    assert (gained._score(facts) or {})["value"] == 25.0


def test_a_dry_run_estimates_rows_steps_minutes_and_disk_and_names_its_basis(
    make_model: Callable[..., Path], tmp_path: Path, task_file: Path
) -> None:
    asked = ("finetune", make_model("bert"), "--task", task_file, "--epochs", 2, "--batch-size", 16, "--dry-run")
    found = json.loads(ran(*asked, "-o", tmp_path / "t", "--json"))["estimate"]
    (step,) = found["steps"]
    rows = step["training_rows"]
    assert 100 < rows < 160  # a share is held out
    assert step["training_steps"] == -(-rows * 2 // 16)
    assert step["minutes"] > 0
    assert found["megabytes"] > step["megabytes"]
    assert "timed here" in found["basis"]
    assert not (tmp_path / "t").exists()
