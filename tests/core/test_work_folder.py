"""Work folders: killed at whatever moment, nothing finished is lost, and the same command goes on to the same artifact."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from compress.core.artifact import MANIFEST, SCRATCH, Artifact
from compress.core.errors import CompressError
from compress.core.settings import Settings
from compress.core.work_folder import LOCK, MARK, finish, unfinished, work_folder
from compress.tasks.technique import Made, Technique, Work
from compress.techniques.apply import apply

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "shutil.rmtree"}
"""Calls that change what is on disk; a file that is opened to be written is one, too."""


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the product catches it."""


class Killer:
    """Kills at the nth change of anything below a folder."""

    def __init__(self) -> None:
        self.below: str | None = None
        self.left = 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.below is None:
            return
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wxa+")
        if (event in CHANGES or writes) and str(arguments[0]).startswith(self.below):
            self.left -= 1
            if self.left == 0:
                raise Killed


KILLER = Killer()
sys.addaudithook(KILLER)  # a hook cannot be taken out again; without a folder it does nothing


@pytest.fixture
def killer() -> Iterator[Killer]:
    yield KILLER
    KILLER.below = None


class Letters(Settings):
    letters: int = Field(1, description="How many.")


def _run(work: Work) -> Made:
    """Goes on from a checkpoint where there is one, as trainings do."""
    checkpoint = work.scratch / "checkpoint"
    if not checkpoint.is_file():
        (work.scratch / "half").write_text("half")
        (work.scratch / "half").replace(checkpoint)
    (work.folder / "model.safetensors").write_text("x" * work.settings.letters)
    return Made("torch", "fp32")


COPY = Technique("copy", Letters, _run, frozenset({"torch"}), lambda settings: ("torch", "fp32"), "compress copy")


@pytest.fixture(autouse=True)
def _letters_are_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """`tests/test_first_opening.py` tells of real ones."""
    monkeypatch.setattr("compress.techniques.apply.open_once", lambda artifact, name: None)


@pytest.fixture
def source(tmp_path: Path) -> Artifact:
    return Artifact(tmp_path / "base", {"name": "base", "weights": "0"}, None)


def _make(source: Artifact, out: Path, letters: int, *, replace: bool = False) -> Artifact:
    return apply(COPY, source, Letters(letters=letters), out, replace=replace)


@pytest.mark.parametrize("before", [None, 3], ids=["new", "replacing another"])
def test_killed_at_any_moment_the_same_command_goes_on_and_leaves_no_stray_file(
    source: Artifact, tmp_path: Path, killer: Killer, before: int | None
) -> None:
    moments = 0
    while True:
        moments += 1
        runs = tmp_path / f"killed at {moments}"
        out = runs / "a"
        former = _make(source, out, before) if before else None
        killer.below, killer.left = str(runs), moments
        try:
            _make(source, out, 5, replace=True)
        except Killed:
            killer.below = None
        else:
            break
        kept = [folder for folder in (out, unfinished(out) / ".replaced") if Artifact.is_one(folder)]
        assert not former or kept, f"the former artifact is gone at moment {moments}"
        for folder in kept:
            Artifact.open(folder)
        made = _make(source, out, 5, replace=True)
        assert (out / "model.safetensors").read_text() == "xxxxx"
        assert made == Artifact.open(out)
        assert [one.name for one in runs.iterdir()] == ["a"]
        assert sorted(one.name for one in out.iterdir()) == [MANIFEST, "model.safetensors"]
    assert moments > 12


