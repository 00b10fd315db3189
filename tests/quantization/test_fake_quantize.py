"""Fake quantization against LSQ's formulas, finite differences, torch and ONNX Runtime."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from compress.quantization.fake_quantize import DynamicQuantizer, FakeQuantizer, Smoothing, integers
from compress.quantization.scheme import LIMITS, Quantizer, affine
from tests.quantization.test_scheme import by_onnx

TYPES = [("int8", 0), ("uint8", 128), ("uint8", 17), ("int4", 0)]


def values_in_and_out(scale: float, kind: str, zero: int) -> Tensor:
    """Values within the type's range and beyond both ends, none of them near a rounding boundary."""
    low, high = LIMITS[kind]
    random = torch.Generator().manual_seed(0)
    steps = torch.randint(low - zero - 40, high - zero + 40, (64,), generator=random).double()
    return (steps + 0.4 * (2 * torch.rand(64, generator=random, dtype=torch.float64) - 1)) * scale


def fake(values: Tensor, scale: Tensor, zero: Tensor, kind: str) -> Tensor:
    return integers(values, scale, zero, *LIMITS[kind]) * scale


@pytest.mark.parametrize(("kind", "zero"), TYPES)
def test_the_gradients_are_those_of_the_lsq_paper(kind: str, zero: int) -> None:
    values = values_in_and_out(0.05, kind, zero).requires_grad_()
    scale = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    offset = torch.tensor(float(zero), dtype=torch.float64, requires_grad=True)
    incoming = torch.randn(64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    fake(values, scale, offset, kind).backward(incoming)
    low, high = LIMITS[kind]
    least, greatest = low - zero, high - zero
    ratio = (values / scale).detach()
    inside = (ratio > least - 0.5) & (ratio < greatest + 0.5)
    # Esser et al. 2020, equation 3 for the step size and equation 5's straight-through rule for the values.
    of_scale = torch.where(inside, ratio.round() - ratio, torch.where(ratio <= least, float(least), float(greatest)))
    assert values.grad is not None
    assert scale.grad is not None
    assert offset.grad is not None
    torch.testing.assert_close(values.grad, incoming * inside)
    torch.testing.assert_close(scale.grad, (incoming * of_scale).sum())
    # LSQ+: an offset moves what clips, by a whole step, and nothing within the range.
    torch.testing.assert_close(offset.grad, -(incoming * ~inside).sum() * 0.05)
    assert 0 < inside.sum() < 64


@pytest.mark.parametrize(("kind", "zero"), TYPES)
def test_within_the_range_the_gradient_is_that_of_the_function_with_its_rounding_residual_frozen(
    kind: str, zero: int
) -> None:
    low, high = LIMITS[kind]
    values, start = values_in_and_out(0.05, kind, zero), 0.05
    values = values[(values / start > low - zero + 0.5) & (values / start < high - zero - 0.5)]
    residual = (values / start).round() - values / start

    def surrogate(scale: float) -> Tensor:
        return (((values / scale + residual + zero).clamp(low, high) - zero) * scale).square().sum()

    scale = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    (fake(values, scale, torch.tensor(float(zero), dtype=torch.float64), kind)).square().sum().backward()
    step = 1e-7
    difference = (surrogate(start + step) - surrogate(start - step)) / (2 * step)
    assert scale.grad is not None
    assert float(scale.grad) == pytest.approx(float(difference), rel=1e-5)


def test_where_values_clip_the_gradient_is_that_of_the_function_itself() -> None:
    values = torch.tensor([9.3, -7.1, 30.0], dtype=torch.float64)
    scale = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    zero = torch.tensor(100.0, dtype=torch.float64)
    weights = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    (fake(values, scale, zero, "uint8") * weights).sum().backward()

    def plain(scale: float) -> float:
        return float(((((values / scale).round() + 100).clamp(0, 255) - 100) * scale * weights).sum())

    assert scale.grad is not None
    assert float(scale.grad) == pytest.approx((plain(0.05 + 1e-6) - plain(0.05 - 1e-6)) / 2e-6, rel=1e-6)


@pytest.mark.parametrize(("kind", "axis"), [("int8", None), ("int8", 0), ("int8", 1), ("uint8", None)])
def test_values_are_rounded_and_saturated_as_onnx_runtime_does_to_the_bit(kind: str, axis: int | None) -> None:
    random = np.random.default_rng(0)
    size = () if axis is None else ((16, 24)[axis],)
    # Powers of two make ties exact: halves go to the even neighbour, and beyond the ends they saturate.
    scale = np.exp2(random.integers(-4, 2, size)).astype(np.float32)
    zero = random.integers(0, 256, size) if kind == "uint8" else np.zeros(size, int)
    quantizer = Quantizer(kind, axis, scale, zero)
    values = (random.integers(-900, 900, (16, 24)) / 4).astype(np.float32)
    found, step = FakeQuantizer(quantizer, count=24)(torch.from_numpy(values))
    for _, reals in by_onnx(quantizer, values).values():
        assert np.array_equal((found * step).detach().numpy(), reals)


@pytest.mark.parametrize("kind", ["int8", "uint8", "int4"])
def test_before_training_a_quantizer_is_the_schemes_to_the_bit(kind: str) -> None:
    scale = np.random.default_rng(0).random(7, np.float32) + np.float32(1e-3)
    start = Quantizer(kind, 0, scale, np.full(7, 3 if kind == "uint8" else 0))
    assert FakeQuantizer(start, count=5).quantizer() == start
    assert FakeQuantizer(start, count=5, learned=False).quantizer() == start


@settings(max_examples=30, deadline=None)
@given(growth=st.floats(-3, 3), shift=st.floats(-3, 3))
def test_however_far_training_moves_it_scale_and_zero_point_stay_valid(growth: float, shift: float) -> None:
    made = FakeQuantizer(affine(-1.0, 3.0), count=8)
    with torch.no_grad():
        made.growth.fill_(growth)
        made.shift.fill_(shift)
    found = made.quantizer()  # refuses what is not
    assert float(found.scale) == pytest.approx(4 / 255 * math.exp(growth), rel=1e-5)
    assert 0 <= int(found.zero_point) <= 255


def test_the_step_sizes_gradient_has_the_papers_scale() -> None:
    quantizer = Quantizer("int8", 0, np.full(3, 0.05, np.float32), np.zeros(3))
    weight = torch.randn(3, 40, generator=torch.Generator().manual_seed(0))
    made = FakeQuantizer(quantizer, count=40)
    found, step = made(weight)
    (found * step).square().sum().backward()
    scale = torch.full((3, 1), 0.05, requires_grad=True)
    fake(weight, scale, torch.zeros(3, 1), "int8").square().sum().backward()
    assert made.growth.grad is not None
    assert scale.grad is not None
    # d loss / d log s = s d loss / d s, times 1 / sqrt(count * Q_P).
    expected = scale.grad.view(-1) * 0.05 / math.sqrt(40 * 127)
    torch.testing.assert_close(made.growth.grad, expected)


def test_a_symmetric_quantizer_learns_no_zero_point_and_what_it_learns_is_not_decayed() -> None:
    symmetric = FakeQuantizer(Quantizer("int8", None, np.array(0.1), np.array(0)), count=8)
    assert [name for name, _ in symmetric.named_parameters()] == ["growth"]
    learned = [*FakeQuantizer(affine(-1, 1), count=8).parameters(), *Smoothing(np.ones(4)).parameters()]
    assert len(learned) == 3
    assert all(getattr(one, "no_weight_decay", False) for one in learned)


def test_step_sizes_and_rounding_are_fp32_under_autocast() -> None:
    made = FakeQuantizer(affine(-2.0, 2.0), count=8)
    values = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    expected, _ = made(values)
    with torch.autocast("cpu", torch.bfloat16):
        found, step = made(values)
    assert found.dtype == step.dtype == torch.float32
    assert torch.equal(found, expected)


def test_a_dynamic_range_is_that_of_onnxs_dynamic_quantize_linear() -> None:
    import onnxruntime
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"])],
        "dynamic",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [6, 8])],
        [
            helper.make_tensor_value_info("q", TensorProto.UINT8, [6, 8]),
            helper.make_tensor_value_info("s", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("z", TensorProto.UINT8, []),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for seed in range(5):
        values = torch.randn(6, 8, generator=torch.Generator().manual_seed(seed)) + seed
        whole, scale, zero = session.run(None, {"x": values.numpy()})
        found, step = DynamicQuantizer()(values)
        assert float(step) == pytest.approx(float(scale), rel=1e-6)
        assert np.abs(found.numpy() - (whole.astype(int) - int(zero))).max() <= 1


def watching(quantizer: Quantizer, batches: list[Any]) -> FakeQuantizer:
    made = FakeQuantizer(quantizer, count=8, learned=False)
    made.watching.fill_(True)
    for batch in batches:
        made(torch.as_tensor(batch))
    return made


def test_a_watching_range_follows_what_it_sees_and_rests_when_it_is_frozen() -> None:
    batches = [[-3.0, 0.0, 5.0]] * 200
    made = watching(affine(-1.0, 1.0), batches)
    assert float(made.quantizer().scale) == pytest.approx(8 / 255, rel=0.01)
    made.watching.fill_(False)
    before = made.quantizer()
    made(torch.tensor([-50.0, 50.0]))
    assert made.quantizer() == before


def test_a_watching_weight_has_the_range_of_its_largest_magnitudes() -> None:
    weight = torch.tensor([[1.0, -3.0], [0.5, 0.25]])
    made = watching(Quantizer("int8", 0, np.ones(2, np.float32), np.zeros(2)), [weight])
    np.testing.assert_allclose(made.quantizer().scale, np.array([3.0, 0.5]) / 127, rtol=1e-6)
