"""How an artifact was made: a few words for a table cell, and each step with its settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from compress.core.setting_names import shown_as
from compress.quantization import budget_words
from compress.report import pruning as pruned
from compress.report import wording
from compress.report.page.changed_settings import changed_and_default
from compress.report.values import is_number


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
    """What came out, without what is shown elsewhere: the learning curves and the gain from distillation."""
    story: str
    """What the facts of a distillation, of pruning or of an accuracy budget say, in a line; empty for other steps."""
    teacher_effect: Mapping[str, Any] | None
    """The student with and without its teacher, see `compress.distillation.ablation.effect`."""
    curves: Mapping[str, tuple[tuple[float, float], ...]]
    """Name -> (optimizer step, value) in order."""
    seconds: float | None
    versions: Mapping[str, Any]
    compresses: bool

    @cached_property
    def changed(self) -> Mapping[str, Any]:
        """The settings that differ from the technique's defaults."""
        return changed_and_default(self.technique, self.settings)[0]

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """The settings at their defaults."""
        return changed_and_default(self.technique, self.settings)[1]

    @property
    def brief_facts(self) -> Mapping[str, Any]:
        """The facts as a page shows them: of what was pruned, so many of each layer instead of all their numbers, and of an
        accuracy budget all but its ranking."""
        brief = dict(pruned.brief(self.facts))
        if isinstance(budget := brief.get("accuracy_budget"), Mapping):
            brief["accuracy_budget"] = {name: value for name, value in budget.items() if name != "ranking"}
        return brief


def steps(manifest: Mapping[str, Any]) -> tuple[MadeStep, ...]:
    """Every step from the first ancestor on."""
    told = manifest.get("steps", ())
    return tuple(_step(raw) for raw in told if isinstance(raw, Mapping)) if isinstance(told, Sequence) else ()


def words(manifest: Mapping[str, Any]) -> str:
    """The compressing steps in a few words: `distil 3 layers → int8 dynamic`; empty for an uncompressed model."""
    return " → ".join(step.words for step in steps(manifest) if step.compresses)


def leaves_zeros(step: MadeStep) -> bool:
    """Whether a step set single weights to zero."""
    return step.technique == "prune" and pruned.is_of_single_weights(step.settings)


