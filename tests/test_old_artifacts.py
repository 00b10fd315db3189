"""Artifacts made by older code open, answer as they did then, and are a parent of new ones.

`fixtures/old_artifacts` was made by `fixtures/make_old_artifacts.py`; `expected.json` in it holds the answers of that time.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from tests.characterization.product import Artifact, CompressError, run
from tests.fixtures.make_old_artifacts import PLANS

OLD = Path(__file__).parent / "fixtures" / "old_artifacts"
EXPECTED: dict[str, dict[str, Any]] = json.loads((OLD / "expected.json").read_text(encoding="utf-8"))
TOLERANCE = 1e-4
"""Of a probability or a score: other versions of the runtimes add in another order."""
WITHOUT_VNNI = 0.05
"""The same of int8 on an x86 processor without VNNI, whose products saturate at 16 bits: the answers are not those of the
machine that recorded them. https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html"""
NAMES = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            "bitsandbytes" in name and importlib.util.find_spec("bitsandbytes") is None,
            reason="the extra `bitsandbytes` is not installed",
        ),
    )
    for name in EXPECTED
]
WITH_PARENT = [name for name in EXPECTED if PLANS[name.split("/")[0]][name.split("/")[1]][0] != "source"]
"""Those whose parent is kept as well."""
PRUNE = ("prune", "--method", "magnitude", "--sparsity", "0.3")
QUANTIZE = ("quantize", "--precision", "int8", "--mode", "dynamic")


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the old artifacts and their data: what is made of them lies beside them."""
    return Path(shutil.copytree(OLD, tmp_path_factory.mktemp("old") / "runs"))


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return found


def saturates() -> bool:
    """Whether int8 products of this processor saturate."""
    processor = Path("/proc/cpuinfo")
    known = processor.read_text(encoding="utf-8") if processor.is_file() else ""
    return "avx2" in known and "vnni" not in known


def as_recorded(answers: list[dict[str, Any]], precision: str) -> list[dict[str, Any]]:
    """The answers, with numbers that are compared within the tolerance."""
    is_rough = precision == "int8" and saturates()
    numbers, words = ("probabilities", "score"), ("label", "output") if is_rough else ()
    tolerance = WITHOUT_VNNI if is_rough else TOLERANCE
    return [
        {
            **one,
            **{key: near(one[key], tolerance) for key in numbers if key in one},
            **{key: ANY for key in words if key in one},
        }
        for one in answers
    ]


def near(value: Any, tolerance: float) -> Any:
    return pytest.approx(value, abs=tolerance)


def test_each_technique_and_kind_of_model_has_its_old_artifact() -> None:
    made = {manifest(OLD / name)["steps"][-1]["technique"] for name in EXPECTED}
    assert made == {"import", "finetune", "distill", "prune", "quantize", "qat", "export"}
    assert {name.split("/")[0] for name in EXPECTED} == {"encoder", "regression", "seq2seq", "decoder"}
    assert {file.parent.relative_to(OLD).as_posix() for file in OLD.rglob("manifest.json")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_old_artifact_opens_with_its_files_and_fingerprint_as_recorded(name: str) -> None:
    artifact = Artifact.open(OLD / name, verify=True)
    assert artifact.fingerprint() == manifest(OLD / name)["fingerprint"]
    assert artifact.unlisted() == []


@pytest.mark.parametrize("name", NAMES)
def test_an_old_artifact_answers_as_it_did(name: str, old: Path) -> None:
    asked, answers = EXPECTED[name]["asked"], EXPECTED[name]["answers"]
    found = [json.loads(line) for line in run("predict", str(old / name), "--json", *asked).splitlines()]
    assert found == as_recorded(answers, manifest(old / name)["precision"])


@pytest.mark.parametrize("name", NAMES)
def test_an_old_artifact_is_a_parent_or_is_refused_for_its_integers(name: str, old: Path) -> None:
    """Torch weights are pruned, a graph in fp32 is quantized; what is in fewer bits already is refused as it was."""
    parent, child = manifest(old / name), old / f"{name}-child"
    technique = PRUNE if parent["format"] == "torch" else QUANTIZE
    command = (technique[0], str(old / name), "-o", str(child), *technique[1:])
    if parent["precision"] not in ("fp32", "bf16") or (parent["format"], parent["precision"]) == ("onnx", "fp16"):
        with pytest.raises(CompressError, match=parent["precision"]):
            run(*command)
        return
    run(*command)
    made = manifest(child)
    assert made["steps"][:-1] == parent["steps"]
    assert made["ancestors"][-1]["fingerprint"] == parent["fingerprint"]
    assert len(run("predict", str(child), "--json", *EXPECTED[name]["asked"]).splitlines()) == len(
        EXPECTED[name]["answers"]
    )


@pytest.mark.parametrize("name", WITH_PARENT)
def test_the_command_that_made_an_old_artifact_finds_it_finished(name: str, old: Path) -> None:
    """Its fingerprint is the one of today, though settings have been renamed since."""
    kind, short = name.split("/")
    parent, (technique, *options) = PLANS[kind][short]
    told = run(technique, str(old / kind / parent), "-o", str(old / name), *options, "--dry-run")
    assert told.splitlines()[0].endswith("finished, reused")


def test_old_weights_with_pruned_heads_are_exported(old: Path) -> None:
    """They have widths of their own, which the manifest tells."""
    name = "encoder/pruned-heads"
    asked, answers = EXPECTED[name]["asked"], EXPECTED[name]["answers"]
    run("export", str(old / name), "-o", str(old / f"{name}-exported"))
    found = run("predict", str(old / f"{name}-exported"), "--json", *asked).splitlines()
    assert [json.loads(line) for line in found] == as_recorded(answers, "fp32")


def test_the_story_of_an_old_artifact_is_told(old: Path) -> None:
    told = run("inspect", str(old / "encoder" / "int8-static"))
    for word in ("import", "finetune", "distill", "export", "quantize", "warmup_ratio=0.06", "outlier_layers=dynamic"):
        assert word in told
