"""Command-line options from a settings class."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel


def click_options(model: type[BaseModel]) -> list[click.Option]:
    """One command-line option for each setting, with its description and default in the help."""
    return [_option(name, info) for name, info in model.model_fields.items()]


def given(context: click.Context, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that the user typed: the rest is left to the settings' own defaults."""
    source = click.core.ParameterSource.COMMANDLINE
    return {name: value for name, value in values.items() if context.get_parameter_source(name) is source}


def _option(name: str, info: Any) -> click.Option:
    kind, repeated, optional = _click_type(info.annotation)
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
    shown = None if optional and default is None else str(default)
    return click.Option([flag], type=kind, default=None, show_default=shown or False, help=help_text)


def _split(context: click.Context, option: click.Parameter, value: str | None) -> list[str] | None:
    return None if value is None else [part.strip() for part in value.split(",") if part.strip()]


def _click_type(annotation: Any) -> tuple[Any, bool, bool]:
    """The click type, whether many values may be given, and whether none may."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _click_type(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        members = [one for one in get_args(annotation) if one is not type(None)]
        optional = len(members) < len(get_args(annotation))
        many = [one for one in members if _click_type(one)[1]]
        kind, repeated, _ = _click_type(many[0] if many else members[0])
        return kind, repeated, optional
    if origin is Literal:
        return click.Choice([str(one) for one in get_args(annotation)]), False, False
    if origin in (tuple, list):
        return str, True, False
    if annotation in (int, float, bool, str):
        return annotation, False, False
    return str, False, False
