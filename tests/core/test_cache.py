"""The cache: an entry is made once, is there whole or not at all, and is made again where it is damaged."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from compress.core.cache import MARK, entry, making, opened
from compress.core.errors import CompressError

SIDE_BY_SIDE = """
import sys, time
from pathlib import Path
from compress.core.cache import entry

def make(folder):
    with open(sys.argv[2], "a") as calls:
        calls.write("made\\n")
    for name in ("a.bin", "b.bin"):
        with (folder / name).open("wb") as stream:
            for part in range(20):
                stream.write(bytes([part]) * 1000)
                time.sleep(0.005)
    return {"rows": 3}

found = entry(Path(sys.argv[1]), make)
print(found.facts["rows"], sum(len((found.folder / name).read_bytes()) for name in ("a.bin", "b.bin")))
"""
KILLED = """
import os, signal, sys
from pathlib import Path
from compress.core.cache import entry

def make(folder):
    (folder / "a.bin").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)

entry(Path(sys.argv[1]), make)
"""


class Maker:
    """Writes two files, and counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> Mapping[str, Any]:
        self.calls += 1
        (folder / "values.bin").write_bytes(bytes(range(256)))
        (folder / "more").mkdir()
        (folder / "more" / "told.txt").write_text("told")
        return {"seconds": 1.5}


@pytest.fixture
def make() -> Maker:
    return Maker()


def test_an_entry_is_made_once_and_opens_with_its_facts(tmp_path: Path, make: Maker) -> None:
    first = entry(tmp_path / "kind" / "key", make)
    again = entry(tmp_path / "kind" / "key", make)
    assert make.calls == 1
    assert first == again
    assert again.facts == {"seconds": 1.5}
    assert (again.folder / "more" / "told.txt").read_text() == "told"
    assert [one.name for one in (tmp_path / "kind").iterdir()] == ["key"]  # no lock and no work folder stays


@pytest.mark.parametrize("name", ["values.bin", "more/told.txt", MARK])
@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "removed"])
def test_a_damaged_entry_is_made_again_and_this_is_said(
    name: str, damage: str, tmp_path: Path, make: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    file = entry(tmp_path / "key", make).folder / name
    content = file.read_bytes()
    middle = len(content) // 2
    damaged = {
        "cut": content[:-1],
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "emptied": b"",
    }
    if damage == "removed":
        file.unlink()
    else:
        file.write_bytes(damaged[damage])
    assert opened(tmp_path / "key") is None
    with caplog.at_level(logging.WARNING, "compress"):
        found = entry(tmp_path / "key", make)
    assert make.calls == 2
    assert caplog.text.count("is damaged, so it is made again") == 1
    assert (found.folder / name).read_bytes() == content
    assert entry(tmp_path / "key", make) == found
    assert make.calls == 2


def test_processes_side_by_side_make_it_once_and_all_find_it_whole(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    command = [sys.executable, "-c", SIDE_BY_SIDE, str(tmp_path / "cache" / "key"), str(calls)]
    racing = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [one.communicate(timeout=60)[0].strip() for one in racing]
    assert said == ["3 40000"] * 3
    assert calls.read_text() == "made\n"


def test_threads_that_want_the_same_entry_get_it_made_once(tmp_path: Path, make: Maker) -> None:
    def slow(folder: Path) -> Mapping[str, Any]:
        time.sleep(0.05)
        return make(folder)

    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(entry(tmp_path / "key", slow))) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert make.calls == 1
    assert found == [found[0]] * 4


def test_what_a_killed_process_left_is_never_read(tmp_path: Path, make: Maker) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "key")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert opened(tmp_path / "key") is None
    found = entry(tmp_path / "key", make)
    assert make.calls == 1
    assert not (found.folder / "a.bin").exists()
    assert [one.name for one in tmp_path.iterdir()] == ["key"]


def test_a_failure_leaves_nothing_and_the_next_one_starts_afresh(tmp_path: Path, make: Maker) -> None:
    def fails(folder: Path) -> None:
        (folder / "half.bin").write_bytes(b"half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        entry(tmp_path / "key", fails)
    assert not list(tmp_path.iterdir())
    assert entry(tmp_path / "key", make).facts == {"seconds": 1.5}


def test_work_that_may_be_resumed_is_found_by_the_next_one(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), making(tmp_path / "key", resumes=True) as work:
        (work.folder / "first").write_text("done")
        raise KeyboardInterrupt
    assert opened(tmp_path / "key") is None
    with making(tmp_path / "key", resumes=True) as work:
        assert (work.folder / "first").read_text() == "done"
    assert opened(tmp_path / "key") is not None


def test_equal_content_has_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        entry(tmp_path / name, Maker())
    files = [
        {file.name: file.read_bytes() for file in (tmp_path / name).rglob("*") if file.is_file()}
        for name in ("one", "two")
    ]
    assert files[0] == files[1]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, make: Maker) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CompressError, match=r"The cache cannot be written \(.*file.*choose another place"):
        entry(tmp_path / "file" / "key", make)
