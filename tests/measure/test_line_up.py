"""Who takes part in a benchmark, in which runtimes, and what a suite says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compress.core import catalogue
from compress.core.artifact import Artifact, Step
from compress.core.errors import CompressError
from compress.core.measurement import Measured, Measurement, Measurements
from compress.measure import former
from compress.measure.benchmark import _definitions
from compress.measure.line_up import line_up
from compress.measure.plan import Entry, Plan
from compress.measure.suite import Suite, read_suite
from compress.runtimes.runtime import Runtime

ONNX = catalogue.find("runtimes", "onnx_runtime")
PYTORCH = catalogue.find("runtimes", "pytorch")
OTHER: Runtime = replace(
    ONNX, name="other", options={"plain": {"level": 0}, "quick": {"level": 3}}, served_with="plain"
)
ROOT = Artifact(Path("root"), {"weights": "w"}, None)
EXPORT = ROOT.after(Step("export", {}), Path("export"), format="onnx")
INT8 = ROOT.after(Step("quantize", {"precision": "int8"}), Path("int8"), format="onnx", precision="int8")
STUDENT = ROOT.after(Step("distill", {}), Path("student"))
TIMED = {"conditions": [{"batch": 1, "length": 8, "calls": 1}]}


def lined_up(*asked: Runtime) -> list[Entry]:
    return line_up([("int8", INT8), ("student", STUDENT)], ROOT, EXPORT, asked)


def test_without_a_runtime_asked_for_each_artifact_is_measured_in_the_default_of_its_format() -> None:
    assert [(one.name, one.runtime.name, one.is_first, one.refused) for one in lined_up()] == [
        ("fp32-torch", "pytorch", True, None),
        ("fp32-onnx", "onnx_runtime", True, None),
        ("int8", "onnx_runtime", True, None),
        ("student", "pytorch", True, None),
    ]


def test_an_artifact_is_measured_once_in_each_runtime_that_opens_it_and_a_baseline_in_its_default_too() -> None:
    found = lined_up(OTHER, ONNX)
    assert [(one.name, one.of, one.is_first) for one in found[:-1]] == [
        ("fp32-torch (pytorch)", "fp32-torch", True),
        ("fp32-onnx (onnx_runtime)", "fp32-onnx", True),
        ("fp32-onnx (other)", "fp32-onnx", False),
        ("int8 (other)", "int8", True),
        ("int8 (onnx_runtime)", "int8", False),
    ]
    assert [one.name for one in lined_up(OTHER)] == [
        *("fp32-torch (pytorch)", "fp32-onnx (onnx_runtime)", "fp32-onnx (other)", "int8 (other)", "student (other)")
    ]
    assert [one.measured().name for one in found if one.is_first] == ["fp32-torch", "fp32-onnx", "int8", "student"]
    assert [one.name for one in found if one.is_root] == ["fp32-torch (pytorch)"]


def test_an_artifact_that_no_asked_runtime_opens_says_why() -> None:
    student = lined_up(OTHER)[-1]
    assert student.of == "student"
    assert "other opens onnx artifacts, and this one is torch: ask for pytorch, or export it" in str(student.refused)


def test_each_runtime_takes_the_options_that_it_knows_else_what_it_is_served_with() -> None:
    plan = Plan(conditions=(), threads=1, options=("ours", "quick", "default"))
    assert plan.options_for(ONNX) == ("ours", "default")
    assert plan.options_for(OTHER) == ("quick",)
    assert plan.options_for(PYTORCH) == ("default",)
    assert replace(plan, options=("ours",)).options_for(OTHER) == ("plain",)
    assert replace(plan, options=("quick",)).options_for(ONNX) == ("ours",)


def test_what_options_stand_for_is_recorded_with_the_version_of_each_runtime_asked_for() -> None:
    ours = ONNX.options["ours"]
    assert _definitions(("ours",), ()) == {"session_options": {"ours": ours}}
    assert _definitions(("ours", "quick"), (OTHER,)) == {
        "session_options": {"ours": ours},
        "runtimes": {"other": {"version": ONNX.version(), "options": {"quick": {"level": 3}}}},
    }


def test_a_suite_that_names_no_runtime_is_known_by_the_hash_that_it_had() -> None:
    suite = read_suite("quick")
    assert "runtimes" not in suite.to_json()
    assert read_suite("quick", ["onnx_runtime"]).to_json() == {**suite.to_json(), "runtimes": ["onnx_runtime"]}


def test_a_mistake_in_a_suites_runtimes_or_options_is_named() -> None:
    with pytest.raises(CompressError, match="Unknown runtime 'onnx_runtme'. Did you mean 'onnx_runtime'"):
        read_suite("quick", ["onnx_runtme"])
    with pytest.raises(CompressError, match="the runtime pytorch is there twice"):
        read_suite("quick", ["pytorch", "pytorch"])
    with pytest.raises(CompressError, match="Unknown session options 'defualt'. Did you mean 'default'"):
        Suite.model_validate({**TIMED, "runtimes": ["pytorch"], "options": ["defualt"]})


def test_what_was_written_in_each_runtime_is_removed_with_the_measurements(tmp_path: Path) -> None:
    speeds = tuple(
        Measurement("abc", "latency_seconds", 0.3, "seconds", False, {"runtime": name}) for name in ("other", "pytorch")
    )
    Measurements({}, {}, {}, {}, (Measured("a", "abc", "runs/a", {}),), speeds).save(tmp_path)
    for name in ("a", "a (other)", "a (pytorch)", "mine"):
        file = former.output_file(tmp_path, name)
        file.parent.mkdir(exist_ok=True)
        file.write_text("{}")
    former.remove_outputs(tmp_path)
    assert [file.name for file in (tmp_path / former.OUTPUTS).iterdir()] == ["mine.jsonl"]
