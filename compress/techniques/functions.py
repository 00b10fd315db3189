"""The Python function of each technique; its signature and docstring are made from its settings."""

from __future__ import annotations

import inspect
import keyword
import re
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from compress.core import catalogue, log
from compress.core.artifact import Artifact
from compress.core.headings import grouped
from compress.core.references import OnDisk, Reference
from compress.tasks.technique import Technique

MODEL: Any = str | Path | Artifact
TASK: Any = str | Path | Mapping[str, Any] | None
SHARED: Mapping[str, tuple[Any, Any, str]] = {
    "task": (
        TASK,
        None,
        "A task's name, a YAML file that describes one, or its description; the model's own by default.",
    ),
    "data": (TASK, None, "A folder, a file of training rows, or a file for each split; the model's own by default."),
    "rows": (int | None, None, "Maximum number of training rows."),
    "allow_overlap": (bool, False, "Continue even if more than 5 % of the evaluation rows are also training rows."),
    "force": (bool, False, "Replace another artifact at `out`."),
}
"""The parameters of every technique beside its settings: type, default, description."""


def function(technique_name: str) -> Callable[..., Artifact]:
    """The technique's function, as `import compress` offers it."""
    technique: Technique[Any] = catalogue.find("techniques", technique_name)
    name = python_name(technique_name)
    where = f"compress.{name}()"

    def call(model: str | Path | Artifact, out: str | Path, **given: Any) -> Artifact:
        from compress.techniques.request import Request

        log.heard()
        shared = {one: given.pop(one) for one in SHARED if one in given}
        return Request.read(technique, model, out, given, where, also=SHARED, **shared).run()

    call.__name__ = call.__qualname__ = name
    call.__module__ = "compress"
    call.__doc__ = _docstring(technique)
    call.__signature__ = signature(technique)  # type: ignore[attr-defined]  # what `inspect` reads
    return call


def python_name(technique_name: str) -> str:
    """`import` is a word of Python's, so its function is `import_`."""
    return f"{technique_name}_" if keyword.iskeyword(technique_name) else technique_name


def signature(technique: Technique[Any]) -> inspect.Signature:
    """`(model, out, *, task, data, ..., a parameter for each setting)`, in the order of the command's help."""
    given = [
        inspect.Parameter("model", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=MODEL),
        inspect.Parameter("out", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=str | Path),
    ]
    shared = [_keyword(name, kind, default) for name, (kind, default, _) in SHARED.items()]
    own = [
        _keyword(
            name,
            accepted(info.annotation, info.metadata),
            inspect.Parameter.empty if info.is_required() else _plain(info.get_default(call_default_factory=True)),
        )
        for name, info in _settings(technique).items()
    ]
    return inspect.Signature([*given, *shared, *own], return_annotation=Artifact)


def accepted(annotation: Any, marks: Sequence[Any] = ()) -> Any:
    """The type that a Python caller may give where a setting has that one: paths and artifacts where it names them."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return accepted(inner[0], inner[1:])
    if origin in (Union, types.UnionType):
        return Union[tuple(accepted(one, marks) for one in inner)]  # noqa: UP007 - of a number that is not known here
    if origin is tuple and inner[1:] == (...,):
        return Sequence[accepted(inner[0], marks)]  # type: ignore[misc]  # made while the program runs
    if annotation is str and any(isinstance(one, Reference) for one in marks):
        return MODEL
    if annotation is str and any(isinstance(one, OnDisk) for one in marks):
        return str | Path
    return getattr(annotation, "written_as", annotation)  # `compress.distillation.schedules.Schedule` has one


def summary(technique: Technique[Any]) -> str:
    """The technique's summary, in a sentence."""
    return (_module(technique) or "").split("\n", 1)[0]


def _settings(technique: Technique[Any]) -> dict[str, Any]:
    fields = technique.settings.model_fields
    return {name: fields[name] for names in grouped(technique.settings).values() for name in names}


def _keyword(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)


def _plain(default: Any) -> Any:
    return default.plain() if hasattr(default, "written_as") else default


def _docstring(technique: Technique[Any]) -> str:
    described = {
        "model": "An artifact, its folder, a Hugging Face folder, or a hub id.",
        "out": "Folder of the new artifact.",
        **{name: text for name, (_, _, text) in SHARED.items()},
        **{name: info.description or "" for name, info in _settings(technique).items()},
    }
    return "\n".join(
        [
            _in_python((_module(technique) or "").strip()),
            "",
            "Args:",
            *(f"    {name}: {_in_python(text)}" for name, text in described.items()),
            "",
            "Returns:",
            "    The artifact at `out`: made, or found there finished with the same settings and data.",
            "",
            "Raises:",
            "    CompressError: a setting, the model, the task or `out` cannot be as it is; the message says what to do.",
        ]
    )


def _module(technique: Technique[Any]) -> str | None:
    return inspect.getdoc(sys.modules[technique.run.__module__])


def _in_python(text: str) -> str:
    """What the command's help says, with parameters in the place of options: `--on-policy` is `on_policy`."""
    text = re.sub(r"(?<![\w-])--([a-z][a-z-]*[a-z])", lambda found: found[1].replace("-", "_"), text)
    return re.sub(r"\bMODEL\b", "`model`", text)
