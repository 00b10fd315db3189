"""A finished step is shown with what it takes on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compress.cli.planning.estimate import _megabytes
from compress.core.artifact import Artifact
from compress.models.stored import model_files

OLD = Path(__file__).parents[2] / "fixtures" / "old_artifacts" / "encoder"


@pytest.mark.parametrize("name", ["finetuned", "exported"])
def test_a_planned_artifact_that_is_finished_has_the_size_of_its_files(name: str) -> None:
    made = Artifact.open(OLD / name)
    planned = replace(made, parts={}, files={})  # what a plan knows
    assert _megabytes(planned) == sum(file.stat().st_size for file in model_files(made)) / 1e6 > 0


def test_a_step_whose_files_are_gone_has_no_size(tmp_path: Path) -> None:
    assert _megabytes(replace(Artifact.open(OLD / "exported"), folder=tmp_path)) == 0
