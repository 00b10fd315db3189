"""From a torch artifact to its fp32 ONNX graph: exported once, compared with its source on real rows, and cached."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress import __version__
from compress.artifact import Artifact, digest, write_whole
from compress.calibration import model_inputs
from compress.models import load, tokenizer
from compress.progress import say
from compress.technique import versions

PARITY_ROWS = 24
TOLD = "exported.json"
"""What is told of an export that is kept."""


@dataclass(frozen=True)
class Exported:
    """An fp32 graph and how far it is from torch."""

    graph: Path
    parity: Mapping[str, Any]
    facts: Mapping[str, Any]
    """What was fused, and the session options that the graph is meant for."""


def exported(
    source: Artifact, task: Mapping[str, Any] | None, cache: Path, *, provider: str = "cpu", fuse: bool = True
) -> Exported:
    """The fp32 graph of a torch artifact.

    Args:
        provider: `cpu` or `cuda`, the execution provider it is made for.
        fuse: rewrite the graph for the provider; else it is as the exporter wrote it.

    Raises:
        CompressError: the model cannot be exported, or its graph differs from it beyond the tolerance.
    """
    named = task["name"] if task else None  # the rows that the graph is compared on
    key = digest([source.fingerprint(), digest(source.files), provider, fuse, named, versions(), __version__])
    folder = cache / "exports" / key
    graph, told = folder / "model.onnx", folder / TOLD
    if graph.is_file() and told.is_file():
        found = json.loads(told.read_text(encoding="utf-8"))
        return Exported(graph, found["parity"], found["facts"])
    say(f"{source.folder.name}: exporting to ONNX and comparing it with torch.")
    return export_model(load(source).float(), folder, tokenizer(source.folder), task, provider=provider, fuse=fuse)


def export_model(
    model: Any,
    folder: Path,
    its_tokenizer: Any,
    task: Mapping[str, Any] | None,
    *,
    provider: str = "cpu",
    fuse: bool = True,
) -> Exported:
    """Write a float model's fp32 graph, `model.onnx`, into a folder, and what is to be told of it beside it.

    Raises:
        CompressError: the model cannot be exported, or its graph differs from it beyond the tolerance.
    """
    from compress.onnx import export as exporter
    from compress.onnx import fusion, parity

    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / "draft.onnx"
    exporter.export(model, draft, provider=provider)
    facts: dict[str, Any] = {"provider": provider, "fused": {}}
    if fuse and provider == "cpu":
        fused = folder / "fused.onnx"
        facts["fused"] = fusion.fuse(draft, fused).to_dict()
        fused.replace(draft)
    rows, where = parity_rows(its_tokenizer, task)
    checked = parity.check(draft, model, rows, padding={"input_ids": its_tokenizer.pad_token_id or 0})
    found = {"parity": {**checked.to_dict(), "rows_from": where}, "facts": facts}
    graph = folder / "model.onnx"
    draft.replace(graph)
    write_whole(folder / TOLD, json.dumps(found))
    return Exported(graph, found["parity"], found["facts"])


def parity_rows(its_tokenizer: Any, task: Mapping[str, Any] | None) -> tuple[list[dict[str, np.ndarray]], str]:
    """Encoded rows to compare models on, and where they are from: the task's training split, else sentences of ours."""
    if task is not None:
        from compress.tasks import loading

        described, data = loading.resolve(dict(task))
        split = loading.load(described, data, "train")
        few = split.rows.select(range(min(PARITY_ROWS, len(split.rows))))
        encoded = loading.tokenize(few, its_tokenizer, 128).rows
        return [model_inputs(row, its_tokenizer) for row in encoded], f"{described.name}, train"
    sentences = [
        "It works.",
        "The handle broke after a week, and nobody answered my letters.",
        "A quiet, careful film that trusts its audience, even where the plot does not.",
        "No!",
    ]
    encoded = [its_tokenizer(text, truncation=True) for text in sentences]
    return [model_inputs(row, its_tokenizer) for row in encoded], "four sentences of ours, since the model has no task"


def finish_folder(source: Artifact, folder: Path, graph: Path) -> dict[str, str]:
    """Put the graph, the tokenizer and the config into the new artifact's folder; returns its parts."""
    if graph.parent != folder:
        shutil.copyfile(graph, folder / "model.onnx")
    for pattern in ("config.json", "*token*.json", "vocab*", "merges.txt", "*.model", "special_tokens_map.json"):
        for file in source.folder.glob(pattern):
            if file.is_file():
                shutil.copyfile(file, folder / file.name)
    return {"model": "model.onnx"}
