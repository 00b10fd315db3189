"""Temporary folders lie where a killed run's leftovers are found again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from compress.core import temporary


def test_while_a_step_runs_its_temporary_folders_lie_in_its_own_folder(tmp_path: Path) -> None:
    with temporary.kept_in(tmp_path), temporary.temporary_folder() as made:
        assert made.parent == tmp_path
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / f"{temporary.PREFIX}killed").mkdir()
    (tmp_path / "checkpoints").mkdir()
    with temporary.kept_in(tmp_path):
        assert [one.name for one in tmp_path.iterdir()] == ["checkpoints"]


def test_outside_a_step_they_lie_in_the_systems_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary.temporary_folder() as made:
        assert made.parent == tmp_path
