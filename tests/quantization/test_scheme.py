from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from compress.core.errors import CompressError
from compress.quantization.scheme import LIMITS, Layer, Quantizer, Scheme, affine, symmetric

FLOATS = arrays(np.float32, (4, 6), elements=st.floats(-1000, 1000, width=32))


def by_onnx(quantizer: Quantizer, values: np.ndarray) -> dict[str, list[np.ndarray]]:
    """QuantizeLinear and DequantizeLinear, by ONNX Runtime and by ONNX's reference: two references that are not us."""
    axis = {} if quantizer.axis is None else {"axis": quantizer.axis}
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], **axis),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], **axis),
        ],
        "rounding",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, values.shape)],
        [
            helper.make_tensor_value_info("q", helper.np_dtype_to_tensor_dtype(np.dtype(quantizer.type)), values.shape),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, values.shape),
        ],
        [
            numpy_helper.from_array(quantizer.scale, "scale"),
            numpy_helper.from_array(quantizer.zero_point.astype(quantizer.type), "zero"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return {
        "onnxruntime": session.run(None, {"x": values}),
        "reference": ReferenceEvaluator(model).run(None, {"x": values}),
    }


@pytest.mark.parametrize(("kind", "bits"), [("int4", 4), ("int8", 8), ("uint8", 8), ("int16", 16), ("uint16", 16)])
def test_integers_reach_as_far_as_their_bits_and_saturate_there(kind: str, bits: int) -> None:
    least = 0 if kind.startswith("u") else -(2 ** (bits - 1))
    quantizer = Quantizer(kind, None, np.float32(1), np.int32(0))
    assert quantizer.quantize(np.array([-1e6, 1e6])).tolist() == [least, least + 2**bits - 1]
    for outside in (least - 1, least + 2**bits):
        with pytest.raises(CompressError, match="outside"):
            Quantizer(kind, None, np.float32(1), np.int32(outside))


def test_quantizers_are_equal_where_type_axis_scale_and_zero_point_are() -> None:
    one = Quantizer("int8", None, np.float32(0.5), np.int32(3))
    assert one == Quantizer("int8", None, np.float32(0.5), np.int32(3))
    for other in (
        Quantizer("uint8", None, np.float32(0.5), np.int32(3)),
        Quantizer("int8", None, np.float32(0.25), np.int32(3)),
        Quantizer("int8", None, np.float32(0.5), np.int32(4)),
        Quantizer("int8", 0, np.full(1, 0.5, np.float32), np.full(1, 3)),
        "int8",
    ):
        assert one != other


def test_a_weight_is_multiplied_by_the_smoothing_factors_before_it_is_rounded() -> None:
    """SmoothQuant, equation 3; layers are equal where their factors are."""
    one = Quantizer("int8", None, np.float32(1), np.int32(0))
    smooth = Layer(one, smooth=np.array([2.0, 0.5], np.float32))
    assert smooth.integers(np.array([[3.0, 8.0]], np.float32)).tolist() == [[6, 4]]
    assert Layer(one).integers(np.array([[3.0, 8.0]], np.float32)).tolist() == [[3, 8]]
    assert smooth == Layer(one, smooth=np.array([2.0, 0.5], np.float32))
    assert Layer(one, affine(0, 1)) != Layer(one, affine(0, 2))
    for other in (Layer(one), Layer(one, smooth=np.array([2.0, 0.25], np.float32)), Layer(one, float_input=True)):
        assert smooth != other
    for factors in ([[2.0, 0.5]], [0.0, 1.0], [np.inf, 1.0]):
        with pytest.raises(CompressError, match="smoothing factors"):
            Layer(one, smooth=np.array(factors, np.float32))


@pytest.mark.parametrize("kind", ["int8", "uint8"])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_our_rounding_is_onnx_runtimes_to_the_bit(kind: str, axis: int | None) -> None:
    random = np.random.default_rng(0)
    size = () if axis is None else ((16, 24)[axis],)
    # Powers of two make ties exact: halves must go to the even neighbour, and beyond the ends they saturate.
    scale = np.exp2(random.integers(-4, 2, size)).astype(np.float32)
    low, high = LIMITS[kind]
    quantizer = Quantizer(kind, axis, scale, random.integers(low, high + 1, size))
    values = (random.integers(-700, 700, (16, 24)) / 4).astype(np.float32)
    for integers, reals in by_onnx(quantizer, values).values():
        assert np.array_equal(quantizer.quantize(values), integers)
        assert np.array_equal(quantizer.dequantize(integers), reals)


def test_halves_go_to_the_even_neighbour_and_ends_saturate() -> None:
    quantizer = Quantizer("int8", None, np.float32(1), np.int32(0))
    given_values = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 500, -500], np.float32)
    assert quantizer.quantize(given_values).tolist() == [0, 2, 2, 0, -2, 127, -128]
    assert quantizer.dequantize(quantizer.quantize(given_values)).dtype == np.float32
    almost = np.array([0.5 + 1e-12, 1.5 - 1e-12])  # in float32, as a graph reads them, halves
    assert quantizer.quantize(almost).tolist() == [0, 2]


