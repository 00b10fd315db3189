"""The headings of settings in a technique's help, declared by the settings' classes and fields, and their order."""

from __future__ import annotations

from pydantic import JsonValue

from compress.core.settings import Settings

HEADINGS = (
    "Structured pruning",
    "Layer and width pruning",
    "Vocabulary pruning",
    "Unstructured pruning",
    "Quantization",
    "Static quantization",
    "Weight-only quantization",
    "Teacher and loss",
    "Generation (generative models)",
    "Data",
    "Training",
    "Advanced",
)
"""In a help's order; the technique's own heading, and any that is not listed here, comes before."""


def under(heading: str) -> dict[str, JsonValue]:
    """For a field's `json_schema_extra`: its heading, if that is not its class's `HEADING`."""
    return {"heading": heading}


OWN = under("own")
"""The heading of the technique's own class, for a field that several techniques share."""
DATA = under("Data")
TRAINING = under("Training")
TEACHER = under("Teacher and loss")
ADVANCED = under("Advanced")
NOT_SHOWN = under("")
"""The setting comes from a shared class and does not apply to the technique."""


def grouped(model: type[Settings]) -> dict[str, list[str]]:
    """The settings shown in a help by heading, in order: under each one, the class's own before shared ones."""
    shared = {name for base in model.__bases__ for name in getattr(base, "model_fields", ())}
    found: dict[str, list[str]] = {}
    for name in sorted(model.model_fields, key=lambda name: name in shared):
        if heading := _heading(model, name):
            found.setdefault(heading, []).append(name)
    return {heading: found[heading] for heading in sorted(found, key=place)}


def place(heading: str) -> int:
    """The position of a heading among others; -1 if it is not listed."""
    return HEADINGS.index(heading) if heading in HEADINGS else -1


def _heading(model: type[Settings], name: str) -> str:
    """The heading of the field, else of the inherited field that it replaces, else of the class."""
    owner = [one for one in model.__mro__ if issubclass(one, Settings) and name in one.model_fields][-1]
    for info in (model.model_fields[name], owner.model_fields[name]):
        extra = info.json_schema_extra
        if isinstance(extra, dict) and "heading" in extra:
            return model.HEADING if extra == OWN else str(extra["heading"])
    return owner.HEADING
