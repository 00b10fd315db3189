"""Fixtures: tiny models and tasks made in the test, a cache of its own, and markers that skip with a reason."""

from __future__ import annotations

import os

# Before torch is imported: the suite runs two workers on two cores, and threads that fight cost more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import gc
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.tiny import write_model, write_task

# How long a case takes says more of the machine than of the code.
settings.register_profile("without a deadline", deadline=None)
settings.load_profile("without a deadline")

pytest_plugins = ["tests.exported", "tests.planted", "tests.traced_once"]


_imported = 0
"""How many modules had been imported when the garbage collector was last told of them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need a GPU or a network are skipped, with the reason, where there is none."""
    for item in items:
        if "gpu" in item.keywords and not _has_gpu():
            item.add_marker(pytest.mark.skip(reason="no CUDA device here"))
        if "network" in item.keywords and os.environ.get("HF_HUB_OFFLINE") == "1":
            item.add_marker(pytest.mark.skip(reason="HF_HUB_OFFLINE is 1"))


def pytest_runtest_setup() -> None:
    """The garbage collector passes over what was imported: transformers has it run after each training, and to look through
    torch's and transformers' modules takes longer than a tiny model's training."""
    global _imported
    if len(sys.modules) > _imported:
        _imported = len(sys.modules)
        gc.freeze()


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def _plain_logging() -> None:
    """Each test starts with the library's own logging: the command line sets it up for a whole process.

    It is set before a test and not put back after it: a fixture of a module or a session runs commands too, before this.
    """
    logger = logging.getLogger("compress")
    logger.setLevel(logging.NOTSET)
    logger.propagate = True
    logger.handlers = []


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Path]:
    """`make_model("bert", name="teacher", labels=3)` gives a folder."""

    def make(family: str = "bert", name: str = "model", **changes: Any) -> Path:
        return write_model(tmp_path / name, family, **changes)

    return make


@pytest.fixture
def task(tmp_path: Path) -> dict[str, Any]:
    """The description of a little task with its own files."""
    return write_task(tmp_path / "data")


@pytest.fixture
def task_file(tmp_path: Path, task: dict[str, Any]) -> Path:
    """The same as a YAML file, for `--task`."""
    import yaml

    file = tmp_path / "moods.yaml"
    file.write_text(yaml.safe_dump(task))
    return file


@pytest.fixture
def real_data() -> Path:
    """The folder of real data and models."""
    folder = os.environ.get("COMPRESS_REAL_DATA")
    if not folder:
        pytest.skip("COMPRESS_REAL_DATA names no folder of real data")
    return Path(folder)
