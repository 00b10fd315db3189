"""Tests of sizes against the files and against torch's own count."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.measure.quantities import QUANTITIES, SIZE
from compress.measure.size import absent, compressed_bytes, disk_bytes, onnx_parameters, size
from compress.models.stored import model_files, safetensors_parameters


def by_torch(artifact: Artifact) -> int:
    from compress.models.load import load

    return sum(one.numel() for one in load(artifact).parameters())


def test_parameters_of_a_torch_artifact_are_those_torch_counts(tiny_torch: Artifact) -> None:
    assert safetensors_parameters(model_files(tiny_torch)) == by_torch(tiny_torch)


def test_parameters_of_an_export_are_those_of_its_source(tiny_torch: Artifact, tiny_onnx: Artifact) -> None:
    """Up to the vectors that fusion folds: within one in a hundred."""
    assert onnx_parameters(tiny_onnx) == pytest.approx(by_torch(tiny_torch), rel=0.01)


def test_quantizing_changes_the_bytes_and_not_the_parameters(tiny_onnx: Artifact, tmp_path: Path) -> None:
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        tiny_onnx.folder / "model.onnx",
        tmp_path / "model.onnx",
        weight_type=QuantType.QInt8,
        per_channel=True,
        extra_options={"DefaultTensorType": TensorProto.FLOAT},  # what fused operators give
    )
    quantized = replace(tiny_onnx, folder=tmp_path)
    assert disk_bytes(quantized) < 0.7 * disk_bytes(tiny_onnx)
    assert onnx_parameters(quantized) == pytest.approx(onnx_parameters(tiny_onnx), rel=0.01)


def test_four_bit_weights_are_counted_as_weights(tmp_path: Path) -> None:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    packed = numpy_helper.from_array(np.zeros((96, 2, 16), np.uint8), "packed")
    scales = numpy_helper.from_array(np.ones((96 * 2,), np.float32), "scales")
    node = helper.make_node(
        "MatMulNBits", ["x", "packed", "scales"], ["y"], domain="com.microsoft", K=64, N=96, bits=4, block_size=32
    )
    value = helper.make_tensor_value_info
    x, y = value("x", TensorProto.FLOAT, ["n", 64]), value("y", TensorProto.FLOAT, ["n", 96])
    onnx.save(helper.make_model(helper.make_graph([node], "g", [x], [y], [packed, scales])), str(tmp_path / "m.onnx"))
    artifact = Artifact(tmp_path, {"weights": ""}, None, "onnx", {"model": "m.onnx"})
    assert onnx_parameters(artifact) == 64 * 96


def test_scales_of_weights_that_plain_operators_make_real_are_not_counted(tmp_path: Path) -> None:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = [
        helper.make_tensor("w", TensorProto.INT4, [64, 96], np.zeros((64, 96), np.int8)),
        *(numpy_helper.from_array(np.ones(96, np.float32), name) for name in ("zero", "scale")),
    ]
    nodes = [
        helper.make_node("Cast", ["w"], ["steps"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["steps", "zero"], ["shifted"]),
        helper.make_node("Mul", ["shifted", "scale"], ["real"]),
        helper.make_node("MatMul", ["x", "real"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    x, y = value("x", TensorProto.FLOAT, ["n", 64]), value("y", TensorProto.FLOAT, ["n", 96])
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [x], [y], weights)), str(tmp_path / "m.onnx"))
    artifact = Artifact(tmp_path, {"weights": ""}, None, "onnx", {"model": "m.onnx"})
    assert onnx_parameters(artifact) == 64 * 96


def test_scales_of_gathered_rows_are_not_counted(tmp_path: Path) -> None:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = [
        numpy_helper.from_array(value, name)
        for name, value in (("w", np.zeros((50, 96), np.int8)), ("scale", np.ones(96, np.float32)))
    ]
    nodes = [
        helper.make_node("Gather", ["w", "ids"], ["rows"]),
        helper.make_node("Cast", ["rows"], ["steps"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["steps", "scale"], ["y"]),
    ]
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 96])
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [ids], [y], weights)), str(tmp_path / "m.onnx"))
    artifact = Artifact(tmp_path, {"weights": ""}, None, "onnx", {"model": "m.onnx"})
    assert onnx_parameters(artifact) == 50 * 96


def test_only_the_models_own_files_are_counted(tiny_torch: Artifact, tiny_onnx: Artifact) -> None:
    for artifact, name in ((tiny_torch, "model.safetensors"), (tiny_onnx, "model.onnx")):
        bytes_, parameters, *_ = size(artifact)
        assert bytes_.value == (artifact.folder / name).stat().st_size == disk_bytes(artifact)
        assert (bytes_.unit, parameters.unit) == ("bytes", "count")


def test_weights_beside_a_graph_are_counted_with_it(tiny_onnx: Artifact, tmp_path: Path) -> None:
    import onnx

    onnx.save(
        onnx.load(str(tiny_onnx.folder / "model.onnx")),
        str(tmp_path / "model.onnx"),
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    beside = replace(tiny_onnx, folder=tmp_path)
    assert [file.name for file in model_files(beside)] == ["model.onnx", "weights.bin"]
    assert disk_bytes(beside) == pytest.approx(disk_bytes(tiny_onnx), rel=0.05)
    assert onnx_parameters(beside) == onnx_parameters(tiny_onnx)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64, b"\x02\x00\x00\x00\x00\x00\x00\x00{]"])
def test_a_file_that_is_not_safetensors_is_named(tiny_torch: Artifact, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(CompressError, match=r"model\.safetensors is not in the safetensors format"):
        size(replace(tiny_torch, folder=tmp_path))


def test_an_artifact_without_its_model_is_named(tiny_torch: Artifact, tiny_onnx: Artifact, tmp_path: Path) -> None:
    for artifact in (tiny_torch, tiny_onnx):
        with pytest.raises(CompressError, match="holds no model"):
            size(replace(artifact, folder=tmp_path))


def test_a_graph_that_is_not_onnx_is_named(tiny_onnx: Artifact, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\xff\xff\xff")
    with pytest.raises(CompressError, match="is not an ONNX file"):
        size(replace(tiny_onnx, folder=tmp_path))


def test_every_quantity_is_there_for_both_formats_measured_or_absent(tiny_torch: Artifact, tiny_onnx: Artifact) -> None:
    for artifact in (tiny_torch, tiny_onnx):
        for found in (size(artifact), absent(artifact, "gone")):
            assert {one.name: one.unit for one in found} == {name: QUANTITIES[name][0] for name in SIZE}
            assert all((one.value is None) == (one.absent is not None) for one in found)


def test_compressed_bytes_are_those_that_zstd_itself_would_write(tiny_onnx: Artifact, tmp_path: Path) -> None:
    import zstandard

    files = model_files(tiny_onnx)
    packed = zstandard.ZstdCompressor(level=3).compress(files[0].read_bytes())
    assert compressed_bytes(files) == pytest.approx(len(packed), rel=1e-3)
    (tmp_path / "nothing.bin").write_bytes(bytes(10_000_000))
    assert compressed_bytes([tmp_path / "nothing.bin"]) < 2_000
    assert compressed_bytes(files * 2) == 2 * compressed_bytes(files)


def test_zeros_that_cannot_be_told_are_absent_with_the_reason(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"layers.0.packed.weight": torch.zeros(64, 32, dtype=torch.uint8)}, tmp_path / "model.safetensors")
    found = {one.name: one for one in size(Artifact(tmp_path, {"weights": ""}, None))}
    assert found["zeros"].value is None
    assert "layers.0.packed.weight is stored as U8" in str(found["zeros"].absent)
    assert found["disk_bytes"].value


def test_a_note_says_when_other_matrices_than_those_of_layers_were_counted(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    for name, noted in (("fc.weight", True), ("layers.0.fc.weight", False)):
        save_file({name: torch.eye(4)}, tmp_path / "model.safetensors")
        zeros = size(Artifact(tmp_path, {"weights": ""}, None))[-1]
        assert (zeros.value, zeros.samples, bool(zeros.notes)) == (0.75, 16, noted)


def test_sizes_are_measured_without_torch(tiny_onnx: Artifact, tiny_torch: Artifact) -> None:
    program = (
        "import sys; from pathlib import Path; from compress.core.artifact import Artifact; "
        "from compress.measure.size import size; "
        "torch, onnx = map(Path, sys.argv[1:]); size(Artifact(torch, {'weights': ''}, None)); size(Artifact.open(onnx)); "
        "sys.exit('torch' in sys.modules)"
    )
    folders = [str(one.folder) for one in (tiny_torch, tiny_onnx)]
    done = subprocess.run([sys.executable, "-c", program, *folders], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
