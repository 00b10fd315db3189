"""A technique's Python function has the settings in its signature and docstring, and takes what Python callers have at hand."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import compress
from compress.core import catalogue
from compress.core.artifact import Artifact
from compress.core.headings import grouped
from compress.techniques import functions
from compress.techniques.request import Request, written
from tests.techniques import signatures

TECHNIQUES = catalogue.names("techniques")


@pytest.mark.parametrize("name", TECHNIQUES)
def test_the_signature_and_the_docstring_have_every_setting(name: str) -> None:
    technique = catalogue.find("techniques", name)
    function = functions.function(name)
    parameters = inspect.signature(function).parameters
    assert [*parameters][:2] == ["model", "out"]
    shown = [name for names in grouped(technique.settings).values() for name in names]
    assert [*parameters] == ["model", "out", *functions.SHARED, *shown]
    documented = re.findall(r"^    (\w+): \S", function.__doc__ or "", re.MULTILINE)
    assert {*parameters} <= {*documented}
    assert not re.search(r"(?<![\w-])--\w", function.__doc__ or "")  # options are the command line's


def test_defaults_stand_as_a_user_writes_them() -> None:
    parameters = inspect.signature(compress.distill).parameters
    assert parameters["layers"].default is None
    assert parameters["alpha"].default == 0.5
    assert parameters["alpha"].annotation == float | str
    assert parameters["layers"].annotation == int | Sequence[int] | None


def test_where_a_setting_names_a_model_or_a_file_a_path_will_do() -> None:
    parameters = inspect.signature(compress.distill).parameters
    assert parameters["teachers"].annotation == Sequence[str | Path | Artifact]
    assert parameters["student"].annotation == str | Path | None
    assert parameters["layer_map"].annotation is str


def test_the_types_for_checkers_and_editors_are_those_of_the_settings() -> None:
    """A technique that is not in the file yet is a function of anything; `make format` writes it in."""
    known, made = (dict(re.findall(r"^def (\w+)\((.*?)\n(?=def|\Z)", text, re.M | re.S)) for text in _stubs())
    assert {"import_", "distill"} <= known.keys()
    assert {name: made.get(name) for name in known} == known, (
        "run `make format`, or python -m tests.techniques.signatures"
    )


def _stubs() -> tuple[str, str]:
    return f"{signatures.FILE.read_text(encoding='utf-8')}\n", f"{signatures.stub()}\n"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"layrs": 2}, r"Unknown setting 'layrs' in compress\.distill\(\)\. Did you mean 'layers'\? There are: "),
        ({"layers": 2, "taks": "sst2"}, r"Unknown setting 'taks' in compress\.distill\(\)\. Did you mean 'task'\?"),
        ({"layers": "many"}, r"'layers' is 'many' in compress\.distill\(\): write a number of layers"),
        ({"layers": 2, "lr_scheduler_type": "liner"}, r"Did you mean 'linear'\?"),
        ({}, r"In compress\.distill\(\): define the student with either"),
    ],
)
def test_a_mistake_is_told_as_everywhere(settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(compress.CompressError, match=expected):
        compress.distill("runs/teacher", "runs/student", **settings)


def test_a_python_value_is_written_as_in_yaml(tmp_path: Path) -> None:
    artifact = Artifact(tmp_path, {"name": "x", "weights": "0"}, None)
    given = {"a": Path("b/c"), "d": (artifact, np.int64(3)), "e": np.float32(0.5), "f": True, "g": None}
    assert written(given) == {"a": "b/c", "d": [str(tmp_path), 3], "e": 0.5, "f": True, "g": None}
    assert type(written(np.int64(3))) is int


def test_an_artifact_that_a_setting_names_is_the_one_that_was_given(make_model: Any, tmp_path: Path) -> None:
    source, other = (compress.open(make_model(name=name)) for name in ("one", "two"))
    told = Artifact(other.folder, {**other.origin, "model": "org/two"}, None)  # as it came from the hub
    technique = catalogue.find("techniques", "distill")
    settings = {"layers": 2, "teachers": [told]}
    asked = Request.read(technique, source, tmp_path / "out", settings, "here", task={"name": "sst2"}, data=tmp_path)
    assert asked.source is source
    assert asked.inputs["teachers.0"] is told
    assert asked.task is not None
    assert asked.task.description == {"name": "sst2", "data": str(tmp_path)}


def test_a_function_is_heard_where_logging_is_as_python_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with pytest.raises(compress.CompressError, match="does not exist"):
        compress.export("./no-such-model", tmp_path / "out")
    assert logging.getLogger("compress").isEnabledFor(logging.INFO)
    assert logging.getLogger("compress").handlers