@settings(max_examples=60, deadline=None)
@given(FLOATS)
def test_a_range_as_dynamic_quantize_linear_takes_it(values: np.ndarray) -> None:
    """affine() over least and greatest is ONNX's dynamic quantization, by ONNX's own reference."""
    quantizer = affine(values.min(), values.max())
    if max(values.max(), 0) - min(values.min(), 0) < 255 * np.finfo(np.float32).tiny:
        return  # our scales are never below the least normal number
    graph = helper.make_graph(
        [helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"])],
        "dynamic",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, values.shape)],
        [
            helper.make_tensor_value_info("q", TensorProto.UINT8, values.shape),
            helper.make_tensor_value_info("scale", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("zero", TensorProto.UINT8, []),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    integers, scale, zero = session.run(None, {"x": values})
    assert np.isclose(quantizer.scale, scale, rtol=1e-6, atol=1e-37)
    assert abs(int(quantizer.zero_point) - int(zero)) <= 1
    steps = np.abs(quantizer.quantize(values).astype(int) - integers.astype(int))
    assert steps.max() <= 1  # a scale that differs in its last bit may move a value that lies on a boundary


@settings(max_examples=60, deadline=None)
@given(FLOATS, st.sampled_from([None, 0, 1]))
def test_rounding_is_within_half_a_step_and_zero_is_exact(values: np.ndarray, axis: int | None) -> None:
    for quantizer in (symmetric(values, axis=axis), affine(values.min(), values.max())):
        back = quantizer.dequantize(quantizer.quantize(values))
        step = quantizer.scale.max()
        # The affine range's ends move by up to half a step when its zero point is rounded.
        assert (np.abs(back - values) <= (1.01 if quantizer.type == "uint8" else 0.501) * step + 1e-6).all()
        zeros = np.zeros_like(values)
        assert np.array_equal(quantizer.dequantize(quantizer.quantize(zeros)), zeros)


@pytest.mark.parametrize(
    ("kind", "low", "high", "step", "zero_point"),
    [
        ("uint8", -1, 4, 5 / 255, 51),
        ("int8", -1, 4, 5 / 255, -77),
        ("uint16", -1, 4, 5 / 65535, 13107),
        ("int16", -1, 4, 5 / 65535, -19661),
        ("int8", 1, 4, 4 / 255, -128),  # 0 is always in the range
        ("int8", -4, -1, 4 / 255, 127),
        ("int8", 0, 0, np.finfo(np.float32).tiny, -128),
    ],
)
def test_a_range_is_divided_into_all_steps_of_its_type(
    kind: str, low: float, high: float, step: float, zero_point: int
) -> None:
    found = affine(low, high, type=kind)
    assert (found.type, found.axis) == (kind, None)
    assert float(found.scale) == pytest.approx(step, rel=1e-6)
    assert int(found.zero_point) == zero_point


def test_int4_weights_have_seven_steps_each_way() -> None:
    found = symmetric(np.array([[7.0, -14.0], [3.5, 1.0]], np.float32), axis=-1, type="int4")
    assert found.scale.tolist() == [1, 2]
    assert found.quantize(np.array([[7.0, -14.0], [3.5, 1.0]], np.float32)).tolist() == [[7, -7], [4, 0]]
    assert symmetric(np.array([[7.0, -14.0]], np.float32), axis=None, type="int4").scale.tolist() == 2


def test_symmetric_takes_each_channels_own_magnitude_and_never_minus_128() -> None:
    weight = np.array([[1.0, -4.0], [0.0, 0.0], [-100.0, 2.0]], np.float32)
    quantizer = symmetric(weight, axis=0)
    assert np.allclose(quantizer.scale[[0, 2]] * 127, [4, 100])
    assert quantizer.quantize(weight).tolist() == [[32, -127], [0, 0], [-127, 3]]


def test_a_scheme_survives_json_and_safetensors_to_the_bit(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    scheme = Scheme(
        {
            "bert.layer.0": Layer(symmetric(random.normal(size=(5, 7)), axis=0), affine(-0.1, 3.3)),
            "a:name with/odd signs": Layer(symmetric(random.normal(size=(5, 7)), axis=None)),
            "smooth": Layer(symmetric(np.eye(3), axis=1, type="int4"), affine(0, 1), smooth=np.array([1, 0.3, 2])),
            "float input": Layer(symmetric(np.eye(3), axis=-1), float_input=True),
            "attention.scores": Layer(input=affine(-1, 1, type="int8"), other=affine(0, 9, type="uint16")),
        }
    )
    scheme.save(tmp_path / "scheme.safetensors")
    for again in (
        Scheme.load(tmp_path / "scheme.safetensors"),
        Scheme.from_dict(json.loads(json.dumps(scheme.to_dict()))),
    ):
        assert dict(again) == dict(scheme)
        assert [name for name, layer in again.items() if layer.float_input] == ["float input"]
        assert [name for name, layer in again.items() if layer.smooth is not None] == ["smooth"]
    assert set(scheme.to_dict()["float input"]) == {"weight", "float_input"}  # as few words as it takes


def test_the_same_scheme_is_the_same_bytes(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    layers = {f"layer.{n}": Layer(symmetric(random.normal(size=(5, 7)), axis=0), affine(-0.1, 3.3)) for n in range(8)}
    written = set()
    for number in range(4):
        Scheme(layers if number % 2 else dict(reversed(layers.items()))).save(tmp_path / "scheme.safetensors")
        written.add((tmp_path / "scheme.safetensors").read_bytes())
    assert len(written) == 1


def test_a_scheme_with_a_key_for_each_quantizer_as_they_were_written_before_opens(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    quantizer = affine(-0.1, 3.3)
    tensors = {"a:weight:scale": quantizer.scale, "a:weight:zero_point": quantizer.zero_point}
    save_file(tensors, tmp_path / "scheme.safetensors", metadata={"a:weight": "uint8"})
    assert dict(Scheme.load(tmp_path / "scheme.safetensors")) == {"a": Layer(quantizer)}


def test_a_file_that_is_no_scheme_is_named(tmp_path: Path) -> None:
    (tmp_path / "scheme.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(CompressError, match=r"scheme\.safetensors is not a quantization scheme"):
        Scheme.load(tmp_path / "scheme.safetensors")


@pytest.mark.parametrize(
    ("kind", "axis", "scale", "zero", "message"),
    [
        ("int3", None, 1.0, 0, "Unknown integer type"),
        ("uint8", None, 1.0, 256, "outside uint8"),
        ("int8", None, 1.0, -129, "outside int8"),
        ("int8", None, 0.0, 0, "above 0"),
        ("int8", None, float("nan"), 0, "finite"),
        ("int8", 0, 1.0, 0, "do not fit axis 0"),
        ("int8", 0, [1.0, 2.0], [0], "do not fit axis 0"),
        ("int8", 0, [1.0, 0.0], [0, 0], "above 0"),  # one channel is enough
        ("int8", 0, [1.0, np.inf], [0, 0], "finite"),
        ("int8", 0, [1.0, 1.0], [0, 128], "outside int8"),
        ("int8", 0, [1.0, 1.0], [0, -129], "outside int8"),
    ],
)
def test_a_quantizer_that_cannot_be_is_refused(
    kind: str, axis: int | None, scale: object, zero: object, message: str
) -> None:
    with pytest.raises(CompressError, match=message):
        Quantizer(kind, axis, np.array(scale), np.array(zero))


def test_a_layer_that_cannot_be_is_refused() -> None:
    one = affine(0, 1)
    for parts, message in (
        ({}, "either a weight or a second activation"),
        ({"weight": one, "input": one, "other": one}, "either a weight or a second activation"),
        ({"other": one}, "a quantizer for each"),
        ({"weight": one, "input": one, "float_input": True}, "has no quantizer"),
    ):
        with pytest.raises(CompressError, match=message):
            Layer(**parts)


def test_onnx_is_not_needed_for_a_scheme() -> None:
    assert onnx.__name__ not in Quantizer.__module__
