"""Tiny random generative models of every family, whose outputs differ from input to input, and their exports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import families

VOCABULARY, LONGEST = 300, 128  # a tied head is large enough for the tracer to leave it transposed
TABLES = ("embed", "shared", "wte", "wpe")
SIZES = {"embed": 1.0, "shared": 1.0, "wte": 1.0, "wpe": 0.3, "fc1": 0.75, "fc2": 0.75, "encoder_attn.out_proj": 5.0}
"""Of weights' spread: what is read, and in BART the encoder's states, outweigh what a token becomes by itself."""
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}


@dataclass(frozen=True)
class ExportedGenerator:
    """A torch model and the folder with its graphs and configs. parts: a graph's file by part."""

    model: Any
    folder: Path
    parts: dict[str, str]

    @property
    def paths(self) -> dict[str, Path]:
        return {part: self.folder / name for part, name in self.parts.items()}


def strong_generator(family: str, *, layers: int = 2, seed: int | None = None, **changes: Any) -> Any:
    """Weights so large that attention is far from even, and the two best tokens far apart: rounding decides nothing."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    known = families.FAMILIES.get(family, families.FAMILIES["llama"])
    torch.manual_seed(known.seed if seed is None else seed)
    tiny = families.config(family, layers=layers)
    config = AutoConfig.for_model(family, **{"vocab_size": VOCABULARY, **TOKENS, **tiny, **changes})
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = kind.from_config(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not weight.requires_grad:  # sines
                continue
            if weight.ndim == 2:
                size = next((size for part, size in SIZES.items() if part in name), 2.5)
                weight.normal_(0, size if any(part in name for part in TABLES) else size / weight.shape[1] ** 0.5)
            elif name.endswith("bias"):
                weight.normal_(0, 0.3)
    return model


def export_generator(folder: Path, family: str, **changes: Any) -> ExportedGenerator:
    """The export of a `strong_generator`, with its configs beside it."""
    from compress.onnx.export_with_cache import export_generative

    model = strong_generator(family, **changes)
    exported = export_generative(model, folder)
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    return ExportedGenerator(model, folder, {part: path.name for part, path in exported.parts.items()})


_MADE: dict[tuple[str, int], ExportedGenerator] = {}


def exported(family: str, folders: pytest.TempPathFactory, *, layers: int = 2) -> ExportedGenerator:
    """The same, once for all tests: a trace takes seconds."""
    if (family, layers) not in _MADE:
        _MADE[family, layers] = export_generator(folders.mktemp(family), family, layers=layers)
    return _MADE[family, layers]


def prompts(count: int, *, longest: int = 24, seed: int = 0) -> list[np.ndarray]:
    """Random token ids of unequal lengths, 1 among them."""
    random = np.random.default_rng(seed)
    lengths = [1, *random.integers(2, longest + 1, count - 1)]
    return [random.integers(3, VOCABULARY, length) for length in lengths]


def batch(rows: list[np.ndarray], *, left: bool) -> dict[str, Any]:
    """`input_ids` and `attention_mask` [rows, longest], padded with 0."""
    import torch

    longest = max(len(row) for row in rows)
    ids = np.zeros((len(rows), longest), np.int64)
    mask = np.zeros_like(ids)
    for line, row in enumerate(rows):
        place = slice(longest - len(row), longest) if left else slice(0, len(row))
        ids[line, place], mask[line, place] = row, 1
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
