"""Which files of a model's folder determine the model and tokenizer: all are part of its fingerprint, and all except
weights are copied with it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

ADAPTER = "adapter_config.json"
WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
SETTINGS = ("config.json", "generation_config.json", "quantize_config.json", ADAPTER)
TOKENIZER = (
    *("*token*.json", "*vocab*", "merges*.txt", "dict*.txt", "emoji.json", "byte_maps.json", "normalizer.json"),
    *("word_*.json", "*.model", "*.spm", "*.codes", "*.bpe", "*.tokenizer", "*.tiktoken"),
    *("*.jinja", "additional_chat_templates/*.jinja"),
)
"""Every name that a tokenizer of transformers reads its vocabulary, its settings or its chat templates from."""
OPENED = (*WEIGHTS, *PICKLES, "*.onnx", *SETTINGS, *TOKENIZER)
"""Files that a library may open because they are in a folder, listed or not."""


def deciding(folder: Path) -> list[Path]:
    """The files of a Hugging Face folder that determine what is opened from it: weights, settings, tokenizer, and its own code
    where the settings name some."""
    own_code = ("*.py",) if any(_names_code(folder / name) for name in ("config.json", "tokenizer_config.json")) else ()
    return _found(folder, (*WEIGHTS, *SETTINGS, *TOKENIZER, *own_code))


def copy_beside(source: Path, target: Path) -> None:
    """Copy what belongs to a model beside its weights into another folder: settings, tokenizer, chat templates, own code."""
    for file in deciding(source):
        if file.suffix != ".safetensors" and not file.name.endswith(".safetensors.index.json") and file.name != ADAPTER:
            copied = target / file.relative_to(source)
            copied.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, copied)


def patterns_to_download() -> tuple[str, ...]:
    """The name patterns of a model's files, except its own code."""
    return (*WEIGHTS, *SETTINGS, *TOKENIZER)


def of_tokenizer(folder: Path) -> list[Path]:
    """The files of a folder that its tokenizer is read from."""
    return _found(folder, TOKENIZER)


def openable(folder: Path) -> list[Path]:
    """The files of a folder that a library may open because they are there."""
    return _found(folder, OPENED)


def _found(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})


def _names_code(file: Path) -> bool:
    try:
        return "auto_map" in json.loads(file.read_bytes())
    except (OSError, ValueError, TypeError, RecursionError):
        return False
