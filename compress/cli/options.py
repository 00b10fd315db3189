"""Command-line options from a settings class, and the help that shows them under headings."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click

from compress.cli import completion
from compress.core.headings import grouped, place
from compress.core.setting_names import FORMER, Former
from compress.core.settings import Settings

COMPLETED = {"calibration": completion.of("calibration", files=True)}
"""Settings whose values are names of what ships."""
FIRST, LAST = "Output", "General"
"""Headings of options that are no settings."""


class Option(click.Option):
    """An option under a heading of the help."""

    heading: str = LAST


class GroupedCommand(click.Command):
    """A command whose help shows its options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One section for each heading that has options."""
        write_help(self, ctx, formatter)


def write_help(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write a command's options under their headings."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for one in command.get_params(ctx):
        record = one.get_help_record(ctx) if isinstance(one, click.Option) else None
        if record is not None:
            sections.setdefault(getattr(one, "heading", LAST), []).append(record)
    for heading in sorted(sections, key=lambda one: (one == LAST, one != FIRST, place(one))):
        with formatter.section(heading):
            formatter.write_dl(sections[heading])


def under(heading: str, *options: Option) -> list[click.Parameter]:
    """The options, to be shown under a heading."""
    for one in options:
        one.heading = heading
    return list(options)


def click_options(model: type[Settings], technique: str = "") -> list[click.Parameter]:
    """One command-line option for each setting, in the help's order, with description and default.

    A setting's former name is an option too, which the help does not show.
    """
    options: list[click.Parameter] = []
    shown = {name: heading for heading, names in grouped(model).items() for name in names}
    for name in [*shown, *(name for name in model.model_fields if name not in shown)]:
        options += under(shown.get(name, LAST), _option(name, model.model_fields[name], hidden=name not in shown))
    for name, former in FORMER.get(technique, {}).items():
        options.append(_former(former, model.model_fields[name]))
    return options


def given(context: click.Context, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the user typed; all others use the settings' defaults."""
    source = click.core.ParameterSource.COMMANDLINE
    return {name: value for name, value in values.items() if context.get_parameter_source(name) is source}


def _option(name: str, info: Any, *, hidden: bool = False) -> Option:
    kind, repeated = _click_type(info.annotation)
    flag = f"--{name.replace('_', '-')}"
    default = info.get_default(call_default_factory=True)
    help_text = info.description or ""
    if kind is bool:
        return Option([f"{flag}/--no-{flag[2:]}"], default=default, show_default=True, help=help_text, hidden=hidden)
    if repeated:
        shown = ",".join(str(one) for one in default) if default else None
        return Option(
            [flag],
            type=click.STRING,
            callback=_split,
            show_default=shown or False,
            help=f"{help_text} Comma-separated.",
            hidden=hidden,
        )
    return Option(
        [flag],
        type=kind,
        default=default,
        show_default=True,
        help=help_text,
        hidden=hidden,
        shell_complete=COMPLETED.get(name),
    )


def _former(former: Former, info: Any) -> Option:
    """The option under its former name; a value that was renamed too is checked when it has its name of today."""
    if not former.values:
        return _option(former.name, info, hidden=True)
    flag = f"--{former.name.replace('_', '-')}"
    if all(isinstance(one, bool) for one in former.values):
        return Option([f"{flag}/--no-{flag[2:]}"], default=None, hidden=True)
    return Option([flag], type=click.STRING, hidden=True)


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
