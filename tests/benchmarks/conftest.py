"""The scripts of `benchmarks/` as modules."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

Scripts = dict[str, ModuleType]
ELSEWHERE = {"textbrewer_runner"}
"""Scripts that import what is installed beside `compress` only when they run."""


@pytest.fixture(scope="module")
def scripts(request: pytest.FixtureRequest) -> Scripts:
    """By name, those in the test module's `FOLDER`. They import one another by plain names, which are not left behind."""
    folder: Path = request.module.FOLDER
    names = sorted({file.stem for file in folder.glob("*.py")} - ELSEWHERE)
    others = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(folder))
    try:
        return {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(folder))
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(others)
