"""OpenVINO gives what ONNX Runtime gives of the same file, and says in one line what it cannot open."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.core import catalogue
from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.runtimes import choice, openvino_
from compress.runtimes.openvino_ import RUNTIME
from compress.runtimes.rows import predict_all
from compress.runtimes.runtime import Serving
from tests.runtimes.test_runtimes import sentences
from tests.tiny import write_model

installed = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="the extra `openvino` is not installed"
)
ROUNDING = 1e-4
"""Of fp32 sums in another order, in logits of about 1."""


def gap_to_onnx_runtime(artifact: Artifact, serving: Serving) -> float:
    """The greatest difference of two runtimes' logits, on rows of many lengths in padded batches."""
    rows = sentences()
    sessions = [one.opened(artifact, serving) for one in (RUNTIME, catalogue.find("runtimes", "onnx_runtime"))]
    ours, other = (predict_all(one, rows, 8)["logits"] for one in sessions)
    assert np.ptp(other[:, 0]) > 0.1, "the rows must differ, or their order could not be seen"
    return float(np.abs(ours - other).max())


@installed
@pytest.mark.parametrize("threads", [1, 2])
def test_it_gives_onnx_runtimes_logits_of_a_fused_graph(tiny_onnx: Artifact, threads: int) -> None:
    assert gap_to_onnx_runtime(tiny_onnx, Serving(threads=threads)) < ROUNDING


@installed
@pytest.mark.slow
@pytest.mark.parametrize("family", ["distilbert", "roberta", "albert", "deberta-v2", "modernbert"])
def test_it_gives_onnx_runtimes_logits_of_every_family(family: str, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    from compress.onnx.export import export

    folder = write_model(tmp_path / "model", family, initializer_range=0.3)
    export(AutoModelForSequenceClassification.from_pretrained(folder).eval(), tmp_path / "model.onnx")
    artifact = Artifact(tmp_path, {"weights": ""}, None, "onnx", {"model": "model.onnx"})
    assert gap_to_onnx_runtime(artifact, Serving()) < ROUNDING


@installed
def test_fp32_is_computed_in_fp32_where_the_processor_could_do_bf16(tiny_onnx: Artifact) -> None:
    """OpenVINO's own choice is bf16, which would change the answers."""
    compiled = RUNTIME.open(tiny_onnx, Serving(threads=1)).request.get_compiled_model()  # type: ignore[attr-defined]  # its own
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert not compiled.get_property("ENABLE_CPU_PINNING")


@installed
def test_an_operator_that_it_does_not_know_is_named_with_the_file_in_one_line(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "length"])
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("QAttention", ["values", "values"], ["logits"], domain="com.microsoft"),
    ]
    domains = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph(nodes, "fused", [ids], [out])
    onnx.save(helper.make_model(graph, opset_imports=domains, ir_version=10), tmp_path / "model.onnx")
    artifact = Artifact(tmp_path, {"weights": ""}, None, "onnx", {"model": "model.onnx"})
    with pytest.raises(CompressError) as error:
        RUNTIME.opened(artifact, Serving())
    said = str(error.value)
    assert said.startswith("openvino (")
    assert "\n" not in said
    assert f"cannot open {tmp_path / 'model.onnx'}: " in said
    assert "com.microsoft.QAttention" in said
    assert "--runtime onnx_runtime" in said


@installed
def test_a_damaged_or_missing_file_is_named(tmp_path: Path) -> None:
    artifact = Artifact(tmp_path, {"weights": ""}, None, "onnx", {"model": "model.onnx"})
    with pytest.raises(CompressError, match="model.onnx does not exist"):
        RUNTIME.opened(artifact, Serving())
    (tmp_path / "model.onnx").write_bytes(b"\x08\x0a\x12\x04half")
    with pytest.raises(CompressError, match="cannot open .*model.onnx: "):
        RUNTIME.opened(artifact, Serving())
    with pytest.raises(CompressError, match="no graph called 'model'"):
        RUNTIME.opened(replace(artifact, parts={}), Serving())


