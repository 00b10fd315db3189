"""The packages that decide results are bound in pyproject.toml, and the versions that are tested lie within the bounds."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import compress

ROOT = Path(__file__).parents[1]
DECIDE_RESULTS = {
    *(
        "torch",
        "transformers",
        "tokenizers",
        "sentencepiece",
        "safetensors",
        "accelerate",
        "datasets",
        "peft",
        "bitsandbytes",
    ),
    *("onnx", "onnx-ir", "onnxscript", "onnxruntime", "onnxruntime-gpu", "gptqmodel", "optimum"),
    *("openvino", "nncf"),
    *("numpy", "scipy", "scikit-learn", "rouge-score", "sacrebleu"),
}


def requirements() -> dict[str, SpecifierSet]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    return {canonicalize_name(one.name): one.specifier for one in map(Requirement, lines)}


def pins(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    found = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in found}


def test_packages_that_decide_results_have_a_lower_and_an_upper_bound() -> None:
    wanted = requirements()
    assert wanted.keys() >= DECIDE_RESULTS
    for name in DECIDE_RESULTS:
        operators = {one.operator for one in wanted[name]}
        assert {">=", "<"} <= operators, f"{name}{wanted[name]}"


def test_the_version_is_the_same_for_pip_and_for_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == compress.__version__


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-gptq.txt"])
def test_the_versions_that_are_tested_lie_within_the_bounds(file: str) -> None:
    pinned = pins(file)
    assert "transformers" in pinned
    for name, bounds in requirements().items():
        if name in pinned:
            assert pinned[name] in bounds, f"{name} {pinned[name]} is not {bounds}"


def test_the_constraints_of_the_gptq_extra_differ_only_where_it_must() -> None:
    """Both environments compute the same but for what GPTQModel pins."""
    ours, of_gptq = pins("constraints.txt"), pins("constraints-gptq.txt")
    assert of_gptq["numpy"] == "2.2.6"  # GPTQModel 7.6 asks for no other
    assert {name for name in ours.keys() & of_gptq.keys() if ours[name] != of_gptq[name]} <= {
        "numpy",
        "scipy",
        "pandas",
    }
