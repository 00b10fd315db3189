from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from compress.core.errors import CompressError
from compress.onnx.shared_weights import share_weights
from compress.quantization.blocks import BlockWeight, Grid, round_to_nearest
from compress.quantization.graphs.matmul_nbits import WeightOnly, quantize_weights
from tests.families import config
from tests.generative import ExportedGenerator, export_generator

RANDOM = np.random.default_rng(0)
INPUTS, OUTPUTS = 172, 64
WEIGHT = RANDOM.standard_normal((INPUTS, OUTPUTS), np.float32)
X = RANDOM.standard_normal((3, INPUTS), np.float32)
GRIDS = [Grid(bits, block, symmetric) for bits in (4, 8) for block in (32, 64, 128) for symmetric in (True, False)]


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """x @ WEIGHT, called `layer`."""
    inner = helper.make_graph(
        [helper.make_node("MatMul", ["x", "layer.weight.T"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", INPUTS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", OUTPUTS])],
        [numpy_helper.from_array(WEIGHT, "layer.weight.T")],
    )
    onnx.save(helper.make_model(inner, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), tmp_path / "a.onnx")
    return tmp_path / "a.onnx"


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ExportedGenerator]:
    """One of each family, once for all tests: a trace takes seconds."""
    made: dict[str, ExportedGenerator] = {}

    def make(family: str) -> ExportedGenerator:
        if family not in made:
            made[family] = export_generator(
                tmp_path_factory.mktemp(family), family, layers=1, **config(family, times=2)
            )
        return made[family]

    return make


