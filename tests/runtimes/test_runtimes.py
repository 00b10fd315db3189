"""Tests of both runtimes on one tiny model: they agree with transformers' own answer and with one another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.core import catalogue
from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.runtimes import onnx_runtime, pytorch
from compress.runtimes.rows import Rows, predict_all
from compress.runtimes.runtime import Runtime, Serving, declared, logits_of


def sentences(count: int = 37, seed: int = 0) -> Rows:
    """Random rows of 3 to 20 tokens, special tokens included."""
    draw = np.random.default_rng(seed)
    ids = [[2, *draw.integers(5, 35, draw.integers(1, 19)), 3] for _ in range(count)]
    return Rows.encode({"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids]}, pad_token_id=0)


def reference(artifact: Artifact, rows: Rows) -> Any:
    """Every row by itself through transformers, without padding."""
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(artifact.folder).eval()
    with torch.no_grad():
        return np.concatenate(
            [
                model(**{name: torch.from_numpy(value) for name, value in rows.batch([i]).items()}).logits.numpy()
                for i in range(len(rows))
            ]
        )


@pytest.fixture(params=["pytorch", "onnx_runtime"])
def served(request: pytest.FixtureRequest, tiny_torch: Artifact, tiny_onnx: Artifact) -> tuple[Runtime, Artifact]:
    """Each runtime with the artifact it opens."""
    runtime = catalogue.find("runtimes", request.param)
    return runtime, tiny_torch if "torch" in runtime.formats else tiny_onnx


def test_a_runtime_gives_the_logits_of_transformers_in_the_order_of_the_rows(
    served: tuple[Runtime, Artifact], tiny_torch: Artifact
) -> None:
    runtime, artifact = served
    rows = sentences()
    session = runtime.open(artifact, Serving(threads=1))
    expected = reference(tiny_torch, rows)
    assert np.ptp(expected[:, 0]) > 0.5, "the rows must differ, or their order could not be seen"
    for batch_size in (1, 8, 64):
        assert np.abs(predict_all(session, rows, batch_size)["logits"] - expected).max() < 1e-4


def test_a_session_ignores_what_the_model_does_not_declare(served: tuple[Runtime, Artifact]) -> None:
    runtime, artifact = served
    session = runtime.open(artifact, Serving())
    feeds = sentences().batch([0, 1])
    odd = {**feeds, "labels": np.zeros(2, dtype=np.int64), "position": np.zeros((2, 3), dtype=np.int64)}
    assert np.array_equal(logits_of(session.predict(odd)), logits_of(session.predict(feeds)))


def test_missing_segments_are_the_first_segment() -> None:
    feeds = {"input_ids": np.ones((2, 3), dtype=np.int64)}
    filled = declared(feeds, ("input_ids", "token_type_ids"), "The graph")
    assert filled["token_type_ids"].tolist() == [[0, 0, 0], [0, 0, 0]]


def test_a_missing_input_is_named() -> None:
    with pytest.raises(CompressError, match="needs the input 'attention_mask'"):
        declared({"input_ids": np.ones((1, 2))}, ("input_ids", "attention_mask"), "The graph")


def test_every_runtime_is_listed_with_a_summary_under_its_files_name() -> None:
    for name in catalogue.names("runtimes"):
        assert catalogue.find("runtimes", name).name == name
        assert len(catalogue.summary("runtimes", name)) > 20


def test_a_precision_that_cannot_run_here_is_refused_with_the_reason(tiny_torch: Artifact) -> None:
    why = onnx_runtime.why_not(replace(tiny_torch, format="onnx", precision="bf16"), "cpu")
    assert "no bf16 kernels" in str(why)
    assert "slower" in str(pytorch.why_not(replace(tiny_torch, precision="fp16"), "cpu"))
    assert pytorch.why_not(replace(tiny_torch, precision="fp16"), "cuda") is None
    assert pytorch.why_not(replace(tiny_torch, precision="bf16"), "cpu") is None


def test_the_reason_for_refusing_bf16_is_true_of_the_installed_onnx_runtime(tmp_path: Path) -> None:
    """When a release brings the kernels, this test says that the refusal can go."""
    import onnx
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.BFLOAT16, [2, 2]) for name in ("a", "b", "c")]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "add", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, str(tmp_path / "add.onnx"))
    artifact = Artifact(tmp_path, {"weights": ""}, None, "onnx", {"model": "add.onnx"}, "bf16")
    with pytest.raises(CompressError, match="NOT_IMPLEMENTED"):
        onnx_runtime.RUNTIME.open(artifact, Serving())


def test_bf16_weights_run_in_bf16_on_torch(tiny_torch: Artifact, tmp_path: Path) -> None:
    from compress.models.load import load, save, tokenizer

    save(load(tiny_torch).bfloat16(), tokenizer(tiny_torch.folder), tmp_path / "bf16")
    artifact = replace(tiny_torch, folder=tmp_path / "bf16", precision="bf16")
    session = pytorch.open_session(artifact, Serving())
    assert {str(one.dtype) for one in session.model.parameters()} == {"torch.bfloat16"}
    rows = sentences()
    gap = np.abs(predict_all(session, rows)["logits"] - reference(tiny_torch, rows)).max()
    assert 1e-5 < gap < 0.5


def test_an_onnx_artifact_without_its_graph_is_refused(tiny_onnx: Artifact) -> None:
    with pytest.raises(CompressError, match="no graph called 'model'"):
        onnx_runtime.RUNTIME.open(replace(tiny_onnx, parts={}), Serving())


def test_serving_onnx_imports_neither_torch_nor_transformers() -> None:
    """The memory of a serving process is measured on one that imports just this."""
    code = (
        "import sys, compress.measure.worker, compress.runtimes.onnx_runtime as r, compress.runtimes.sessions;"
        "heavy = {'torch', 'transformers', 'onnx', 'pydantic', 'scipy', 'datasets'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rows_come_back_from_a_file_as_they_were() -> None:
    rows = sentences(9)
    again = Rows.from_arrays(rows.arrays())
    assert again.padding == rows.padding
    for name, column in rows.columns.items():
        assert all(np.array_equal(a, b) for a, b in zip(column, again.columns[name], strict=True))


def test_a_batch_is_padded_to_its_longest_row_only() -> None:
    rows = Rows.encode({"input_ids": [[5, 6, 7], [8], [9] * 9], "attention_mask": [[1] * 3, [1], [1] * 9]}, 4)
    feeds = rows.batch([0, 1])
    assert feeds["input_ids"].tolist() == [[5, 6, 7], [8, 4, 4]]
    assert feeds["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize(("batch", "length"), [(1, 128), (32, 64), (2, 3)])
def test_a_batch_of_a_fixed_length_has_no_padding_and_the_rows_own_tokens(batch: int, length: int) -> None:
    rows = sentences(5)
    feeds = rows.filled(batch, length, start=2)
    assert {name: value.shape for name, value in feeds.items()} == {
        "input_ids": (batch, length),
        "attention_mask": (batch, length),
    }
    assert (feeds["attention_mask"] == 1).all()
    known = np.concatenate(rows.columns["input_ids"])
    assert np.isin(feeds["input_ids"], known).all()
    assert feeds["input_ids"][0, 0] == rows.columns["input_ids"][2][0]


def test_predictions_report_how_many_are_done(served: tuple[Runtime, Artifact]) -> None:
    runtime, artifact = served
    told: list[int] = []
    note: Callable[[int], None] = told.append
    predict_all(runtime.open(artifact, Serving()), sentences(10), 4, note)
    assert told == [4, 4, 2]


@pytest.mark.gpu
def test_torch_on_a_gpu_agrees_with_the_cpu_and_reports_device_memory(tiny_torch: Artifact) -> None:
    rows = sentences()
    session = pytorch.open_session(tiny_torch, Serving(device="cuda"))
    assert np.abs(predict_all(session, rows)["logits"] - reference(tiny_torch, rows)).max() < 1e-2  # TF32 products
    assert pytorch.device_memory_bytes()["allocator"] > 0


def test_a_missing_gpu_is_said_so(tiny_torch: Artifact) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(CompressError, match="no CUDA device"):
        pytorch.open_session(tiny_torch, Serving(device="cuda"))
