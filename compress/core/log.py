"""Logging: one line per message on stderr, each warning once."""

from __future__ import annotations

import logging
import sys

from compress.core import distributed
from compress.core.notebook import in_notebook
from compress.core.printable import message

logger = logging.getLogger("compress")


def to_stderr() -> None:
    """Messages of the command line go to stderr, from INFO on."""
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_OneLine("%(message)s"))
        handler.addFilter(_Once())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # of each product's type, of a kernel to download
        logger.propagate = False


def heard() -> None:
    """Messages of Python functions go to stderr too, unless the program has configured logging.

    A level or a handler of the logger `compress` is left as it is, and so are the root logger's handlers, but in a notebook:
    some of these set the root logger up before anybody could.
    """
    said = logger.handlers or logger.level != logging.NOTSET
    if not said and (in_notebook() or not logging.getLogger().handlers):
        to_stderr()
    settle_processes()


def settle_processes() -> None:
    """Of several processes that train together, only the first one logs what all of them do.

    Raises:
        CompressError: see `compress.core.distributed.settle`.
    """
    distributed.settle()
    if not distributed.is_main_process():
        logger.setLevel(logging.WARNING)


class _OneLine(logging.Formatter):
    """Escapes messages, since they quote names, labels and texts from outside."""

    def format(self, record: logging.LogRecord) -> str:
        return message(super().format(record))


class _Once(logging.Filter):
    """Shows each warning once: a command may read a split several times, and warns each time."""

    def __init__(self) -> None:
        super().__init__()
        self.told: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        again = record.levelno >= logging.WARNING and text in self.told
        self.told.add(text)
        return not again
