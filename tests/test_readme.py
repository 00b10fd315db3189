"""The README's example of one's own data, from the file to the served model, works as it stands."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import compress
from compress import pipeline
from compress.cli import compress as cli
from compress.data.corpora.reviews import rows

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8").split("## Your own data")[1]


@pytest.mark.slow
def test_ones_own_file_becomes_a_pipeline_and_a_model_that_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = re.findall(r"^```csv\n(.*?)^```", README, re.MULTILINE | re.DOTALL)[0]
    with Path("reviews.csv").open("w", newline="") as file:
        file.write(shown)
        csv.writer(file).writerows((text, ("bad", "good")[label]) for text, label in [*rows("train", 0)][:600])
    (line,) = re.findall(r"^\$ compress (init [^#\n]+)", README, re.MULTILINE)
    asked = CliRunner().invoke(cli, shlex.split(line), catch_exceptions=False)
    assert asked.exit_code == 0, asked.output
    quick = {"steps.teacher.finetune.epochs": 2, "steps.student.distill.epochs": 1, "benchmark": None, "budget": None}
    pipeline.run(pipeline.read("mine.yaml", quick), Path("runs/mine"))
    (served,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(served, names)
    model = names["model"]
    assert isinstance(model, compress.ServedModel)
    answer = model("The screen is dim.")
    assert answer["label"] in ("bad", "good")
    assert set(answer["probabilities"]) == {"bad", "good"}
