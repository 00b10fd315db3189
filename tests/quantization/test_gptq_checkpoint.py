from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from compress.core.errors import CompressError
from compress.models import gptq_checkpoint
from compress.models.families.matrices import weight_of
from compress.models.generators import generator
from compress.models.gptq_checkpoint import unpack
from compress.quantization.blocks import Grid, round_to_nearest
from compress.quantization.gptq_checkpoint import check_widths, pack, write
from tests.generative import strong_generator

WIDE = {
    "llama": {"hidden_size": 64, "intermediate_size": 160},
    "gpt2": {"n_embd": 64},
    "bloom": {"hidden_size": 64},
}
GRIDS = [Grid(bits, 32, symmetric, half_scales=True) for bits in (4, 8) for symmetric in (True, False)]
IDS = torch.arange(5, 21).view(2, 8)


def written(
    folder: Path, family: str = "llama", grid: Grid = GRIDS[0], exclude: tuple[str, ...] = ()
) -> tuple[Any, dict[str, torch.Tensor]]:
    """A model with rounded weights, and the logits that its checkpoint in `folder` must give."""
    model = strong_generator(family, **WIDE[family])
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(value.half())
    weights = {
        name: round_to_nearest(weight_of(model.get_submodule(name)).detach(), grid)
        for name in check_widths(model, exclude)
    }
    with torch.no_grad():
        for name, weight in weights.items():
            weight_of(model.get_submodule(name)).copy_(weight.real())
        write(model, weights, folder)
        return model, model(input_ids=IDS).logits


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_what_is_packed_comes_out_as_it_was(grid: Grid) -> None:
    real = torch.randn(96, 160, generator=torch.Generator().manual_seed(0))
    real[:4, :32] = real[:4, :32].abs() + 1  # a zero point of 0, where there are any
    weight = round_to_nearest(real, grid)
    parts = pack(weight)
    assert {name: (value.dtype, tuple(value.shape)) for name, value in parts.items()} == {
        "qweight": (torch.int32, (160 * grid.bits // 32, 96)),
        "qzeros": (torch.int32, (5, 96 * grid.bits // 32)),
        "scales": (torch.float16, (5, 96)),
        "g_idx": (torch.int32, (160,)),
    }
    assert torch.equal(unpack(parts, grid.bits, second_version=not grid.symmetric), weight.real())


def test_the_file_holds_what_the_formats_description_says(tmp_path: Path) -> None:
    """Read with nothing but NumPy, nibble by nibble."""
    model, _ = written(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    name = "model.layers.1.mlp.down_proj"
    words, zeros, scales, blocks = (stored[f"{name}.{part}"] for part in ("qweight", "qzeros", "scales", "g_idx"))
    found = np.empty((64, 160), np.float32)
    for output in range(0, 64, 7):
        for place in range(160):
            integer = int(words.view(np.uint32)[place // 8, output]) >> 4 * (place % 8) & 15
            zero = (int(zeros.view(np.uint32)[blocks[place], output // 8]) >> 4 * (output % 8) & 15) + 1
            found[output, place] = (integer - zero) * np.float32(scales[blocks[place], output])
    wanted = model.get_submodule(name).weight.detach().numpy()
    np.testing.assert_allclose(found[::7], wanted[::7], rtol=0, atol=0)
    assert f"{name}.weight" not in stored
    assert stored["model.embed_tokens.weight"].dtype == np.float16


@pytest.mark.parametrize("grid", GRIDS[:2], ids=str)
@pytest.mark.parametrize("family", list(WIDE))
def test_a_checkpoint_opens_as_the_model_with_the_dequantized_weights(family: str, grid: Grid, tmp_path: Path) -> None:
    _, wanted = written(tmp_path, family, grid)
    model = generator(tmp_path)
    assert model.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=IDS).logits, wanted, rtol=1e-5, atol=1e-4)


def test_its_config_says_what_readers_ask_for(tmp_path: Path) -> None:
    model, wanted = written(tmp_path, exclude=("*.down_proj", "*.v_proj"))
    told = json.loads((tmp_path / "config.json").read_text())["quantization_config"]
    assert {name: told[name] for name in ("quant_method", "bits", "group_size", "sym", "checkpoint_format")} == {
        "quant_method": "gptq",
        "bits": 4,
        "group_size": 32,
        "sym": True,
        "checkpoint_format": "gptq",
    }
    assert told == json.loads((tmp_path / "quantize_config.json").read_text())
    assert sorted(told["dynamic"]) == [r"-:.*\.mlp\.down_proj$", r"-:.*\.self_attn\.v_proj$"]
    assert "mlp.down_proj" not in told["modules_in_block_to_quantize"][0]
    stored = load_file(tmp_path / "model.safetensors")
    assert "model.layers.0.mlp.down_proj.weight" in stored
    with torch.no_grad():
        torch.testing.assert_close(generator(tmp_path)(input_ids=IDS).logits, wanted, rtol=1e-5, atol=1e-4)
    assert not hasattr(model.config, "quantization_config")


@pytest.mark.slow
@pytest.mark.skipif(
    not (importlib.util.find_spec("gptqmodel") and importlib.util.find_spec("optimum")),
    reason="the extra `gptq` is not installed",
)
@pytest.mark.parametrize("family", ["llama", "bloom"])
def test_transformers_opens_it_with_gptqmodels_kernels(family: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    _, wanted = written(tmp_path, family)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, device_map="cpu", dtype=torch.float32)
    kinds = {type(module).__module__.partition(".")[0] for module in model.modules()}
    assert "gptqmodel" in kinds
    with torch.no_grad():
        found = model(input_ids=IDS).logits.float()
    assert float((found - wanted).abs().max()) < 0.05 * float(wanted.abs().max())  # its kernels compute in 16 bits


def test_what_the_format_cannot_hold_is_refused_with_the_way_out() -> None:
    narrow = strong_generator("llama", hidden_size=64, intermediate_size=172)
    with pytest.raises(CompressError, match=r"172 outputs and 64 inputs.*'\*\.gate_proj'"):
        check_widths(narrow)
    assert len(check_widths(narrow, ["*.mlp.*"])) == 8
    with pytest.raises(CompressError, match="self_attn.q_proj of other layers is not"):
        check_widths(narrow, ["*.mlp.*", "*.0.self_attn.q_proj"])
    with pytest.raises(CompressError, match="Exclude fewer"):
        check_widths(narrow, ["*"])
    with pytest.raises(CompressError, match="172 x 64"):
        pack(round_to_nearest(torch.ones(172, 64), Grid()))


def test_a_checkpoint_that_lacks_a_part_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file as load
    from safetensors.torch import save_file

    written(tmp_path)
    stored = load(tmp_path / "model.safetensors")
    del stored["model.layers.0.mlp.up_proj.scales"]
    save_file(stored, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CompressError, match=r"lacks the tensor 'model.layers.0.mlp.up_proj.scales'"):
        generator(tmp_path)
    assert gptq_checkpoint.is_described({"quantization_config": {"quant_method": "gptq"}})
    assert not gptq_checkpoint.is_described({})
