"""A pipeline with every technique in it, on a BERT of width 64 and a few dozen made-up rows: it runs in seconds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import yaml

from compress.core.artifact import MANIFEST, Artifact
from tests.tiny import write_model, write_task

FEW = {"epochs": 1, "batch_size": 16, "max_length": 32, "precision": "fp32"}
STEPS = {
    "teacher": {"finetune": {**FEW, "epochs": 2}},
    "student": {"from": "teacher", "distill": {**FEW, "layers": 1}},
    "pruned": {"from": "teacher", "prune": {"method": "kwon", "target_ratio": 0.7, "calibration": "task-256"}},
    "dynamic": {"from": "student", "quantize": {"precision": "int8", "mode": "dynamic"}},
    "static": {"from": "student", "quantize": {"precision": "int8", "mode": "static", "calibration": "task-256"}},
    "qat": {"from": "student", "qat": {**FEW, "calibration": "task-256"}},
    "onnx": {"from": "student", "export": {}},
}
SUITE = {
    "threads": 1,
    "rounds": 2,
    "repeats": 0,
    "conditions": [{"batch": 1, "length": 16, "calls": 2}, {"batch": 4, "length": "real", "calls": 2}],
}


def write_pipeline(folder: Path, *, measured: bool = True, rows: int = 160) -> Path:
    """`model/`, `data/` and `tiny.yaml` in a folder; returns the pipeline's file."""
    write_model(folder / "model", "bert", num_hidden_layers=2, type_vocab_size=1, initializer_range=0.3)
    task = write_task(folder / "data", rows=rows)
    said = {"model": "model", "task": task, "steps": STEPS, **({"benchmark": SUITE} if measured else {})}
    file = folder / "tiny.yaml"
    file.write_text(yaml.safe_dump(json.loads(json.dumps(said)), sort_keys=False))
    return file


def artifacts(folder: Path) -> Iterator[Artifact]:
    """Every artifact below a folder, opened: each of its files must have the hash that its manifest says."""
    for manifest in sorted(folder.rglob(MANIFEST)):
        yield Artifact.open(manifest.parent)


def weights(run: Path) -> dict[str, str]:
    """The SHA-256 of every weight and graph file of a run's steps, by `step/file`."""
    return {
        f"{step}/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest()
        for step in STEPS
        for file in sorted((run / step).glob("*"))
        if file.suffix in {".safetensors", ".onnx", ".data"}
    }


def unfinished(run: Path) -> list[str]:
    """Work folders, locks and half-written files that a finished run must not leave (its cache has locks of its own)."""
    return [
        str(path.relative_to(run))
        for path in sorted(run.rglob("*"))
        if (".partial" in path.name or path.name in {".lock", ".scratch", ".fingerprint"})
        and not any(part.startswith(".compress-cache") for part in path.parts)
    ]
