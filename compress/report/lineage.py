"""How an artifact was made: in a few words for a table's cell, and step by step for whoever wants to make it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compress.report import pruned, wording


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
    """What came out, without what is shown elsewhere: the learning curves and what the teacher brought."""
    story: str
    """What the facts of a distillation or of pruning say, in a line; empty for other steps."""
    teacher_effect: Mapping[str, Any] | None
    """The student with and without its teacher, see `compress.teacher_effect.effect`."""
    curves: Mapping[str, tuple[tuple[float, float], ...]]
    """Name -> (optimizer step, value) in order."""
    seconds: float | None
    versions: Mapping[str, Any]
    compresses: bool

    @property
    def brief_facts(self) -> Mapping[str, Any]:
        """The facts as a page shows them: of what was pruned, so many of each layer instead of all their numbers."""
        return pruned.brief(self.facts)


def steps(manifest: Mapping[str, Any]) -> tuple[MadeStep, ...]:
    """Every step from the first ancestor on."""
    return tuple(_step(raw) for raw in manifest.get("steps", ()))


def words(manifest: Mapping[str, Any]) -> str:
    """The compressing steps in a few words: `distil 3 layers → int8 dynamic`; empty for an uncompressed model."""
    return " → ".join(step.words for step in steps(manifest) if step.compresses)


def leaves_zeros(step: MadeStep) -> bool:
    """Whether a step set single weights to zero."""
    return step.technique == "prune" and pruned.is_of_single_weights(step.settings)


def _step(raw: Mapping[str, Any]) -> MadeStep:
    facts = dict(raw.get("facts", {}))
    technique, settings = str(raw.get("technique", "?")), raw.get("settings", {})
    curves = facts.pop("curves", {})
    seconds = facts.pop("seconds", None)
    effect = facts.pop("teacher_effect") if _is_effect(facts.get("teacher_effect")) else None
    return MadeStep(
        technique=technique,
        words=_in_words(technique, settings),
        settings=settings,
        inputs=raw.get("inputs", {}),
        data=raw.get("data", {}),
        facts=facts,
        story=" ".join(
            part for part in (pruned.story(settings, facts) if technique == "prune" else "", _story(facts)) if part
        ),
        teacher_effect=effect,
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


def _is_effect(value: Any) -> bool:
    """Whether it has what every effect has; anything else is shown as the fact it is."""
    return isinstance(value, Mapping) and {"text", "metric", "metrics", "seeds", "rows"} <= value.keys()


def _story(facts: Mapping[str, Any]) -> str:
    """How the student was made, by whom it was taught, on which rows, and what was not computed twice."""
    said = []
    if facts.get("student"):
        said.append(f"Student: {_listed(facts['student'])}")
    teachers = facts.get("teachers")
    if teachers:
        said.append(f"{'Teachers' if len(_several(teachers)) > 1 else 'Teacher'}: {_listed(teachers)}")
    augmented = f"augmented by {facts['augmented_by']}" if facts.get("augmented_by") else "augmented"
    rows = [
        f"{_count(facts[f'rows_{kind}'], facts.get(f'{kind}_share'), facts.get('training_rows'))} {how}"
        for kind, how in (("unlabelled", "labelled by the teacher alone"), ("augmented", augmented))
        if facts.get(f"rows_{kind}")
    ]
    if rows:
        said.append(f"Training rows: {', '.join(rows)}")
    saved = facts.get("teacher_seconds_saved")
    if isinstance(saved, int | float) and saved > 0:
        said.append(f"The teacher's answers lay in the cache: {wording.duration(float(saved))} saved")
    unlike = facts.get("unlike the unquantized model")
    if isinstance(unlike, Mapping) and isinstance(unlike.get("held_out_rows"), int):
        before, after = unlike.get("before_training"), unlike.get("after_training")
        if isinstance(before, int) and isinstance(after, int):
            said.append(
                f"Of {unlike['held_out_rows']:,} held-out rows, {before:,} had another class than the unquantized model's "
                f"before training and {after:,} after it"
            )
    return ". ".join(one.rstrip(".") for one in said) + "." if said else ""


def _count(count: Any, share: Any, of: Any) -> str:
    """`6,000 (9.4 %)`: so many rows, and what share of those trained on."""
    if not isinstance(count, int | float):
        return _listed(count)
    if not isinstance(share, int | float):
        share = count / of if isinstance(of, int | float) and of >= count else None
    return f"{count:,.0f}" + (f" ({share * 100:.1f}\u00a0%)" if share is not None else "")


def _several(value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping):
        return list(value.items())
    return value if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _listed(value: Any) -> str:
    """A text, a list or names with their weights, in a sentence; paths as the page shows all paths."""
    parts = _several(value)
    return ", ".join(
        f"{wording.path(str(one[0]))} ({one[1]})" if isinstance(value, Mapping) else wording.path(str(one))
        for one in parts
    )


def _in_words(technique: str, settings: Mapping[str, Any]) -> str:
    describe = _WORDS.get(technique)
    return describe(settings) if describe else technique


def _distil(settings: Mapping[str, Any]) -> str:
    layers, width = settings.get("layers"), settings.get("hidden_size")
    narrow = f", width {width}" if width else ""
    named = layers.split(",") if isinstance(layers, str) and "," in layers else layers
    if isinstance(named, Sequence) and not isinstance(named, str):
        return f"distil to layers {', '.join(str(layer).strip() for layer in named)}{narrow}"
    if layers:
        return f"distil to {layers} layer{'' if str(layers) == '1' else 's'}{narrow}"
    return f"distil{narrow}"


def _quantize(settings: Mapping[str, Any]) -> str:
    precision = str(settings.get("precision", "quantize"))
    if not precision.startswith("int"):
        return precision
    mode = settings.get("mode")
    ranges = settings.get("ranges") or settings.get("method") if mode == "static" else None
    weights = "int4 weights" if settings.get("weights") == "int4" else None
    if settings.get("activations") == "float":
        return f"{weights or f'{precision} weights'} alone"
    smooth = "smoothed" if settings.get("smooth") else None
    told = " ".join(str(word) for word in (precision, mode, ranges) if word)
    return ", ".join(word for word in (told, weights, _attention(settings), smooth) if word)


def _qat(settings: Mapping[str, Any]) -> str:
    weights = "int4 weights" if settings.get("weights") == "int4" else None
    smooth = "smoothed" if settings.get("smooth") else None
    fixed = "fixed ranges" if settings.get("scales") == "fixed" else None
    return ", ".join(word for word in ("QAT int8", weights, _attention(settings), smooth, fixed) if word)


def _attention(settings: Mapping[str, Any]) -> str | None:
    products = {"scores": "attention's scores", "context": "attention's context", "both": "attention's products"}
    return products.get(str(settings.get("attention")))


_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "distill": _distil,
    "quantize": _quantize,
    "prune": pruned.words,
    "export": lambda _: "ONNX",
    "qat": _qat,
    "finetune": lambda _: "fine-tune",
}
