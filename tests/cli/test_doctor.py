"""The doctor lists every runtime with its version and says whether it can run here, and why not."""

from __future__ import annotations

from typing import Any

import pytest

from compress.cli import doctor
from compress.core import catalogue
from compress.runtimes.runtime import Runtime


def a_runtime(name: str, package: str, module: str) -> Runtime:
    return Runtime(
        name=name,
        formats=frozenset({"onnx"}),
        packages=(package,),
        imports=(module,),
        open=lambda artifact, serving: None,  # type: ignore[arg-type, return-value]  # never opened
        why_not=lambda artifact, device: None,
    )


@pytest.fixture(autouse=True)
def _three_runtimes(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {
        "works": a_runtime("works", "numpy", "numpy"),
        "absent": a_runtime("absent", "no-such-package", "no_such_module"),
        "broken": a_runtime("broken", "numpy", "no_such_module"),
    }
    monkeypatch.setattr(catalogue, "names", lambda kind: tuple(made))
    monkeypatch.setattr(catalogue, "find", lambda kind, name: made[name])


def test_each_runtime_has_its_version_and_says_whether_it_can_run_here() -> None:
    import numpy as np

    found = doctor.runtimes()
    assert {name: one["works"] for name, one in found.items()} == {"works": True, "absent": False, "broken": False}
    assert (found["works"]["version"], found["absent"]["version"]) == (np.__version__, None)
    assert found["works"]["why"] == "opens onnx artifacts"
    assert found["absent"]["why"] == "pip install no-such-package"
    assert "no_such_module cannot be imported here (ModuleNotFoundError" in found["broken"]["why"]


def test_a_reader_sees_them_in_a_section_of_their_own() -> None:
    told: dict[str, Any] = {"machine": {}, "providers": [], "packages": {}, "works": {}, "runtimes": doctor.runtimes()}
    lines = doctor.render(told).splitlines()
    section = lines[lines.index("Runtimes") + 1 :]
    assert [line.split()[:2] for line in section[:3]] == [["yes", "works"], ["no", "absent:"], ["no", "broken"]]
