"""Zeros counted in the files against those that were put there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.measure.sparsity import ALL, LAYERS, in_layers, zeros
from tests.tiny import FAMILIES, write_model

NAME = "encoder.layer.0.dense.weight"


@pytest.fixture(scope="module")
def pruned(tiny_torch: Artifact, tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, int, int]:
    """A copy whose layers' matrices have zeros, some of them -0.0, with their number and that of all weights."""
    from safetensors.numpy import load_file, save_file

    folder = tmp_path_factory.mktemp("pruned") / "pruned"
    shutil.copytree(tiny_torch.folder, folder)
    weights = load_file(folder / "model.safetensors")
    random, count, of = np.random.default_rng(0), 0, 0
    for name, weight in weights.items():
        if weight.ndim > 1 and ".layer." in name:
            kept = random.random(weight.shape) < 0.4
            weights[name] = np.where(kept, weight, np.where(random.random(weight.shape) < 0.5, 0.0, -0.0)).astype("f4")
            count, of = count + int((~kept).sum()), of + weight.size
    weights["bert.embeddings.word_embeddings.weight"][:5] = 0
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return replace(tiny_torch, folder=folder), count, of


def graph_of(folder: Path, nodes: Sequence[Any], weights: dict[str, NDArray[Any]], **more: Any) -> Artifact:
    """An ONNX artifact of these operators, from x to y."""
    value = helper.make_tensor_value_info
    x, y = value("x", TensorProto.FLOAT, None), value("y", TensorProto.FLOAT, None)
    made = [
        one if isinstance(one, TensorProto) else numpy_helper.from_array(one, name) for name, one in weights.items()
    ]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [x], [y], made)), str(folder / "m.onnx"), **more)
    return Artifact(folder, {"weights": ""}, None, "onnx", {"model": "m.onnx"})


def test_zeros_of_a_torch_artifact_are_those_put_into_its_layers(pruned: tuple[Artifact, int, int]) -> None:
    artifact, count, of = pruned
    found = zeros(artifact)
    assert (found.count, found.of, found.counted) == (count, of, LAYERS)
    assert found.share == pytest.approx(0.6, abs=0.01)


@pytest.mark.slow
def test_an_export_has_the_zeros_of_its_source(pruned: tuple[Artifact, int, int], tmp_path: Path) -> None:
    from compress.core import catalogue
    from compress.techniques.apply import apply

    artifact, count, of = pruned
    export = catalogue.find("techniques", "export")
    exported = apply(export, replace(artifact, files={}).save(), export.settings(), tmp_path / "onnx")
    found = zeros(exported)
    assert (found.count, found.of, found.counted) == (count, of, LAYERS)


@pytest.mark.slow
def test_quantizing_keeps_each_zero_and_rounds_some_more_weights_to_zero(
    pruned: tuple[Artifact, int, int], tmp_path: Path
) -> None:
    from compress.core import catalogue
    from compress.techniques.apply import apply

    artifact, count, of = pruned
    quantize = catalogue.find("techniques", "quantize")
    settings = quantize.settings(precision="int8", mode="dynamic")
    found = zeros(apply(quantize, replace(artifact, files={}).save(), settings, tmp_path / "int8"))
    assert found.of == of
    assert count <= found.count < count + 0.05 * of


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_counted_is_what_can_be_pruned_in_every_family(family: str, tmp_path: Path) -> None:
    from compress.models.load import checkpoint_artifact, load
    from compress.pruning.weights import weights_of

    artifact = checkpoint_artifact(write_model(tmp_path / family, family), family)
    assert zeros(artifact).of == sum(weight.numel() for weight in weights_of(load(artifact)).values())


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("bert.encoder.layer.0.attention.self.query.weight", True),
        ("model.layers.11.mlp.Wi.weight", True),
        ("/bert/encoder/layer.3/output/dense/MatMul", True),
        ("onnx::MatMul_78", True),
        ("bert.embeddings.word_embeddings.weight", False),
        ("classifier.out_proj.weight", False),
        ("bert.pooler.dense.weight", False),
    ],
)
def test_layers_are_told_from_the_rest_by_their_number(name: str, is_one: bool) -> None:
    assert in_layers(name) == is_one


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_a_zero_is_told_in_every_floating_point_type_whatever_its_sign(dtype: str, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    weight = torch.tensor([[0.0, -0.0, 1.0], [-1.0, 0.5, 0.0]]).to(getattr(torch, dtype))
    save_file({NAME: weight, "layer.0.bias": weight[0].clone()}, tmp_path / "model.safetensors")
    found = zeros(Artifact(tmp_path, {"weights": ""}, None))
    assert (found.count, found.of, found.matrices) == (3, 6, 1)


def test_a_large_matrix_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.numpy import save_file

    monkeypatch.setattr("compress.measure.sparsity.BLOCK", 7)
    weight = (np.arange(1000).reshape(10, 100) % 3).astype(np.float32)
    save_file({"layer.0.first": np.ones((3, 3), np.float32), NAME: weight}, tmp_path / "model.safetensors")
    assert zeros(Artifact(tmp_path, {"weights": ""}, None)).count == 334


def test_without_a_name_that_tells_of_layers_all_matrices_are_counted(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"fc.weight": np.eye(4, dtype=np.float32), "fc.bias": np.zeros(4)}, tmp_path / "model.safetensors")
    found = zeros(Artifact(tmp_path, {"weights": ""}, None))
    assert (found.count, found.of, found.counted) == (12, 16, ALL)


