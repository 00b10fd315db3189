"""Kept artifacts: what changed settings replace is put aside whole, and comes back with its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from compress.core import kept
from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.settings import Settings
from compress.tasks.technique import Made, Technique, Work
from compress.techniques.apply import apply
from tests.core.test_work_folder import KILLER, Killed


class Letters(Settings):
    letters: int = Field(1, description="How many.")


class Writer:
    """A technique that writes letters, says whether that was a training, and counts its runs."""

    def __init__(self, tmp_path: Path, **facts: Any) -> None:
        self.runs, self.facts, self.out = 0, facts, tmp_path / "run" / "student"
        self.source = Artifact(tmp_path / "base", {"name": "base", "weights": "0"}, None)

    def _run(self, work: Work) -> Made:
        self.runs += 1
        (work.folder / "model.safetensors").write_text("x" * work.settings.letters)
        return Made("torch", "fp32", step_facts=self.facts)

    def make(self, letters: int) -> Artifact:
        """As a pipeline does."""
        technique = Technique(
            "write", Letters, self._run, frozenset({"torch"}), lambda _: ("torch", "fp32"), "compress"
        )
        settings = Letters(letters=letters)
        from compress.techniques.apply import planned

        step = planned(technique, self.source, settings, None, {})
        kept.put_back(self.out, self.source.after(step, self.out).fingerprint())
        return apply(technique, self.source, settings, self.out, replace=True, aside=kept.set_aside)


@pytest.fixture(autouse=True)
def _letters_are_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compress.techniques.apply.open_once", lambda artifact, name: None)


def test_a_training_that_is_replaced_is_kept_and_comes_back_with_its_settings(tmp_path: Path) -> None:
    writer = Writer(tmp_path, training_steps=100)
    first, second = writer.make(1), writer.make(2)
    there = kept.place(writer.out, first.fingerprint())
    assert there == tmp_path / "run" / ".kept" / f"student-{first.fingerprint()}"
    assert Artifact.open(there).fingerprint() == first.fingerprint()
    assert Artifact.open(there).root() == first.root()
    again = writer.make(1)
    assert writer.runs == 2
    assert again == first
    assert Artifact.open(kept.place(writer.out, second.fingerprint())).fingerprint() == second.fingerprint()
    assert not there.exists()


def test_what_is_made_again_in_no_time_is_not_kept(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.make(1)
    writer.make(2)
    assert [one.name for one in writer.out.parent.iterdir()] == ["student"]


def test_what_took_long_is_kept_and_so_are_a_users_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path)
    (writer.make(1).folder / "notes.txt").write_text("mine")
    noted = writer.make(2)
    assert [one.read_text() for one in (writer.out.parent / ".kept").glob("*/notes.txt")] == ["mine"]
    monkeypatch.setattr(kept, "LONG_SECONDS", 0.0)
    writer.make(3)
    assert kept.is_kept(writer.out, noted.fingerprint())


def test_a_kept_artifact_that_is_damaged_is_made_again(tmp_path: Path) -> None:
    writer = Writer(tmp_path, training_steps=100)
    first = writer.make(1)
    writer.make(2)
    (kept.place(writer.out, first.fingerprint()) / "model.safetensors").write_text("y")
    assert writer.make(1).fingerprint() == first.fingerprint()
    assert writer.runs == 3


def test_a_damaged_one_does_not_cost_the_one_that_was_made_in_its_place(tmp_path: Path) -> None:
    writer = Writer(tmp_path, training_steps=100)
    first = writer.make(1)
    writer.make(2)
    (kept.place(writer.out, first.fingerprint()) / "model.safetensors").write_text("y")
    again = writer.make(1)
    writer.make(3)
    assert writer.make(1) == again
    assert writer.runs == 4


def test_a_folder_that_is_none_of_ours_is_not_moved(tmp_path: Path) -> None:
    writer = Writer(tmp_path, training_steps=100)
    writer.make(1)
    second = writer.make(2)
    second.folder.rename(tmp_path / "elsewhere")
    writer.out.mkdir()
    (writer.out / "thesis.tex").write_text("years of work")
    for letters in (1, 3):
        with pytest.raises(CompressError, match="was not made by compress"):
            writer.make(letters)
    assert (writer.out / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("facts", [{"training_steps": 9}, {}], ids=["kept", "not kept"])
def test_killed_at_any_moment_between_two_settings_nothing_that_was_trained_is_lost(
    tmp_path: Path, facts: dict[str, int]
) -> None:
    moments = 0
    done = False
    while not done:
        moments += 1
        writer = Writer(tmp_path / str(moments), training_steps=1)
        first = writer.make(1)
        writer.facts = facts
        second = writer.make(2)
        KILLER.below, KILLER.left = str(writer.out.parent), moments
        try:
            writer.make(1)
            done = True
        except Killed:
            pass
        finally:
            KILLER.below = None
        assert writer.make(1) == first, f"at moment {moments}"
        assert writer.runs == 2
        assert not [one for one in writer.out.iterdir() if one.name.startswith(".")]
        if facts:
            assert writer.make(2) == second
            assert writer.runs == 2
    assert moments > 5