def test_what_was_finished_and_not_yet_renamed_is_not_made_again(
    source: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a"
    with monkeypatch.context() as patched:
        patched.setattr("compress.core.work_folder._put_in_place", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            _make(source, out, 2)
    assert Artifact.is_one(unfinished(out))
    made = apply(Technique(**{**vars(COPY), "run": pytest.fail}), source, Letters(letters=2), out)
    assert made == Artifact.open(out)


def test_what_was_finished_and_then_damaged_is_made_again(source: Artifact, tmp_path: Path) -> None:
    out = tmp_path / "a"
    _make(source, out, 2).folder.rename(unfinished(out))
    (unfinished(out) / MARK).write_text(Artifact.open(unfinished(out)).fingerprint())
    (unfinished(out) / "model.safetensors").write_text("y")
    _make(source, out, 2)
    assert (Artifact.open(out).folder / "model.safetensors").read_text() == "xx"


def test_a_work_folder_without_its_scratch_folder_gets_it_back(tmp_path: Path) -> None:
    with work_folder(tmp_path / "a", "key") as partial:
        (partial / SCRATCH).rmdir()
    with work_folder(tmp_path / "a", "key") as partial:
        assert (partial / SCRATCH).is_dir()


def test_files_of_an_interrupted_run_that_are_no_checkpoints_are_removed(tmp_path: Path) -> None:
    with work_folder(tmp_path / "a", "key") as partial:
        (partial / "model.safetensors").write_text("cut short")
        (partial / SCRATCH / "checkpoint").write_text("half")
    with work_folder(tmp_path / "a", "key") as partial:
        assert sorted(one.name for one in partial.iterdir()) == sorted([MARK, LOCK, SCRATCH])
        assert (partial / SCRATCH / "checkpoint").read_text() == "half"


@pytest.mark.parametrize("of_a_user", ["thesis.tex", ".git/config", f"{SCRATCH}/notes"])
def test_a_users_folder_in_the_place_of_the_work_folder_is_not_touched(
    source: Artifact, tmp_path: Path, of_a_user: str
) -> None:
    theirs = tmp_path / "a.partial" / of_a_user
    theirs.parent.mkdir(parents=True)
    theirs.write_text("years of work")
    with pytest.raises(CompressError, match=r"a\.partial already exists and was not made by compress"):
        _make(source, tmp_path / "a", 1)
    assert [one for one in (tmp_path / "a.partial").rglob("*") if one.is_file()] == [theirs]


def test_a_users_folder_called_replaced_is_not_touched(source: Artifact, tmp_path: Path) -> None:
    (tmp_path / "a.replaced.partial").mkdir()
    (tmp_path / "a.replaced.partial" / "thesis.tex").write_text("years of work")
    _make(source, tmp_path / "a", 1)
    _make(source, tmp_path / "a", 2, replace=True)
    assert (tmp_path / "a.replaced.partial" / "thesis.tex").read_text() == "years of work"


def test_a_process_that_waited_for_a_renamed_folder_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening the lock and taking it, the other process renamed the folder, and took the lock along."""
    import fcntl

    def renamed(*_: Any) -> None:
        unfinished(tmp_path / "a").rename(tmp_path / "a")

    monkeypatch.setattr(fcntl, "flock", renamed)
    with pytest.raises(CompressError, match="by another process"), work_folder(tmp_path / "a", "key"):
        pass


def test_an_artifact_that_cannot_be_renamed_into_place_is_kept(
    source: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refused)
        with pytest.raises(CompressError, match="is finished but cannot be renamed.*Permission denied"):
            _make(source, tmp_path / "a", 2)
    assert _make(source, tmp_path / "a", 2).folder == tmp_path / "a"


def test_finish_gives_files_the_rights_of_the_users_mask(source: Artifact, tmp_path: Path) -> None:
    with work_folder(tmp_path / "a", "key") as partial:
        (partial / "model.safetensors").touch(mode=0o600)
        finish(Artifact(partial, source.origin, None), tmp_path / "a")
    assert (tmp_path / "a" / "model.safetensors").stat().st_mode & 0o444 == 0o444


def test_another_process_of_a_training_waits_for_the_first_to_begin_or_to_have_finished(
    source: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    monkeypatch.setattr("compress.core.work_folder.wait_until", lambda is_so, what: seen.append(is_so()))

    def comes_second(fingerprint: str) -> bool:
        monkeypatch.setattr("compress.core.work_folder.is_main_process", lambda: False)
        with work_folder(tmp_path / "a", fingerprint):
            monkeypatch.setattr("compress.core.work_folder.is_main_process", lambda: True)
        return seen.pop()

    made = _make(source, tmp_path / "a", 1)
    assert not comes_second("another")  # what is there will be replaced
    assert comes_second(made.fingerprint())
    (tmp_path / "a").rename(tmp_path / "a.partial")
    (tmp_path / "a.partial" / MARK).write_text(made.fingerprint())
    assert not comes_second(made.fingerprint())  # it is only to be renamed
    (tmp_path / "a.partial" / MANIFEST).unlink()
    assert comes_second(made.fingerprint())
