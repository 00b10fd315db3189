from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from compress.core.errors import CompressError
from compress.onnx.shared_weights import PAGE_BYTES, save_together, share_weights, weight_files

RANDOM = np.random.default_rng(0)
SHARED = RANDOM.standard_normal((64, 48), np.float32)
OWN = {name: RANDOM.standard_normal((48, 32), np.float32) for name in ("one", "two")}


def graph(name: str, shared: str = "shared", values: np.ndarray = SHARED) -> onnx.ModelProto:
    """x @ SHARED @ OWN[name] + a small bias."""
    nodes = [
        helper.make_node("MatMul", ["x", shared], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "own"], ["wide"]),
        helper.make_node("Add", ["wide", "bias"], ["y"]),
    ]
    weights = [
        numpy_helper.from_array(values, shared),
        numpy_helper.from_array(OWN[name], "own"),
        helper.make_tensor("bias", TensorProto.FLOAT, [32], np.arange(32, dtype=np.float32)),  # no raw bytes
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 64])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 32])]
    inner = helper.make_graph(nodes, name, inputs, outputs, weights)
    return helper.make_model(inner, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answer(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": np.linspace(-1, 1, 128, dtype=np.float32).reshape(2, 64)})[0])


def constants(path: Path) -> dict[str, np.ndarray]:
    return {item.name: numpy_helper.to_array(item, str(path.parent)) for item in onnx.load(str(path)).graph.initializer}


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "one.onnx", tmp_path / "two.onnx"]
    onnx.save(graph("one"), str(paths[0]))
    onnx.save(graph("two", "called_otherwise"), str(paths[1]))
    return paths


def test_what_two_graphs_have_in_common_is_stored_once_whatever_they_call_it(pair: list[Path]) -> None:
    done = share_weights(pair)
    one_own, shared = OWN["one"].nbytes, SHARED.nbytes
    assert done.referenced_bytes == 2 * (one_own + shared)
    assert 2 * one_own + shared <= done.stored_bytes < 2 * one_own + shared + 3 * PAGE_BYTES
    assert done.path.stat().st_size == done.stored_bytes
    assert sum(path.stat().st_size for path in pair) < 4096
    assert weight_files(pair[0]) == weight_files(pair[1]) == (done.path,)


def test_shared_weights_keep_their_bits_and_onnx_runtime_its_answers(pair: list[Path]) -> None:
    values, answers = [constants(path) for path in pair], [answer(path) for path in pair]
    share_weights(pair)
    for path, before, was in zip(pair, values, answers, strict=True):
        after = constants(path)
        assert after.keys() == before.keys()
        assert all(after[name].tobytes() == before[name].tobytes() for name in before)
        assert answer(path).tobytes() == was.tobytes()


def test_the_folder_can_be_moved(pair: list[Path], tmp_path: Path) -> None:
    expected = answer(pair[1])
    share_weights(pair)
    moved = (tmp_path / "away").absolute()
    moved.mkdir()
    for file in ("one.onnx", "two.onnx", "weights.bin"):
        (tmp_path / file).rename(moved / file)
    assert answer(moved / "two.onnx").tobytes() == expected.tobytes()


def test_small_tensors_stay_in_the_graph_where_the_optimizer_sees_them(pair: list[Path]) -> None:
    share_weights(pair)
    inside = {
        item.name
        for item in onnx.load(str(pair[0]), load_external_data=False).graph.initializer
        if item.data_location != TensorProto.EXTERNAL
    }
    assert inside == {"bias"}


def test_sharing_again_after_one_graph_changed_gives_a_file_of_what_is_left(pair: list[Path]) -> None:
    first = share_weights(pair)
    onnx.save(graph("two", values=SHARED * 2), str(pair[1]))
    second = share_weights(pair)
    assert second.stored_bytes >= first.stored_bytes + SHARED.nbytes
    np.testing.assert_array_equal(constants(pair[1])["shared"], SHARED * 2)
    np.testing.assert_array_equal(constants(pair[0])["shared"], SHARED)
    assert not list(pair[0].parent.glob("*.partial"))


@pytest.mark.parametrize("kind", [TensorProto.INT8, TensorProto.UINT4, TensorProto.FLOAT16, TensorProto.INT64])
def test_every_type_keeps_its_values(kind: int, tmp_path: Path) -> None:
    values = RANDOM.integers(0, 8, (64, 65))
    tensor = helper.make_tensor("w", kind, values.shape, values.flatten())
    nodes = [helper.make_node("Identity", ["w"], ["y"])]
    output = helper.make_tensor_value_info("y", kind, values.shape)
    model = helper.make_model(
        helper.make_graph(nodes, "g", [], [output], [tensor]), opset_imports=[helper.make_opsetid("", 21)]
    )
    save_together({"g.onnx": model}, tmp_path)
    assert weight_files(tmp_path / "g.onnx")
    np.testing.assert_array_equal(constants(tmp_path / "g.onnx")["w"].astype(np.int64), values)


def test_graphs_in_two_folders_and_odd_names_are_refused(pair: list[Path], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    pair[1].rename(tmp_path / "other" / "two.onnx")
    with pytest.raises(CompressError, match="one folder"):
        share_weights([pair[0], tmp_path / "other" / "two.onnx"])
    with pytest.raises(CompressError, match="no file name"):
        save_together({"a/b.onnx": graph("one")}, tmp_path)
    with pytest.raises(CompressError, match="cannot be a graph"):
        save_together({"weights.bin": graph("one")}, tmp_path)
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(CompressError, match="broken"):
        share_weights([tmp_path / "broken.onnx"])
