"""Command-line options from a settings class."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel


def click_options(model: type[BaseModel]) -> list[click.Option]:
    """One command-line option for each setting, its own before those it shares, with description and default."""
    own = [name for name in model.__annotations__ if name in model.model_fields]
    names = [*own, *(name for name in model.model_fields if name not in own)]
    return [_option(name, model.model_fields[name]) for name in names]


def given(context: click.Context, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that the user typed: the rest is left to the settings' own defaults."""
    source = click.core.ParameterSource.COMMANDLINE
    return {name: value for name, value in values.items() if context.get_parameter_source(name) is source}


def _option(name: str, info: Any) -> click.Option:
    kind, repeated = _click_type(info.annotation)
    flag = f"--{name.replace('_', '-')}"
    default = info.get_default(call_default_factory=True)
    help_text = info.description or ""
    if kind is bool:
        return click.Option([f"{flag}/--no-{flag[2:]}"], default=default, show_default=True, help=help_text)
    if repeated:
        shown = ",".join(str(one) for one in default) if default else None
        return click.Option(
            [flag],
            type=click.STRING,
            callback=_split,
            show_default=shown or False,
            help=f"{help_text} Comma-separated.",
        )
    return click.Option([flag], type=kind, default=default, show_default=True, help=help_text)


def _split(context: click.Context, option: click.Parameter, value: str | None) -> list[str] | None:
    return None if value is None else [part.strip() for part in value.split(",") if part.strip()]


def _click_type(annotation: Any) -> tuple[Any, bool]:
    """The click type, and whether many values may be given."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _click_type(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        members = [_click_type(one) for one in get_args(annotation) if one is not type(None)]
        return next((one for one in members if one[1]), members[0])
    if origin is Literal:
        return click.Choice([str(one) for one in get_args(annotation)]), False
    if origin in (tuple, list):
        return str, True
    return (annotation, False) if annotation in (int, float, bool) else (str, False)