@installed
def test_rows_that_the_graph_cannot_read_are_one_line(tiny_onnx: Artifact) -> None:
    session = RUNTIME.opened(tiny_onnx, Serving())
    ids = np.full((1, 3), 10**6, dtype=np.int64)[..., None]
    with pytest.raises(CompressError, match=r"model.onnx failed in OpenVINO on rows of \[1, 3, 1\]: ") as error:
        session.predict({"input_ids": ids, "attention_mask": np.ones_like(ids)})
    assert "\n" not in str(error.value)


@installed
def test_answers_of_one_call_stay_as_they_are_after_the_next(tiny_onnx: Artifact) -> None:
    session = RUNTIME.opened(tiny_onnx, Serving())
    rows = sentences(4)
    first = session.predict(rows.batch([0]))["logits"]
    before = first.copy()
    session.predict(rows.batch([1]))
    assert np.array_equal(first, before)


@installed
def test_serving_with_it_imports_neither_torch_nor_transformers() -> None:
    """The memory of a serving process is measured on one that imports just this."""
    code = (
        "import sys, importlib, compress.measure.worker;"
        "from compress.runtimes.openvino_ import RUNTIME;"
        "[importlib.import_module(one) for one in RUNTIME.imports];"
        "heavy = {'torch', 'transformers', 'nncf', 'pydantic', 'scipy', 'datasets'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_package_the_command_that_installs_it_is_given(
    tiny_onnx: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = r"pip install 'compress-transformers\[openvino\]'"
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(CompressError, match=line):
        RUNTIME.opened(tiny_onnx, Serving())
    monkeypatch.setattr("compress.runtimes.runtime.Runtime.version", lambda self: None)
    with pytest.raises(CompressError, match=line):
        choice.find("openvino")


def test_it_is_not_for_gpus(tiny_onnx: Artifact) -> None:
    assert "on the CPU" in str(openvino_.why_not(tiny_onnx, "cuda"))
    assert openvino_.why_not(tiny_onnx, "cpu") is None


@installed
def test_predict_names_the_same_labels_in_it(tiny_onnx: Artifact) -> None:
    from compress.runtimes.predict import predictions

    texts = ["a good film", "the plot was dull", "very lovely sound"]
    ours, usual = (list(predictions(tiny_onnx, texts, runtime=one)) for one in ("openvino", None))
    assert [one["label"] for one in ours] == [one["label"] for one in usual]
    for one, other in zip(ours, usual, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=ROUNDING)


@installed
@pytest.mark.slow
def test_a_benchmark_in_both_runtimes_has_a_row_for_each_with_the_same_answers(
    tiny_onnx: Artifact, tiny_task: dict[str, Any], tmp_path: Path
) -> None:
    from compress.measure import benchmark
    from compress.measure.suite import read_suite

    file = tmp_path / "mine.yaml"
    file.write_text("threads: 1\nrounds: 2\nrepeats: 0\nconditions: [{batch: 1, length: 8, calls: 2}]\n")
    suite = read_suite(str(file), ["onnx_runtime", "openvino"])
    found = benchmark.run([("graph", tiny_onnx)], suite, tmp_path / "out", cache=tmp_path / "cache", task=tiny_task)
    used = found.suite["runtimes"]["openvino"]
    assert (used["version"], used["options"]) == (RUNTIME.version(), {"default": dict(openvino_.PROPERTIES)})
    of_graph = [one for one in found.measurements if one.artifact == tiny_onnx.fingerprint()]
    accuracy = {one.condition["runtime"]: one.value for one in of_graph if one.name == "accuracy" and one.value}
    assert accuracy.keys() == {"onnx_runtime", "openvino"}
    assert len(set(accuracy.values())) == 1
    timed = {one.condition["runtime"] for one in of_graph if one.name == "latency_seconds" and one.value}
    assert timed == {"onnx_runtime", "openvino"}
