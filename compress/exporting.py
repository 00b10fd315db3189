"""From a torch artifact to its fp32 ONNX graph: exported once, compared with its source on real rows, and cached."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.artifact import Artifact
from compress.models import load, tokenizer
from compress.progress import say

PARITY_ROWS = 24


@dataclass(frozen=True)
class Exported:
    """An fp32 graph and how far it is from torch."""

    graph: Path
    parity: Mapping[str, Any]
    config: Any
    """The model's transformers config."""


def exported(source: Artifact, task: Mapping[str, Any] | None, cache: Path, *, provider: str = "cpu") -> Exported:
    """The fp32 graph of a torch artifact.

    Raises:
        CompressError: the model cannot be exported, or its graph differs from it beyond the tolerance.
    """
    from transformers import AutoConfig

    from compress.onnx import export as exporter
    from compress.onnx import parity

    model = load(source).float()
    folder = cache / "exports" / f"{source.fingerprint()}-{provider}"
    graph = folder / "model.onnx"
    if not graph.is_file():
        say(f"{source.folder.name}: exporting to ONNX.")
        folder.mkdir(parents=True, exist_ok=True)
        exporter.export(model, folder / "model.partial.onnx", provider=provider)
        (folder / "model.partial.onnx").replace(graph)
    its_tokenizer = tokenizer(source.folder)
    rows, where = parity_rows(its_tokenizer, task)
    found = parity.check(graph, model, rows, padding={"input_ids": its_tokenizer.pad_token_id or 0})
    config = AutoConfig.from_pretrained(source.folder)
    return Exported(graph, {**found.to_dict(), "rows_from": where}, config)


def parity_rows(its_tokenizer: Any, task: Mapping[str, Any] | None) -> tuple[list[dict[str, np.ndarray]], str]:
    """Encoded rows to compare models on, and where they are from: the task's training split, else sentences of ours."""
    if task is not None:
        from compress.tasks import loading

        described, data = loading.resolve(dict(task))
        split = loading.load(described, data, "train")
        few = split.rows.select(range(min(PARITY_ROWS, len(split.rows))))
        encoded = loading.tokenize(few, its_tokenizer, 128).rows
        names = [name for name in its_tokenizer.model_input_names if name in encoded.column_names]
        return [
            {name: np.asarray(row[name], np.int64) for name in names} for row in encoded
        ], f"{described.name}, train"
    sentences = [
        "It works.",
        "The handle broke after a week, and nobody answered my letters.",
        "A quiet, careful film that trusts its audience, even where the plot does not.",
        "No!",
    ]
    return [
        {name: np.asarray(values, np.int64) for name, values in its_tokenizer(text, truncation=True).items()}
        for text in sentences
    ], "four sentences of this tool, since the model has no task"


def finish_folder(source: Artifact, folder: Path, graph: Path) -> dict[str, str]:
    """Put the graph, the tokenizer and the config into the new artifact's folder; returns its parts."""
    if graph.parent != folder:
        shutil.copyfile(graph, folder / "model.onnx")
    for pattern in ("config.json", "*token*.json", "vocab*", "merges.txt", "*.model", "special_tokens_map.json"):
        for file in source.folder.glob(pattern):
            if file.is_file() and not (folder / file.name).exists():
                shutil.copyfile(file, folder / file.name)
    return {"model": "model.onnx"}