def _step(raw: Mapping[str, Any]) -> MadeStep:
    facts = raw.get("facts", {})
    facts = dict(facts) if isinstance(facts, Mapping) else {}
    technique, settings = str(raw.get("technique", "?")), raw.get("settings", {})
    settings = settings if isinstance(settings, Mapping) else {}
    curves = facts.pop("curves", {})
    seconds = facts.pop("seconds", None)
    effect = facts.pop("teacher_effect") if _is_effect(facts.get("teacher_effect")) else None
    return MadeStep(
        technique=technique,
        words=_in_words(technique, settings),
        settings=shown_as(technique, settings),
        inputs=raw.get("inputs", {}),
        data=raw.get("data", {}),
        facts=facts,
        story=" ".join(
            part
            for part in (pruned.story(settings, facts) if technique == "prune" else "", _story(facts), _budget(facts))
            if part
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
    return tuple((float(at), float(value)) for at, value in pairs if is_number(at) and is_number(value))


def _is_effect(value: Any) -> bool:
    """Whether it has the keys of a distillation gain; anything else is shown as a plain fact."""
    return isinstance(value, Mapping) and {"text", "metric", "metrics", "seeds", "rows"} <= value.keys()


def _story(facts: Mapping[str, Any]) -> str:
    """How the student was made, by which teacher it was trained, on which rows, and what was not computed twice."""
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
    said += _left_out(facts.get("min_confidence"))
    said += [*_answered(facts.get("teacher_answers")), *_generated(facts.get("pseudo_labels"))]
    saved = facts.get("teacher_seconds_saved")
    if isinstance(saved, int | float) and saved > 0:
        said.append(f"The teacher's answers lay in the cache: {wording.duration(float(saved))} saved")
    unlike = facts.get("unlike the unquantized model")
    if isinstance(unlike, Mapping) and isinstance(unlike.get("held_out_rows"), int):
        before, after = unlike.get("before_training"), unlike.get("after_training")
        if isinstance(before, int) and isinstance(after, int):
            compared, tokens, what = f"{unlike['held_out_rows']:,} held-out rows", unlike.get("tokens"), "class"
            if isinstance(tokens, int):
                compared, what = f"{tokens:,} tokens of {compared}", "token"
            said.append(
                f"Of {compared}, {before:,} had another {what} than the unquantized model's before training and "
                f"{after:,} after it"
            )
    return ". ".join(one.rstrip(".") for one in said) + "." if said else ""


def _left_out(unsure: Any) -> Iterator[str]:
    """How many unlabelled texts no student was trained on, since the teachers were not sure of them."""
    names = ("left_out", "of", "least")
    if isinstance(unsure, Mapping) and all(is_number(unsure.get(name)) for name in names) and unsure["left_out"]:
        count = _count(unsure["left_out"], None, unsure["of"])
        yield f"Unlabelled texts left out: {count}, whose most likely class has a probability below {unsure['least']:g}"


def _budget(facts: Mapping[str, Any]) -> str:
    """What an accuracy budget left in floating point, and what that cost."""
    found = facts.get("accuracy_budget")
    if not isinstance(found, Mapping):
        return ""
    try:
        return f"The limit of {found['max_drop']:g} is {'' if found['met'] else 'not '}kept: {budget_words.in_words(found)}."
    except (LookupError, TypeError, ValueError, ZeroDivisionError):  # of another shape: it is shown as a plain fact
        return ""


def _answered(answers: Any) -> Iterator[str]:
    """How many rows learned from a file of answers."""
    if isinstance(answers, Mapping) and all(isinstance(answers.get(name), int) for name in ("answers", "further_rows")):
        further = f", {answers['further_rows']:,} of them to further texts" if answers["further_rows"] else ""
        yield f"{_listed(answers.get('file'))}: {answers['answers']:,} answers{further}"


def _generated(pseudo: Any) -> Iterator[str]:
    """For how many rows the teacher generated the reference, and how many of these texts are distinct."""
    if not isinstance(pseudo, Mapping) or not isinstance(pseudo.get("rows"), int):
        return
    beams, distinct = pseudo.get("beams"), pseudo.get("distinct")
    how = f" with {beams} beams" if isinstance(beams, int) and beams > 1 else ""
    unlike = f", {wording.percent(distinct)} of them distinct" if isinstance(distinct, float | int) else ""
    yield f"References generated by the teacher{how}: {_count(pseudo['rows'], None, pseudo.get('of'))}{unlike}"


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
    sides = [
        _layers(settings[name], f"{side} ")
        for side in ("encoder", "decoder")
        if settings.get(name := f"{side}_layers") is not None
    ]
    to = " and ".join([_layers(layers)] if layers else sides)
    return f"distil{f' to {to}' if to else ''}{narrow}{''.join(f', {word}' for word in _how_distilled(settings))}"


def _layers(kept: Any, side: str = "") -> str:
    """`3 layers`, `layers 0, 2, 5`, `3 decoder layers`."""
    named = kept.split(",") if isinstance(kept, str) and "," in kept else kept
    if isinstance(named, Sequence) and not isinstance(named, str):
        return f"{side}layers {', '.join(str(layer).strip() for layer in named)}"
    return f"{kept} {side}layer{'' if str(kept) == '1' else 's'}"


DIVERGENCES = {"reverse_kl": "reverse KL", "jsd": "Jensen-Shannon", "js": "Jensen-Shannon"}
"""Of a generative student; forward KL is the usual one and goes without saying."""


def _how_distilled(settings: Mapping[str, Any]) -> Iterator[str]:
    """How a student was distilled, if not only by its teacher's distributions.

    A setting of another kind than expected is left to the step's list of settings.
    """
    for name in ("divergence", "loss"):
        if str(settings.get(name)) in DIVERGENCES:
            yield DIVERGENCES[str(settings[name])]
            break
    if settings.get("teacher_answers"):
        yield f"from {wording.path(str(settings['teacher_answers']))}"
    yield from _shared(settings.get("pseudo_labels"), "pseudo-labels")
    yield from _shared(settings.get("on_policy"), "on-policy")
    others = ("pseudo_labels", "on_policy", "hidden_weight", "attention_weight", "relation_weight", "embedding_weight")
    if settings.get("alpha") == 0 and "divergence" in settings and not any(settings.get(name) for name in others):
        yield "without the teacher"


def _shared(share: Any, what: str) -> Iterator[str]:
    """`50 % pseudo-labels`, or without the share where it is all."""
    if isinstance(share, int | float) and 0 < share <= 1:
        yield what if share == 1 else f"{wording.percent(share)} {what}"


BY = {"bitsandbytes": "by bitsandbytes", "gptq": "by GPTQ", "weights": "weights alone"}
"""Modes that leave the activations as they are."""


def _quantize(settings: Mapping[str, Any]) -> str:
    precision, mode = str(settings.get("precision", "quantize")), settings.get("mode")
    sides = [f"{side} {settings[side]}" for side in ("encoder", "decoder") if isinstance(settings.get(side), str)]
    if str(mode) in BY and precision.startswith(("int", "nf")):
        return ", ".join([f"{precision} {BY[str(mode)]}", *sides])
    if not precision.startswith("int"):
        return ", ".join([precision, *sides])
    ranges = settings.get("ranges") or settings.get("method") if mode == "static" else None
    weights = "int4 weights" if settings.get("weights") == "int4" else None
    if settings.get("activations") == "float":
        return f"{weights or f'{precision} weights'} alone"
    smooth = "smoothed" if settings.get("smooth") else None
    told = " ".join(str(word) for word in (precision, mode, ranges) if word)
    return ", ".join(word for word in (told, weights, _attention(settings), smooth, *sides) if word)


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
