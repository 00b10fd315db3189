"""The journal of a benchmark: what was noted is there again for the same plan, and for no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from compress.core.errors import CompressError
from compress.measure.journal import FILE, journal


def _noted(folder: Path, plan: str = "plan") -> None:
    with journal(folder, plan) as notes:
        notes.note("memory of a", {"loaded": {"peak_bytes": 5}})
        notes.note("round 1", [0.5])


def test_what_was_noted_is_recalled(tmp_path: Path) -> None:
    _noted(tmp_path / "new")
    with journal(tmp_path / "new", "plan") as notes:
        assert notes.recall("memory of a") == {"loaded": {"peak_bytes": 5}}
        assert notes.recall("round 1") == [0.5]
        assert notes.recall("round 2") is None


def test_another_plan_starts_over(tmp_path: Path) -> None:
    _noted(tmp_path)
    with journal(tmp_path, "another") as notes:
        assert notes.recall("round 1") is None
    with journal(tmp_path, "plan") as notes:
        assert notes.recall("round 1") is None


def test_cut_short_anywhere_it_recalls_whole_lines_and_goes_on_after_them(tmp_path: Path) -> None:
    _noted(tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    for length in range(len(whole) + 1):
        (tmp_path / FILE).write_bytes(whole[:length])
        with journal(tmp_path, "plan") as notes:
            assert notes.recall("round 1") in (None, [0.5])
            notes.note("round 2", length)
        with journal(tmp_path, "plan") as notes:
            assert notes.recall("round 2") == length


@pytest.mark.parametrize("content", [b"\xff\n", b"[1]\n", b"5\n", b'["a", 1]\n', b"[[], 2]\n", b"\n\n"])
def test_what_is_no_journal_is_not_taken_for_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with journal(tmp_path, "plan") as notes:
        assert notes.recall("a") is None


def test_two_processes_cannot_measure_into_one_folder(tmp_path: Path) -> None:
    with (
        journal(tmp_path, "plan"),
        pytest.raises(CompressError, match="Another process is measuring"),
        journal(tmp_path, "plan"),
    ):
        pass


def test_it_is_gone_when_all_is_saved(tmp_path: Path) -> None:
    with journal(tmp_path, "plan") as notes:
        notes.remove()
    assert not list(tmp_path.iterdir())