@pytest.mark.parametrize("point", [0, 3, -7])
@pytest.mark.parametrize("outside", [False, True], ids=["inside", "beside the graph"])
def test_an_integer_weight_is_zero_where_it_equals_its_zero_point(point: int, outside: bool, tmp_path: Path) -> None:
    weight = np.array([[point, 1, 2], [3 - point, point, 11]], np.int8)
    nodes = [
        helper.make_node("DequantizeLinear", [NAME, "scale", "point"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    weights = {NAME: weight, "scale": np.array(0.1, np.float32), "point": np.array(point, np.int8)}
    more = {"save_as_external_data": True, "location": "m.bin", "size_threshold": 0} if outside else {}
    found = zeros(graph_of(tmp_path, nodes, weights, **more))
    assert (found.count, found.of) == (int((weight == point).sum()), 6)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_zero_points_of_channels_lie_along_their_axis(axis: int, tmp_path: Path) -> None:
    weight = np.array([[1, 1, 2], [2, 1, 2], [1, 5, 5]], np.uint8)
    points = np.array([1, 2, 5], np.uint8)
    nodes = [
        helper.make_node("DequantizeLinear", [NAME, "scale", "point"], ["w"], axis=axis),
        helper.make_node("Transpose", ["w"], ["t"]),
        helper.make_node("MatMul", ["x", "t"], ["y"]),
    ]
    found = zeros(graph_of(tmp_path, nodes, {NAME: weight, "scale": np.ones(3, np.float32), "point": points}))
    expected = {0: 6, 1: 3, -1: 3}[axis]
    assert int((weight == (points[:, None] if axis == 0 else points)).sum()) == expected == found.count


def test_zero_points_of_integer_products_lie_along_the_outputs(tmp_path: Path) -> None:
    weight = np.array([[1, 2, 0], [1, 0, 0]], np.uint8)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("MatMulInteger", ["q", NAME, "z", "point"], ["y"]),
    ]
    assert zeros(graph_of(tmp_path, nodes, {NAME: weight, "point": np.array([1, 2, 7], np.uint8)})).count == 3


def test_blocks_of_one_matrix_have_zero_points_of_their_own(tmp_path: Path) -> None:
    weight = np.array([[1, 1, 2, 2, 2, 1]], np.int8)
    nodes = [
        helper.make_node("DequantizeLinear", [NAME, "scale", "point"], ["w"], axis=1, block_size=4),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    weights = {NAME: weight, "scale": np.ones((1, 2), np.float32), "point": np.array([[1, 2]], np.int8)}
    assert zeros(graph_of(tmp_path, nodes, weights)).count == 3


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("pointed", [False, True], ids=["middle", "own zero points"])
def test_packed_weights_are_unpacked_and_their_padding_is_not_counted(
    bits: int, pointed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packed here value by value, the first in the lowest bits; 40 inputs are padded to two blocks of 32."""
    monkeypatch.setattr("compress.measure.sparsity.BLOCK", 50)
    random = np.random.default_rng(bits)
    values, points = random.integers(0, 1 << bits, (6, 64)), random.integers(0, 1 << bits, (6, 2))
    if not pointed:
        points[:] = 1 << (bits - 1)
    values[:, 40:] = 1 << (bits - 1)

    def packed(rows: NDArray[Any]) -> NDArray[np.uint8]:
        each = 8 // bits
        whole = np.pad(rows, ((0, 0), (0, -rows.shape[1] % each))).reshape(len(rows), -1, each)
        return np.asarray(sum(whole[:, :, n] << (bits * n) for n in range(each)), np.uint8)

    weights = {NAME: packed(values).reshape(6, 2, -1), "scales": np.ones(12, np.float32), "points": packed(points)}
    inputs = ["x", NAME, "scales", *(["points"] if pointed else [])]
    node = helper.make_node("MatMulNBits", inputs, ["y"], domain="com.microsoft", K=40, N=6, bits=bits, block_size=32)
    found = zeros(graph_of(tmp_path, [node], weights))
    assert (found.count, found.of) == (int((values == points.repeat(32, 1))[:, :40].sum()), 240)


def test_four_bit_types_of_onnx_are_read(tmp_path: Path) -> None:
    weight = helper.make_tensor(NAME, TensorProto.INT4, [2, 3], [0, -8, 7, 0, 0, 1])
    nodes = [
        helper.make_node("DequantizeLinear", [NAME, "scale"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    assert zeros(graph_of(tmp_path, nodes, {NAME: weight, "scale": np.array(1, np.float32)})).count == 3


@pytest.mark.parametrize("form", ["dequantized", "multiplied", "by plain operators", "by its scale"])
def test_integers_that_are_cast_first_have_the_zero_point_of_what_reads_them(form: str, tmp_path: Path) -> None:
    weight = np.array([[3, 1, 0], [0, 3, 0]], np.int8)
    cast = helper.make_node("Cast", [NAME], ["c"], to=TensorProto.INT8 if form[0] in "dm" else TensorProto.FLOAT)
    nodes = {
        "dequantized": [helper.make_node("DequantizeLinear", ["c", "scale", "point"], ["w"])],
        "multiplied": [helper.make_node("MatMulInteger", ["x", "c", "", "point"], ["y"])],
        "by plain operators": [
            helper.make_node("Sub", ["c", "real"], ["d"]),
            helper.make_node("Mul", ["d", "scale"], ["w"]),
        ],
        "by its scale": [helper.make_node("Mul", ["c", "scale"], ["w"])],
    }[form]
    product = [] if form == "multiplied" else [helper.make_node("MatMul", ["x", "w"], ["y"])]
    more = {"scale": np.array(0.1, np.float32), "point": np.array(3, np.int8), "real": np.array(3, np.float32)}
    found = zeros(graph_of(tmp_path, [cast, *nodes, *product], {NAME: weight, **more}))
    assert (found.count, found.of) == (3 if form == "by its scale" else 2, 6)


def test_tables_that_are_looked_up_and_constants_that_are_added_are_no_matrices(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["layer.0.table", "ids"], ["e"]),
        helper.make_node("Add", ["x", "mask"], ["m"]),
        helper.make_node("MatMul", ["m", "w"], ["y"]),
    ]
    weights = {
        "layer.0.table": np.zeros((9, 4), np.float32),
        "ids": np.array([1]),
        "mask": np.zeros((4, 4), np.float32),
        "w": np.eye(4, dtype=np.float32),
    }
    found = zeros(graph_of(tmp_path, nodes, weights))
    assert (found.count, found.of, found.counted) == (12, 16, LAYERS)


@pytest.mark.parametrize(
    ("nodes", "weights", "reason"),
    [
        ([helper.make_node("Relu", ["x"], ["y"])], {}, "no matrix"),
        (
            [helper.make_node("Cast", [NAME], ["w"], to=1), helper.make_node("MatMul", ["x", "w"], ["y"])],
            {NAME: np.ones((2, 2), np.int8)},
            f"{NAME} is read by Cast",
        ),
        (
            [
                helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
                helper.make_node("MatMulInteger", ["q", NAME, "z", "z"], ["y"]),
            ],
            {NAME: np.ones((2, 2), np.uint8)},
            "computed, not stored",
        ),
    ],
    ids=["no matrix", "no zero point", "computed zero point"],
)
def test_what_cannot_be_counted_says_why(nodes: Any, weights: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(CompressError, match=reason):
        zeros(graph_of(tmp_path, nodes, weights))