def run(path: Path, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return [np.asarray(value) for value in session.run(None, feeds)]


def constants(path: Path) -> dict[str, np.ndarray]:
    return {item.name: numpy_helper.to_array(item, str(path.parent)) for item in onnx.load(str(path)).graph.initializer}


def unpacked(path: Path, stem: str, bits: int) -> np.ndarray:
    """The weight [outputs, inputs] by the operator's documentation, from nothing but the file."""
    graph = onnx.load(str(path)).graph
    node = next(node for node in graph.node if node.op_type == "MatMulNBits" and node.input[1].startswith(stem))
    told = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    assert told["bits"] == bits
    values = constants(path)
    block, inputs, outputs = told["block_size"], told["K"], told["N"]
    blocks = -(-inputs // block)

    def spread(stored: np.ndarray) -> np.ndarray:
        rows = stored.reshape(outputs, -1)
        return rows if bits == 8 else np.stack([rows & 15, rows >> 4], axis=-1).reshape(outputs, -1)

    integers = spread(values[node.input[1]]).reshape(outputs, blocks, block).astype(np.float64)
    zero_point = np.full((outputs, blocks), 2 ** (bits - 1))
    if len(node.input) > 3:
        zero_point = spread(values[node.input[3]])[:, :blocks]
    scale = values[node.input[2]].reshape(outputs, blocks)
    return ((integers - zero_point[..., None]) * scale[..., None]).reshape(outputs, -1)[:, :inputs]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_onnx_runtime_multiplies_by_the_dequantized_weight(graph: Path, tmp_path: Path, grid: Grid) -> None:
    made = tmp_path / "made.onnx"
    assert quantize_weights(graph, made, WeightOnly(grid)) == {"layer": "nearest"}
    stored = unpacked(made, "layer", grid.bits)
    np.testing.assert_allclose(stored, round_to_nearest(WEIGHT.T, grid).real(), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(run(made, {"x": X})[0], X @ stored.T, rtol=1e-4, atol=1e-4)
    error = np.abs(stored - WEIGHT.T).max()
    assert 0.001 < error < (0.6 if grid.bits == 4 else 0.06)


def test_given_integers_are_written_as_they_are(graph: Path, tmp_path: Path) -> None:
    grid = Grid(4, 32)
    integers = torch.from_numpy(RANDOM.integers(0, 16, (OUTPUTS, INPUTS)).astype(np.uint8))
    scale = torch.from_numpy(RANDOM.uniform(0.1, 0.2, (OUTPUTS, 6)).astype(np.float32))
    zero_point = torch.from_numpy(RANDOM.integers(0, 16, (OUTPUTS, 6)).astype(np.uint8))
    weight = BlockWeight(grid, integers, scale, zero_point)
    made = tmp_path / "made.onnx"
    assert quantize_weights(graph, made, WeightOnly(grid), {"layer": weight, "elsewhere": weight}) == {"layer": "gptq"}
    np.testing.assert_allclose(unpacked(made, "layer", 4), weight.real(), rtol=1e-6)
    np.testing.assert_allclose(run(made, {"x": X})[0], X @ weight.real().numpy().T, rtol=1e-4, atol=1e-4)


def test_integer_inputs_are_asked_for_and_cost_some_accuracy(graph: Path, tmp_path: Path) -> None:
    plain, fast = tmp_path / "plain.onnx", tmp_path / "fast.onnx"
    quantize_weights(graph, plain)
    quantize_weights(graph, fast, WeightOnly(integer_inputs=True))
    exact, rounded = run(plain, {"x": X})[0], run(fast, {"x": X})[0]
    assert 1e-4 < np.abs(exact - rounded).max() < 0.05 * np.abs(exact).max()


def test_a_weight_of_another_shape_is_refused(graph: Path, tmp_path: Path) -> None:
    with pytest.raises(CompressError, match=r"'layer' is \[172, 64\]"):
        quantize_weights(graph, tmp_path / "made.onnx", chosen={"layer": round_to_nearest(WEIGHT, Grid())})


def test_what_is_quantized_or_has_nothing_to_quantize_is_refused(graph: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.onnx"
    with pytest.raises(CompressError, match="outside the excluded names"):
        quantize_weights(graph, made, WeightOnly(exclude=("layer",)))
    quantize_weights(graph, made)
    with pytest.raises(CompressError, match="quantized already"):
        quantize_weights(made, tmp_path / "again.onnx")


@pytest.mark.parametrize("family", [pytest.param("bart", marks=pytest.mark.slow), "llama"])
def test_every_part_of_a_generator_answers_as_torch_does_with_the_dequantized_weights(
    family: str, tmp_path: Path, generator: Callable[[str], ExportedGenerator]
) -> None:
    from compress.runtimes.sessions_with_cache import open_generation

    source, settings = generator(family), WeightOnly(Grid(4, 32), embeddings=False)
    done: dict[str, str] = {}
    parts = {part: tmp_path / f"{part}.onnx" for part in source.paths}
    for part, path in source.paths.items():
        done |= quantize_weights(path, parts[part], settings)
    share_weights(list(parts.values()))
    assert "lm_head" in done
    model = _with_rounded_weights(source.model, done, settings.grid)
    ids = torch.arange(5, 21).view(2, 8)
    mask = torch.ones_like(ids)
    sessions = open_generation(parts, threads=1)
    cross: Any = sessions.encode(ids, mask)[1] if sessions.encoder is not None else ()
    found = sessions.step(ids, mask, cross=cross)[0]
    targets = {"decoder_input_ids": ids} if sessions.encoder is not None else {}
    with torch.no_grad():
        wanted, float_ones = (one(input_ids=ids, **targets).logits for one in (model, source.model))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-3)
    assert (wanted - float_ones).abs().max() > 0.1


def test_embedding_tables_become_int8_beside_the_products(
    tmp_path: Path, generator: Callable[[str], ExportedGenerator]
) -> None:
    done = quantize_weights(generator("llama").paths["decode"], tmp_path / "made.onnx", WeightOnly(Grid(8, 32)))
    assert done["model.embed_tokens"] == "int8 table"
    assert done["lm_head"] == "nearest"
    assert constants(tmp_path / "made.onnx")["model.embed_tokens.weight.quantized"].dtype == np.int8


def test_a_decoders_file_is_as_small_as_its_bits_say(
    tmp_path: Path, generator: Callable[[str], ExportedGenerator]
) -> None:
    source = generator("llama")
    before = sum(value.nbytes for value in constants(source.paths["decode"]).values())
    done = quantize_weights(source.paths["decode"], tmp_path / "decode.onnx", WeightOnly(Grid(4, 32, True)))
    values = constants(tmp_path / "decode.onnx")
    stored = sum(value.nbytes for name, value in values.items() if name.endswith((".blocks", ".scale")))
    count = sum(value.size * 2 for name, value in values.items() if name.endswith(".blocks"))
    assert set(done.values()) == {"nearest", "int8 table"}
    table = sum(value.nbytes for name, value in values.items() if name.endswith(".quantized"))
    assert stored == pytest.approx(count * 5 / 8, rel=0.01)  # 4 bits, and a scale of 32 for 32 of them
    assert stored + table < 0.3 * before


def test_excluded_modules_stay_in_float(tmp_path: Path, generator: Callable[[str], ExportedGenerator]) -> None:
    source = generator("llama")
    settings = WeightOnly(embeddings=False, exclude=("lm_head", "*.mlp.*"))
    done = quantize_weights(source.paths["decode"], tmp_path / "decode.onnx", settings)
    assert done
    assert not any("mlp" in name or name == "lm_head" for name in done)
    operators = [node.op_type for node in onnx.load(str(tmp_path / "decode.onnx")).graph.node]
    assert operators.count("MatMulNBits") == len(done)


def test_a_classifier_answers_as_torch_does_with_the_dequantized_weights(fused: Any, tmp_path: Path) -> None:
    from compress.onnx import parity

    settings = WeightOnly(Grid(4, 64, symmetric=True), embeddings=False)
    done = quantize_weights(fused.path, tmp_path / "made.onnx", settings)
    assert len(done) == 2 * 6  # two layers; the head is small and stays
    model = _with_rounded_weights(fused.model, done, settings.grid)
    parity.check(tmp_path / "made.onnx", model, fused.rows, padding=fused.padding)
    gap = parity.compare(tmp_path / "made.onnx", fused.path, fused.rows, precision="int4", padding=fused.padding)
    assert max(gap.to_dict()["largest_gap"].values()) > 0.02


def _with_rounded_weights(model: Any, names: Iterable[str], grid: Grid) -> Any:
    model = copy.deepcopy(model)
    for name in names:
        module = model.get_submodule(name)
        module.weight = torch.nn.Parameter(round_to_nearest(module.weight.detach(), grid).real())
    return model
