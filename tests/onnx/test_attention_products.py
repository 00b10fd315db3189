"""A fused attention, opened: the same numbers, by module name, and each product quantized by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compress.onnx.attention_products import attentions, open_attentions
from compress.onnx.export import export
from compress.onnx.fusion import fuse, operators
from compress.onnx.graph import Graph
from compress.onnx.sessions import logits, open_session
from tests.onnx.conftest import strong_model

MODULES = {
    "bert": "bert.encoder.layer.{}.attention.self",
    "mpnet": "mpnet.encoder.layer.{}.attention.attn",
    "distilbert": "distilbert.transformer.layer.{}.attention",
    "roberta": "roberta.encoder.layer.{}.attention.self",
    "electra": "electra.encoder.layer.{}.attention.self",
    "albert": "albert.encoder.albert_layer_groups.0.albert_layers.0.attention",
}
QUICK = ("bert", "mpnet")  # without and with a position bias


def padded(seed: int = 0, shape: tuple[int, int] = (5, 20)) -> dict[str, np.ndarray]:
    """Rows with padding on the right, on the left, with holes, and none at all."""
    random = np.random.default_rng(seed)
    ids = random.integers(5, 40, shape)
    mask = np.ones(shape, np.int64)
    mask[1, 12:] = mask[2, :7] = 0
    mask[3] = random.integers(0, 2, shape[1])
    mask[3, 4] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def opened(path: Path, output: Path) -> list[str]:
    graph = Graph.load(path)
    found = attentions(graph)
    open_attentions(graph, found)
    graph.remove_dead()
    graph.save(output)
    return [one.module for one in found]


def answers(path: Path, rows: dict[str, np.ndarray]) -> np.ndarray:
    return logits(open_session(path, threads=1), rows)


def check_equal(path: Path, folder: Path) -> list[str]:
    names = opened(path, folder / "opened.onnx")
    assert "MultiHeadAttention" not in operators(folder / "opened.onnx")
    for rows in (padded(), {name: value[:1, :1] for name, value in padded(1).items()}):
        wanted = answers(path, rows)
        # float32's rounding through the layers of a strong model; a wrong mask or scale is off by far more
        np.testing.assert_allclose(answers(folder / "opened.onnx", rows), wanted, atol=1e-4 * np.abs(wanted).max())
    return names


@pytest.mark.parametrize(
    "family", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MODULES]
)
def test_what_is_opened_answers_as_the_fused_operator_does(family: str, tmp_path: Path) -> None:
    layers = {"n_layers" if family == "distilbert" else "num_hidden_layers": 2}
    export(strong_model(tmp_path / "model", family, **layers), tmp_path / "model.onnx")
    assert fuse(tmp_path / "model.onnx", tmp_path / "fused.onnx").attentions == 2
    assert check_equal(tmp_path / "fused.onnx", tmp_path) == [MODULES[family].format(layer) for layer in range(2)]
