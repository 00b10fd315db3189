"""Finds the files with a model's weights: safetensors in the model's own folder, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError, listing
from compress.core.model_files import PICKLES
from compress.models.pretrained import raw_config

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
"""What transformers looks for, in this order."""
PARTS_OF_A_TRAINING = re.compile(r"shard-\d{5}-model-\d{5}-of-\d{5}\.safetensors")
"""Files of a distributed training, which transformers would open in the place of the model's own."""


def weights(folder: Path) -> list[Path]:
    """The files that transformers reads a model's weights from: one, or an index and those that it names.

    Raises:
        CompressError: there are none, they are pickled, an index names a file that is not in the folder, or there is no config.
    """
    config = raw_config(folder)
    if any(PARTS_OF_A_TRAINING.fullmatch(file.name) for file in folder.glob("shard-*.safetensors")):
        raise CompressError(
            f"{folder} holds the shards of a distributed training (shard-...safetensors), not a model. Save the model "
            "whole with `save_pretrained`, and give that folder."
        )
    shards = {index: _shards(index) for index in sorted(folder.glob("*.safetensors.index.json"))}
    named = config.get("transformers_weights")
    if named is not None:
        return _named(folder, named, shards)
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if (folder / INDEX) in shards:
        return [folder / INDEX, *shards[folder / INDEX]]
    raise CompressError(_without(folder, config))


def _shards(index: Path) -> list[Path]:
    try:
        named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        files = sorted(str(name) for name in named)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CompressError(
            f"{index} is not an index of weights ({type(error).__name__}). Copy or download the model again."
        ) from error
    for name in files:
        _check_name(index.parent, name, index.name)
    return [index.parent / name for name in files]


def _named(folder: Path, named: Any, shards: Mapping[Path, list[Path]]) -> list[Path]:
    """`transformers_weights` of a config: a file of weights or an index by another name."""
    if isinstance(named, str) and folder / named in shards:
        return [folder / named, *shards[folder / named]]
    _check_name(folder, str(named), "config.json")
    return [folder / str(named)]


def _check_name(folder: Path, name: str, by: str) -> None:
    if Path(name).name != name or not name.endswith(".safetensors"):
        raise CompressError(
            f"{folder / by} names the weights '{name[:100]}', and only *.safetensors files in the folder itself are read. "
            "Save the model again as safetensors."
        )
    try:
        is_there = (folder / name).is_file()
    except OSError:  # no system has so long a name
        is_there = False
    if not is_there:
        raise CompressError(f"{folder / by} names {name[:100]}, which is missing. Copy or download the model again.")


def _without(folder: Path, config: Mapping[str, Any]) -> str:
    """Why a folder without readable weights is refused."""
    pickled = sorted({file.name for pattern in PICKLES for file in folder.glob(pattern)})
    if pickled:
        kinds = config.get("architectures")
        name = str(kinds[0]) if isinstance(kinds, list) and kinds else "AutoModel"
        name = name if name.isidentifier() else "AutoModel"
        return (
            f"{folder} has only pickled weights ({pickled[0]}), which can run code when they are read. If you trust them, "
            f'convert them once, in that folder: python -c "from transformers import {name} as M; '
            "M.from_pretrained('.').save_pretrained('.')\""
        )
    if any(folder.glob("*.onnx")) or any(folder.glob("onnx/*.onnx")):
        return (
            f"{folder} holds ONNX graphs that compress did not make (there is no manifest.json), and no weights to start "
            "from. Give the torch model that they were exported from."
        )
    others = [file.name for file in folder.glob("*.safetensors")]
    if others:
        return (
            f"{folder} has neither {SINGLE} nor {INDEX}, from which a model is read, only {listing(others)[:150]}. "
            "Check that the model was saved completely."
        )
    return f"{folder} holds no *.safetensors file. Check that the model was saved completely."
