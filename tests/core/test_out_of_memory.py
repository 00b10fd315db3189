"""Running out of memory is told by every library in other words, and by us in one line that says what to lower."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.core import out_of_memory
from compress.core.errors import CompressError
from compress.measure import worker


def _numpy() -> None:
    np.empty(1 << 60, np.uint8)


def _arrow() -> None:
    import pyarrow

    pyarrow.allocate_buffer(1 << 60)


def _torch() -> None:
    import torch

    torch.empty(1 << 60, dtype=torch.uint8)


def _cuda() -> None:
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def _says(kind: type[BaseException], *words: object) -> Callable[[], None]:
    def fail() -> None:
        raise kind(*words)

    return fail


FAILURES = {
    "python": _says(MemoryError),
    "numpy": _numpy,
    "pyarrow": _arrow,
    "torch": _torch,
    "a GPU": _cuda,
    "oneDNN": _says(RuntimeError, "could not create a primitive"),
    "ONNX Runtime": _says(RuntimeError, "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc"),
    "a library that is imported": _says(ImportError, "scipy.so: failed to map segment from shared object"),
    "the system": _says(OSError, errno.ENOMEM, "Cannot allocate memory"),
}


@pytest.mark.parametrize("fail", FAILURES.values(), ids=FAILURES.keys())
def test_each_library_running_out_of_memory_is_named_with_the_step(fail: Callable[[], None]) -> None:
    with pytest.raises(CompressError) as caught, out_of_memory.named("'int8' (quantize)", {"batch_size": 32}):
        fail()
    assert str(caught.value) == (
        "'int8' (quantize) ran out of memory. Lower --batch-size (32), or use a machine with more of it."
    )


def test_an_error_of_ours_that_hides_it_is_told_as_what_it_is() -> None:
    with pytest.raises(CompressError, match="'a' ran out of memory"), out_of_memory.named("'a'"):
        try:
            raise RuntimeError("std::bad_alloc")
        except RuntimeError as error:
            raise CompressError("model.onnx cannot be opened.") from error


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shape"), out_of_memory.named("'a'"):
        raise RuntimeError("shape '[3]' is invalid for input of size 4")


def test_a_step_that_runs_out_of_memory_names_itself(make_model: Callable[..., Path], tmp_path: Path) -> None:
    from compress.core import catalogue
    from compress.models.load import resolve_model
    from compress.techniques import apply as technique

    def fail(work: Any) -> Any:
        raise RuntimeError("could not create a primitive")

    export = catalogue.find("techniques", "export")
    broken = replace(export, run=fail)
    with pytest.raises(CompressError, match=r"'small' \(export\) ran out of memory"):
        technique.apply(broken, resolve_model(str(make_model("bert"))), export.settings(), tmp_path / "small")


def test_a_worker_gives_it_as_its_reason() -> None:
    assert worker._reason(MemoryError()).startswith("it ran out of memory: ")
