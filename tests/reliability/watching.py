"""What a call does beside its answer: the time it takes, and the places where it writes."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError

SECONDS, WORK_SECONDS = 2.0, 30.0
"""Of this process's own time, since what else the machine does must not fail a test: to refuse an input, and to do the work
where a changed input is still a right one (a report's bootstrap takes some seconds)."""
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")
"""Controls, line ends, bidirectional and invisible signs: a message holds none."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_written: list[str] | None = None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _written is None:
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, str | bytes) and isinstance(flags, int) and flags & WRITING:
            _written.append(os.fsdecode(path))
    elif event == "os.truncate":
        _written.append(_path(arguments[0], -1))
    elif event in {"os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"}:
        _written.append(_path(arguments[0], arguments[-1]))
    elif event in {"os.rename", "os.link"}:
        _written.extend(_path(*one) for one in zip(arguments[:2], arguments[2:], strict=True))
    elif event == "os.symlink":
        _written.append(_path(arguments[1], arguments[2]))
    elif event in {"os.system", "os.exec", "subprocess.Popen", "socket.connect"}:
        _written.append(f"{event} {arguments[0]!r}")


def _path(path: Any, directory: Any) -> str:
    """A path of an event; `directory` is the open directory that it is relative to, -1 for the current one."""
    if not isinstance(path, str | bytes):
        return ""  # an open file: its opening was seen
    if isinstance(directory, int) and directory >= 0:
        return str(Path(f"/proc/self/fd/{directory}").readlink() / os.fsdecode(path))
    return os.fsdecode(path)


sys.addaudithook(_audit)


@contextmanager
def writes_only_in(*folders: Path) -> Iterator[None]:
    """Fails where the block writes, renames or removes anything outside these folders, or starts a program."""
    global _written
    _written = found = []
    try:
        yield
    finally:
        _written = None
    allowed = [*(os.path.realpath(folder) for folder in folders), os.devnull]
    outside = [
        path
        for path in found
        if path
        and not any(os.path.realpath(path) == one or os.path.realpath(path).startswith(one + "/") for one in allowed)
    ]
    assert not outside, f"written outside of {allowed}: {outside[:5]}"


def refused_or_done(call: Callable[[], Any], *folders: Path) -> str | None:
    """Whether a call does its work or refuses in words: the message, or None.

    Anything but a CompressError comes through; so does a refusal that is no single line of at most 500 characters as
    it is shown or that takes more than two seconds, and what is written outside the folders.
    """
    from compress.core.printable import message as as_shown

    began = time.process_time()
    message = None
    with writes_only_in(*folders):
        try:
            call()
        except CompressError as error:
            message = as_shown(str(error))
    taken = time.process_time() - began
    assert taken < (WORK_SECONDS if message is None else SECONDS), f"took {taken:.1f} s: {message}"
    if message is not None:
        assert message.strip(), "an empty message"
        assert len(message) <= 500, f"{len(message)} characters"
        assert not UNSEEN.search(message), repr(message)
    return message
