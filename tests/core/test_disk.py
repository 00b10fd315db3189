"""A full disk is told in one line, whichever library meets it; no file may grow beyond a few bytes in these tests."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.core.artifact import write_whole
from compress.core.disk import allocated, full_disk_errors, why_full
from compress.core.errors import CompressError
from tests.disk import files_no_larger_than, tiny_disk


def _arrow(file: Path) -> None:
    from datasets import Features, Value
    from datasets.arrow_writer import ArrowWriter

    with ArrowWriter(features=Features({"text": Value("string")}), path=str(file)) as writer:
        for _ in range(100):
            writer.write({"text": "a" * 1000})
        writer.finalize()


def _onnx(file: Path) -> None:
    import onnx
    from onnx import helper, numpy_helper

    weight = numpy_helper.from_array(np.ones((100, 100), np.float32), "weight")
    onnx.save(helper.make_model(helper.make_graph([], "graph", [], [], initializer=[weight])), str(file))


def _safetensors(file: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.ones(100, 100)}, file)


def _tokenizer(file: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    Tokenizer(WordLevel({f"word{number}": number for number in range(2000)}, "word0")).save(str(file))


WRITERS: dict[str, Callable[[Path], Any]] = {
    "text": lambda file: write_whole(file, "a" * 10_000),
    "numpy": lambda file: np.save(file, np.ones(10_000)),
    "numpy's zip": lambda file: np.savez(file, ones=np.ones(10_000)),
    "memory map": lambda file: allocated(file, np.float32, (100, 100)),
    "torch": lambda file: torch.save({"state": torch.ones(100, 100)}, file),
    "safetensors": _safetensors,
    "onnx": _onnx,
    "arrow": _arrow,
    "tokenizers": _tokenizer,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_ends_in_one_line(writer: str, tmp_path: Path) -> None:
    with (
        pytest.raises(CompressError, match=r"cannot be written \(.*\)\. Free some space") as told,
        files_no_larger_than(5000),
        full_disk_errors(tmp_path),
    ):
        WRITERS[writer](tmp_path / "file.npz")
    assert str(tmp_path) in str(told.value)
    assert "\n" not in str(told.value)
    WRITERS[writer](tmp_path / "file.npz")  # with room it works


def test_other_errors_stay_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(KeyError), full_disk_errors(tmp_path):
        raise KeyError("a")
    with pytest.raises(CompressError, match="^mine$"), full_disk_errors(tmp_path):
        raise CompressError("mine") from OSError(errno.ENOSPC, "No space left on device")
    assert why_full(OSError(errno.EACCES, "Permission denied")) is None
    assert why_full(RuntimeError("PytorchStreamReader failed reading zip archive")) is None


def test_a_map_takes_its_room_and_is_zeros(tmp_path: Path) -> None:
    array = allocated(tmp_path / "values.npy", np.float16, (3, 1000))
    assert not array.any()
    array[1] = 2
    array.flush()
    assert (tmp_path / "values.npy").stat().st_blocks * 512 >= 6000
    assert np.load(tmp_path / "values.npy").sum() == 2000


@pytest.mark.parametrize("writer", WRITERS)
def test_a_disk_that_is_really_full_is_told_too(writer: str, tmp_path: Path) -> None:
    with (
        tiny_disk(tmp_path / "disk", 8) as folder,
        pytest.raises(CompressError, match=r"cannot be written \(.*Free some space"),
        full_disk_errors(folder),
    ):
        WRITERS[writer](folder / "file.npz")


def test_a_copy_that_found_no_room_names_the_new_file(tmp_path: Path) -> None:
    import shutil

    source, target = tmp_path / "model", tmp_path / "copy"
    source.write_bytes(b"w" * 100_000)
    refused = pytest.raises(CompressError, match=f"^{target} cannot be written")
    with files_no_larger_than(10_000), refused, full_disk_errors(tmp_path):
        shutil.copyfile(source, target)
