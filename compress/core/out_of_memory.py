"""Recognizes the out-of-memory errors of all libraries, and reports them with the settings to lower."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from compress.core.errors import CompressError

CLASSES = {"MemoryError", "OutOfMemoryError", "ArrowMemoryError", "_ArrayMemoryError"}
"""Python's, torch's on a GPU, pyarrow's, numpy's; by name, since nothing is imported to look."""
WORDS = (
    "could not create a primitive",  # oneDNN, which torch's products run in
    "enforce fail at alloc_cpu.cpp",  # torch
    "can't allocate memory",  # torch's DefaultCPUAllocator
    "cannot allocate memory",  # the system
    "failed to allocate memory",  # ONNX Runtime
    "bad_alloc",
    "bad allocation",
    "unable to allocate",
    "cuda out of memory",
    "failed to map segment from shared object",  # of a library that is imported
)
LOWERED = ("batch_size", "max_length", "length", "beams", "calibration")
"""Settings that decide how much is held at once."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, says that there was no memory left."""
    for one in _chain(error):
        if type(one).__name__ in CLASSES or (isinstance(one, OSError) and one.errno == errno.ENOMEM):
            return True
        if isinstance(one, RuntimeError | ImportError) or type(one).__module__.startswith("onnxruntime"):
            text = str(one).lower()
            if any(words in text for words in WORDS):
                return True
    return False


def message(what: str, settings: Mapping[str, Any] | None = None) -> str:
    """One line that says what ran out of memory and which settings to lower.

    Args:
        what: what was going on, as in `quantize (step 'int8')`.
        settings: those of the step, of which the ones that decide the need are named with their values.
    """
    lower = [f"--{name.replace('_', '-')} ({settings[name]})" for name in LOWERED if settings and settings.get(name)]
    advice = f"Lower {' or '.join(lower)}" if lower else "Use a smaller model, or fewer and shorter texts"
    return f"{what} ran out of memory. {advice}, or use a machine with more of it."


@contextmanager
def named(what: str, settings: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Running out of memory inside it raises a CompressError that says which settings to lower."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error) and not isinstance(error, OutOfMemory):
            raise OutOfMemory(message(what, settings)) from error
        raise


class OutOfMemory(CompressError):  # noqa: N818 - it is a finding, and reads as one
    """There was not enough memory; the message names the step and what to lower."""


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__
