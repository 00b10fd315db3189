"""How an artifact was made: in a few words for a table's cell, and step by step for whoever wants to make it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MadeStep:
    """One step of an artifact's lineage, ready to be shown."""

    technique: str
    words: str
    """What it did, in a few words: `distil 3 layers`."""
    settings: Mapping[str, Any]
    inputs: Mapping[str, Any]
    data: Mapping[str, Any]
    facts: Mapping[str, Any]
    """What came out, without the learning curves."""
    curves: Mapping[str, tuple[tuple[float, float], ...]]
    """Name -> (optimizer step, value) in order."""
    seconds: float | None
    versions: Mapping[str, Any]
    compresses: bool


def steps(manifest: Mapping[str, Any]) -> tuple[MadeStep, ...]:
    """Every step from the first ancestor on."""
    return tuple(_step(raw) for raw in manifest.get("steps", ()))


def words(manifest: Mapping[str, Any]) -> str:
    """The compressing steps in a few words: `distil 3 layers → int8 dynamic`; empty for an uncompressed model."""
    return " → ".join(step.words for step in steps(manifest) if step.compresses)


def _step(raw: Mapping[str, Any]) -> MadeStep:
    facts = dict(raw.get("facts", {}))
    technique, settings = str(raw.get("technique", "?")), raw.get("settings", {})
    curves = facts.pop("curves", {})
    seconds = facts.pop("seconds", None)
    return MadeStep(
        technique=technique,
        words=_in_words(technique, settings),
        settings=settings,
        inputs=raw.get("inputs", {}),
        data=raw.get("data", {}),
        facts=facts,
        curves={name: _curve(points) for name, points in curves.items()} if isinstance(curves, Mapping) else {},
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        versions=raw.get("versions", {}),
        compresses=bool(raw.get("compresses", True)),
    )


def _curve(points: Any) -> tuple[tuple[float, float], ...]:
    if not isinstance(points, Sequence):
        return ()
    pairs = [point for point in points if isinstance(point, Sequence) and len(point) == 2]
    return tuple((float(at), float(value)) for at, value in pairs if at is not None and value is not None)


def _in_words(technique: str, settings: Mapping[str, Any]) -> str:
    describe = _WORDS.get(technique)
    return describe(settings) if describe else technique


def _distil(settings: Mapping[str, Any]) -> str:
    layers = settings.get("layers")
    if isinstance(layers, Sequence) and not isinstance(layers, str):
        return f"distil to layers {', '.join(str(layer) for layer in layers)}"
    return f"distil to {layers} layers" if layers else "distil"


def _quantize(settings: Mapping[str, Any]) -> str:
    precision = str(settings.get("precision", "quantize"))
    if not precision.startswith("int"):
        return precision
    mode = settings.get("mode")
    ranges = settings.get("ranges") or settings.get("method") if mode == "static" else None
    return " ".join(str(word) for word in (precision, mode, ranges) if word)


def _prune(settings: Mapping[str, Any]) -> str:
    keep = settings.get("keep")
    kept = f", keep {keep:.0%}" if isinstance(keep, int | float) else ""
    return f"prune {settings.get('method', '')}".rstrip() + kept


_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "distill": _distil,
    "quantize": _quantize,
    "prune": _prune,
    "export": lambda _: "ONNX",
    "qat": lambda _: "QAT int8",
    "finetune": lambda _: "fine-tune",
}
