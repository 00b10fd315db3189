"""Tiny models that write text as artifacts, torch and ONNX: a trace takes seconds, so each is made once for all tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compress.core.artifact import Artifact
from tests import families
from tests.generative import VOCABULARY, strong_generator
from tests.tiny_generators import write_generator_tokenizer, write_pairs, write_text

TOKENS = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, "decoder_start_token_id": 2}


def write_strong(folder: Path, family: str, **changes: Any) -> Path:
    """A random model of a family whose outputs differ from input to input, with its tokenizer, as a Hugging Face folder."""
    write_generator_tokenizer(folder, begins=not families.is_seq2seq(family))
    settings = {"layers": 1, "vocab_size": VOCABULARY, **TOKENS, **families.config(family, times=2), **changes}
    strong_generator(family, **settings).save_pretrained(folder)
    return folder


_TORCH: dict[str, Artifact] = {}
_ONNX: dict[str, Artifact] = {}


def torch_generator(family: str, folders: pytest.TempPathFactory) -> Artifact:
    """A `write_strong` model as an artifact without steps."""
    from compress.models.load import checkpoint_artifact

    if family not in _TORCH:
        _TORCH[family] = checkpoint_artifact(write_strong(folders.mktemp(f"torch-{family}"), family), f"tiny-{family}")
    return _TORCH[family]


def onnx_generator(family: str, folders: pytest.TempPathFactory) -> Artifact:
    """Its fp32 export, a finished artifact; it remembers the task that it was compared on."""
    from compress.core import catalogue
    from compress.techniques.apply import apply

    if family not in _ONNX:
        folder, technique = folders.mktemp(f"onnx-{family}"), catalogue.find("techniques", "export")
        task = write_pairs(folder / "data") if families.is_seq2seq(family) else write_text(folder / "data")
        source = torch_generator(family, folders)
        _ONNX[family] = apply(technique, source, technique.settings(), folder / "fp32", task=task)
    return _ONNX[family]
