from __future__ import annotations

import numpy as np
import pytest
import torch

from compress.core.errors import CompressError
from compress.quantization.blocks import BlockWeight, Grid, round_to_nearest

GRIDS = [(bits, block, symmetric) for bits in (4, 8) for block in (32, 128) for symmetric in (True, False)]


def weight(outputs: int = 24, inputs: int = 172) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((outputs, inputs), np.float32)


@pytest.mark.parametrize(("bits", "block", "symmetric"), GRIDS)
def test_the_integers_are_those_of_onnx_runtimes_own_quantizer(bits: int, block: int, symmetric: bool) -> None:
    from onnxruntime.capi import _pybind_state as theirs

    from compress.quantization.graphs.matmul_nbits import packed

    real = weight()
    outputs, inputs = real.shape
    blocks = -(-inputs // block)
    stored = np.zeros((outputs, blocks, block * bits // 8), np.uint8)
    scale = np.zeros(outputs * blocks, np.float32)
    zero_point = np.zeros((outputs, -(-blocks * bits // 8)), np.uint8)
    quantize = {4: theirs.quantize_matmul_4bits, 8: theirs.quantize_matmul_8bits}[bits]
    turned = np.ascontiguousarray(real.T)
    quantize(stored, turned, scale, zero_point, block, outputs, inputs, symmetric)
    ours = packed(round_to_nearest(real, Grid(bits, block, symmetric)))
    filled = inputs % block * bits // 8  # what fills the last block multiplies nothing
    np.testing.assert_array_equal(ours[0][:, :-1], stored[:, :-1])
    np.testing.assert_array_equal(ours[0][:, -1, :filled], stored[:, -1, :filled])
    np.testing.assert_array_equal(ours[1].ravel(), scale)
    if not symmetric:
        used = blocks * bits // 8
        np.testing.assert_array_equal(ours[2][:, :used], zero_point[:, :used])


@pytest.mark.parametrize(("bits", "block", "symmetric"), GRIDS)
def test_no_weight_moves_by_more_than_its_blocks_rounding(bits: int, block: int, symmetric: bool) -> None:
    real = torch.from_numpy(weight())
    made = round_to_nearest(real, Grid(bits, block, symmetric))
    step = made.scale.abs().repeat_interleave(block, dim=1)[:, : real.shape[1]]
    # Of a symmetric block the largest value by size is exact, and one as large of the other sign loses a whole step.
    assert bool(((made.real() - real).abs() <= step * (1.0 if symmetric else 0.5) * 1.0001).all())
    assert made.integers.max() <= 2**bits - 1


def test_zeros_stay_zeros_and_a_block_of_them_has_a_scale() -> None:
    real = torch.from_numpy(weight())
    real[:, :40] = 0
    for symmetric in (True, False):
        made = round_to_nearest(real, Grid(4, 32, symmetric))
        assert not made.real()[:, :40].any()
        assert bool((made.scale != 0).all())


@pytest.mark.parametrize(("sign", "zero_point"), [(1, 0), (-1, 15)])
def test_zero_is_in_the_range_of_a_block_whose_values_have_one_sign(sign: int, zero_point: int) -> None:
    made = round_to_nearest(sign * np.linspace(1, 3, 16, dtype=np.float32)[None], Grid(4, 16))
    assert made.zero_point.tolist() == [[zero_point]]
    assert made.scale.tolist() == [[pytest.approx(3 / 15)]]
    assert not torch.equal(made.scale, made.scale.half().float())  # 32 bits, unless 16 are asked for


def test_scales_of_sixteen_bits_are_such_numbers_and_the_integers_are_chosen_for_them() -> None:
    real = torch.from_numpy(weight())
    made = round_to_nearest(real, Grid(4, 32, True, half_scales=True))
    assert torch.equal(made.scale.half().float(), made.scale)
    again = (real / made.scale.repeat_interleave(32, dim=1)[:, :172] + 8).round().clamp(0, 15)
    assert float((again != made.integers).float().mean()) < 1e-3  # ties


@pytest.mark.parametrize("symmetric", [True, False])
def test_very_small_weights_are_not_taken_for_zeros(symmetric: bool) -> None:
    small = round_to_nearest(weight() * np.float32(2.0**-80), Grid(4, 32, symmetric))
    assert torch.equal(small.integers, round_to_nearest(weight(), Grid(4, 32, symmetric)).integers)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(CompressError, match="4 or 8 bits, not 3"):
        Grid(3)
    for block in (8, 48):
        with pytest.raises(CompressError, match=f"not {block}"):
            Grid(4, block)
    with pytest.raises(CompressError, match="not finite"):
        round_to_nearest(np.full((2, 32), np.nan, np.float32), Grid())
    one = weight()
    one[3, 40] = np.nan
    with pytest.raises(CompressError, match="not finite"):
        round_to_nearest(one, Grid())
    made = round_to_nearest(weight(), Grid())
    with pytest.raises(CompressError, match="24 x 6 scales"):
        BlockWeight(made.grid, made.integers, made.scale[:, :5], made.zero_point)
