"""The code of a card runs, and opens the model with the options it was measured with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compress.core.measurement import Measurements
from compress.report.comparison import compare
from compress.report.page.serving import serving
from tests.report.made_up import USUAL, MakeRun
from tests.report.made_up_generative import decoders, summarizers


def code_of(measurements: Measurements, name: str, **manifest: Any) -> str:
    """What the card of an artifact says, with some of its manifest replaced."""
    artifacts = [
        replace(one, manifest={**one.manifest, **manifest}) if one.name == name else one
        for one in measurements.artifacts
    ]
    comparison = compare(replace(measurements, artifacts=tuple(artifacts)))
    return serving(comparison, next(row for row in comparison.rows if row.name == name)).code


def test_a_classifiers_graph_is_opened_by_plain_onnx_runtime(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnx import helper

    value = [helper.make_tensor_value_info(name, 1, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", value[:1], value[1:])
    folder = tmp_path / "runs" / "int8-dynamic"
    folder.mkdir(parents=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    monkeypatch.chdir(tmp_path)
    run = make_run(USUAL[1:2])
    code = code_of(run, "int8-dynamic", format="onnx", parts={"model": "model.onnx"})
    found: dict[str, Any] = {}
    exec(code, found)
    options = found["model"].get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    assert found["model"].get_providers() == ["CPUExecutionProvider"]
    assert 'disabled_optimizers=["SkipLayerNormFusion"]' in code


def test_options_that_the_suite_recorded_are_those_of_the_code(make_run: MakeRun) -> None:
    run = make_run(USUAL[1:2])
    recorded = {"disabled_optimizers": [], "optimization_level": "basic", "config": {"session.x": "1"}}
    run = replace(run, suite={**run.suite, "session_options": {"ours": recorded}})
    code = code_of(run, "int8-dynamic", format="onnx", parts={"model": "model.onnx"})
    assert "GraphOptimizationLevel.ORT_ENABLE_BASIC" in code
    assert 'add_session_config_entry("session.x", "1")' in code
    assert "disabled_optimizers" not in code


def test_a_torch_model_is_loaded_with_its_threads(make_run: MakeRun) -> None:
    code = code_of(make_run(USUAL[:1]), "fp32-torch", format="torch")
    assert code.splitlines() == [
        "import compress",
        'model = compress.load("runs/fp32-torch", threads=2)',
        'answer = model("a text")',
    ]


def test_a_model_for_pairs_is_called_with_a_pair(make_run: MakeRun) -> None:
    run = make_run(USUAL[:1])
    run = replace(run, task={**run.task, "text_columns": ["one", "other"]})
    assert code_of(run, "fp32-torch", format="torch").endswith('model(("a text", "its pair"))')


@pytest.mark.parametrize("run", [summarizers(), decoders()], ids=["summarizer", "decoder"])
def test_a_model_that_generates_is_loaded_by_compress_even_as_onnx(run: Measurements) -> None:
    code = code_of(run, "int8", format="onnx", parts={"model": "model.onnx"})
    assert "compress.load(" in code
    assert "threads=2" in code
    assert "onnxruntime" not in code


def test_the_search_of_the_scored_texts_is_that_of_the_code() -> None:
    run = summarizers()
    scored = [
        replace(one, condition={**one.condition, "beams": 4, "max_new_tokens": 60}) if one.name == "rouge_l" else one
        for one in run.measurements
    ]
    assert "beams=4, new_tokens=60" in code_of(replace(run, measurements=tuple(scored)), "int8", format="onnx")


def test_names_with_quotes_stay_text(make_run: MakeRun) -> None:
    run = make_run(USUAL[:1])
    artifacts = [replace(one, folder='runs/a"b') for one in run.artifacts]
    code = code_of(replace(run, artifacts=tuple(artifacts)), "fp32-torch", format="torch")
    compile(code, "card", "exec")
    assert '"runs/a\\"b"' in code
