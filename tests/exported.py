"""One exported model for tests of graphs, with weights strong enough and outliers planted, so that a fault shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny import write_model

Rows = list[dict[str, np.ndarray]]


@dataclass(frozen=True)
class Exported:
    model: Any
    path: Path
    rows: Rows
    padding: dict[str, int]


def strong_model(folder: Path, family: str, **changes: Any) -> Any:
    """A tiny random classifier whose attention is far from even, with some channels twenty times the others."""
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(write_model(folder, family, **changes)).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2:
                weight.mul_(6)
            elif name.endswith("bias"):
                weight.normal_(0, 0.3)
            elif weight.ndim == 1:
                weight[3] = 20.0
    return model


def some_rows(count: int = 6, seed: int = 0) -> Rows:
    random = np.random.default_rng(seed)
    rows = []
    for length in random.permutation([5, 9, 14, 23, 38, 57])[:count]:
        segments = (np.arange(length) > length // 2).astype(np.int64)
        ids = random.integers(5, 40, length)
        rows.append({"input_ids": ids, "attention_mask": np.ones(length, np.int64), "token_type_ids": segments})
    return rows


def export_family(folder: Path, family: str, **changes: Any) -> Exported:
    from compress.onnx.export import export

    model = strong_model(folder / "model", family, **changes)
    export(model, folder / "model.onnx")
    return Exported(model, folder / "model.onnx", some_rows(), {"input_ids": model.config.pad_token_id})


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_family(tmp_path_factory.mktemp("bert"), "bert", num_hidden_layers=2, vocab_size=120)


@pytest.fixture(scope="session")
def fused(bert: Exported) -> Exported:
    from compress.onnx.fusion import fuse

    fuse(bert.path, bert.path.with_name("fused.onnx"))
    return Exported(bert.model, bert.path.with_name("fused.onnx"), bert.rows, bert.padding)


@pytest.fixture(scope="session")
def batches(bert: Exported) -> Rows:
    """Calibration batches of unequal shapes: the rows one by one, and a padded pair."""
    single = [{name: value[None] for name, value in row.items()} for row in some_rows(seed=5)]
    ids, mask = np.random.default_rng(2).integers(5, 40, (2, 12)), np.ones((2, 12), np.int64)
    mask[1, 7:] = 0
    return [*single, {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}]


@pytest.fixture(scope="session")
def foreign(bert: Exported) -> Path:
    """The same model as optimum and older tools write it: other operators, other names, no module names."""
    return export_by_torchscript(bert.model, bert.path.with_name("foreign.onnx"))


def export_by_torchscript(model: Any, path: Path) -> Path:
    """As optimum and older tools write it: other operators, other names, no module names."""
    import warnings

    import torch

    class Plain(torch.nn.Module):
        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            rows = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
            return self.model(**rows).logits

    plain = Plain().eval()  # the tracer puts all modules back into the wrapper's mode
    plain.model = model
    ids = torch.arange(5, 37).reshape(2, 16)
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    names = ["input_ids", "attention_mask", "token_type_ids"]
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            plain,
            (ids, mask, torch.zeros_like(ids)),
            str(path),
            dynamo=False,
            input_names=names,
            output_names=["logits"],
            dynamic_axes={**{name: {0: "batch", 1: "sequence"} for name in names}, "logits": {0: "batch"}},
            opset_version=17,
        )
    model.set_attn_implementation(before)
    return path


@pytest.fixture
def residual(tmp_path: Path) -> Path:
    """An addition and a normalisation whose shapes are known: ONNX Runtime fuses them under its default options."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "y"], ["sum"]),
            helper.make_node("LayerNormalization", ["sum", "weight", "bias"], ["out"], axis=-1),
        ],
        "residual",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "sequence", 64]) for name in "xy"],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", "sequence", 64])],
        [numpy_helper.from_array(np.ones(64, np.float32), name) for name in ("weight", "bias")],
    )
    path = tmp_path / "residual.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path
