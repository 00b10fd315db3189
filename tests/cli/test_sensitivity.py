"""`compress sensitivity` prints a ranking, as a table or as JSON, and refuses what it cannot rank."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

import compress as library
from compress.cli import compress
from compress.core.errors import CompressError
from compress.quantization.held_out import HeldOut
from tests.cli.test_cli import here
from tests.planted import LAYER
from tests.tiny_generators import write_generator, write_text


@pytest.fixture
def command(planted: tuple[Path, dict[str, Any]], tmp_path: Path) -> list[str]:
    model, task = planted
    file = tmp_path / "planted.yaml"
    file.write_text(yaml.safe_dump(task))
    return [str(model), "--task", str(file)]


def _ran(*arguments: object) -> Result:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(compress, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result


def test_the_ranking_is_a_table_whose_first_line_is_the_layer_that_loses_most(command: list[str]) -> None:
    result = _ran("sensitivity", *command, "--held-out-rows", 48)
    lines = [line for line in result.stdout.splitlines() if "│" in line]
    assert LAYER in lines[0]
    assert "everything" in lines[-1]
    assert "one layer at a time, 48 held-out rows (planted, holdout); fp32 has accuracy 1.0000" in result.stdout
    assert f"--mode dynamic --exclude {LAYER} -o INT8" in result.stdout.splitlines()[-1]
    assert "trials on 48 held-out rows" in result.stderr


def test_the_json_has_every_group_and_python_gives_the_same(
    command: list[str], planted: tuple[Path, dict[str, Any]]
) -> None:
    options = ("--by", "group", "--held-out-rows", "16", "--mode", "static", "--calibration-method", "minmax")
    found = json.loads(_ran("sensitivity", *command, *options, "--json").stdout)
    assert found["findings"][0]["name"] == "attention"
    assert LAYER in found["findings"][0]["layers"]
    assert sum(one["share"] for one in found["findings"]) == pytest.approx(1)
    assert (found["mode"], found["by"], found["rows"], found["metric"]) == ("static", "group", 16, "accuracy")
    model, task = planted
    settings: dict[str, Any] = {"by": "group", "held_out_rows": 16, "mode": "static", "calibration_method": "minmax"}
    made = library.sensitivity(model, task=task, **settings)
    assert json.loads(json.dumps(made.to_json())) == found


def test_a_dry_run_tries_nothing_and_names_the_rows(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HeldOut, "outputs", None)
    plan = json.loads(_ran("sensitivity", *command, "--dry-run", "--json").stdout)
    assert plan["settings"]["mode"] == "dynamic"
    assert plan["data"]["held_out"]["from"]["split"] == "holdout"
    assert "nothing was tried" in _ran("sensitivity", *command, "--dry-run").stdout


def test_what_cannot_be_ranked_is_refused_in_one_line(
    command: list[str], planted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    model, task = planted
    with pytest.raises(CompressError, match="has no task of its own.*held-out rows.*--task"):
        library.sensitivity(model)
    with pytest.raises(CompressError, match="'smoothquant_alpha' is for static quantization"):
        library.sensitivity(model, task=task, smoothquant_alpha=0.5)
    with pytest.raises(CompressError, match="'calibration_method' has no effect here"):
        library.sensitivity(model, task=task, calibration_method="mse")
    with pytest.raises(CompressError, match="Unknown setting 'mod'.*Did you mean 'mode'"):
        library.sensitivity(model, task=task, mod="static")
    texts = write_text(tmp_path / "texts")
    with pytest.raises(CompressError, match="compress sensitivity is for models that predict.*generates text"):
        library.sensitivity(write_generator(tmp_path / "gpt2", "gpt2"), task=texts)


def test_a_limit_that_is_not_kept_exits_with_3_and_says_what_was_made(
    command: list[str], planted: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = HeldOut.drop
    monkeypatch.setattr(HeldOut, "drop", lambda *given: real(*given) + 100.0)
    out = planted[0].parent / f"{tmp_path.name}-int8"
    done = here("quantize", *command, "--max-drop", "50", "-o", out)
    assert done.returncode == 3
    assert f"{out}: " in done.stdout
    assert "in floating point" in done.stdout
    assert "Budget not met: at most 50 may be lost." in done.stderr
