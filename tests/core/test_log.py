"""What a Python program hears of what is done, without having asked, and how it asks for less."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from compress.core import log, progress


@contextmanager
def nobody_listens() -> Iterator[None]:
    """As in a plain script: pytest's own handlers, which it adds for each test, are set aside."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger(), "handlers", [])
        yield


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a kernel runs the program."""
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object())))


def test_a_plain_script_hears_what_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with nobody_listens():
        log.heard()
    progress.say("Exporting.")
    assert capsys.readouterr().err == "Exporting.\n"


def test_a_script_that_set_the_level_hears_no_more_than_that(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("compress").setLevel(logging.WARNING)
    with nobody_listens():
        log.heard()
    progress.say("Exporting.")
    progress.warn("3 rows are empty.")
    assert caplog.messages == ["3 rows are empty."]


def test_a_program_with_logging_of_its_own_keeps_it(caplog: pytest.LogCaptureFixture) -> None:
    log.heard()
    progress.warn("3 rows are empty.")
    assert caplog.messages == ["3 rows are empty."]
    assert not logging.getLogger("compress").handlers


def test_a_notebook_hears_whatever_set_up_its_root_logger(notebook: None, capsys: pytest.CaptureFixture[str]) -> None:
    log.heard()
    progress.say("Exporting.")
    assert capsys.readouterr().err == "Exporting.\n"


def test_a_notebook_shows_a_bar(notebook: None, capsys: pytest.CaptureFixture[str]) -> None:
    log.heard()
    with progress.bar("Distilling", 4, done=1) as bar:
        time.sleep(0.11)  # tqdm draws no more often
        bar.advance(3, "loss 0.5")
    shown = capsys.readouterr().err
    assert "Distilling" in shown
    assert "4/4" in shown
    assert "loss 0.5" in shown


def test_a_silenced_notebook_shows_none(notebook: None, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("compress").setLevel(logging.WARNING)
    log.heard()
    with progress.bar("Distilling", 4) as bar:
        bar.advance(4)
    assert capsys.readouterr().err == ""
