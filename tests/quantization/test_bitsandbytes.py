from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.models import load as models
from compress.quantization.bitsandbytes import quantized
from tests.families import config
from tests.generative import strong_generator
from tests.tiny import write_model, write_tokenizer

IDS = torch.arange(5, 69).view(4, 16) % 25 + 5
installed = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="the extra `bitsandbytes` is not installed"
)


def folder_of(folder: Path, family: str, **changes: Any) -> Path:
    """A model whose logits are no more than gently moved by rounding: small weights, as trained ones have."""
    model = strong_generator(family, **changes)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and "embed" not in name:
                weight.mul_(0.4)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def saved(folder: Path, kind: Any, to: Path, exclude: tuple[str, ...] = ()) -> tuple[Any, dict[str, Any]]:
    model, told = quantized(folder, kind, exclude)
    models.save(model, models.tokenizer(folder), to)
    return models.load(Artifact(to, {"name": "x", "weights": "0"}, None, precision=kind)), told


def logits(model: Any) -> torch.Tensor:
    targets = {"decoder_input_ids": IDS} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS, **targets).logits
    return found


def dequantized(stored: dict[str, torch.Tensor], name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """A weight from the file alone: nf4's table and a scale for each 64, or a scale for each row of int8."""
    if f"{name}.quant_map" in stored:
        integers = stored[name].flatten()
        both = torch.stack([integers >> 4, integers & 15], dim=-1).flatten().long()
        values = stored[f"{name}.quant_map"][both].view(-1, 64) * stored[f"{name}.absmax"][:, None]
        return values.view(shape)
    return stored[name].float() * stored[f"{name.removesuffix('weight')}SCB"][:, None] / 127


@installed
@pytest.mark.parametrize("kind", ["nf4", "int8"])
@pytest.mark.parametrize("family", ["llama", "bart"])
def test_what_was_saved_opens_as_the_model_with_the_stored_weights(family: str, kind: str, tmp_path: Path) -> None:
    wide = config(family, times=2)
    source = folder_of(tmp_path / "source", family, **wide)
    again, told = saved(source, kind, tmp_path / "made")
    plain = strong_generator(family, **wide).__class__.from_pretrained(source).eval()
    before = logits(plain)
    stored: dict[str, torch.Tensor] = {}
    for file in (tmp_path / "made").glob("*.safetensors"):
        stored |= load_file(file)
    changed = 0
    with torch.no_grad():
        for name, weight in plain.named_parameters():
            if name in stored and stored[name].dtype in (torch.uint8, torch.int8):
                rounded = dequantized(stored, name, tuple(weight.shape))
                assert 0 < float((rounded - weight).abs().max()) < 0.2 * float(weight.abs().max())
                weight.copy_(rounded)
                changed += 1
    assert changed == told["layers_quantized"] > 0
    found, wanted = logits(again), logits(plain)
    error = float((found - wanted).norm() / wanted.norm())
    moved = float((wanted - before).norm() / before.norm())
    assert error < 0.05  # nf4's kernel for CPUs computes in bf16; int8's rounds the inputs too
    assert moved > (0.02 if kind == "nf4" else 0.001)


@installed
def test_nf4_is_a_seventh_of_the_size_and_int8_a_quarter(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", "llama", hidden_size=256, intermediate_size=512, tie_word_embeddings=True)
    whole = (source / "model.safetensors").stat().st_size
    table = 300 * 256 * 4
    for kind, share in (("nf4", 1 / 8 + 1 / 64), ("int8", 1 / 4)):
        saved(source, kind, tmp_path / kind)
        size = sum(file.stat().st_size for file in (tmp_path / kind).glob("*.safetensors"))
        assert size - table == pytest.approx((whole - table) * share, rel=0.1)


@installed
def test_matrices_that_its_kernels_fail_on_and_excluded_ones_stay_in_float(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", "llama", hidden_size=64, intermediate_size=172)
    again, told = saved(source, "nf4", tmp_path / "made", ("*.v_proj",))
    mlp = {f"mlp.{name}_proj": 2 for name in ("gate", "up", "down")}
    assert told["left in floating point"] == {"lm_head": 1, "self_attn.v_proj": 2, **mlp}
    assert told["layers_quantized"] == 2 * 3
    assert again.model.layers[0].mlp.up_proj.weight.dtype == torch.float32
    assert np.isfinite(logits(again).numpy()).all()


@installed
def test_a_classifier_keeps_its_head(tmp_path: Path) -> None:
    source = write_model(tmp_path / "source")
    again, told = saved(source, "int8", tmp_path / "made")
    assert told["layers_quantized"] == 4 * 6
    assert again.classifier.weight.dtype == torch.float32
    found, wanted = logits(again), logits(models.classifier(source))
    torch.testing.assert_close(found, wanted, rtol=0.05, atol=0.02)


@installed
def test_nothing_to_quantize_is_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", "llama")
    with pytest.raises(CompressError, match="multiples of 32, inputs of 64"):
        quantized(source, "nf4", ("*",))


def test_without_bitsandbytes_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CompressError, match=r"pip install 'compress-transformers\[bitsandbytes\]'"):
        quantized(tmp_path, "nf4")
