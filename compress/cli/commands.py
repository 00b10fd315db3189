"""The group of all commands, the options that they share, and the command that each technique becomes."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from compress.cli import completion
from compress.core import catalogue
from compress.core.distributed import is_main_process
from compress.core.paths import named
from compress.core.printable import json_text, lines, one_line
from compress.core.version import VERSION


class _File(click.ParamType):  # type: ignore[type-arg]  # older versions of Click take none
    """A path that may exist or not."""

    name = "path"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        return completion.folders(ctx, param, incomplete)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return named(value)


FILE = _File()
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
TOOLS = ("init", "run", "benchmark", "report", "sensitivity", "predict", "inspect", "list", "doctor", "completion")
ORDER = ("import", "finetune", "distill", "prune", "qat", "quantize", "export")


def say(text: str) -> None:
    """Print one line of results, with control and invisible characters escaped."""
    click.echo(one_line(text))


def say_lines(text: str) -> None:
    """Print several lines of results, likewise."""
    click.echo(lines(text))


def hint(error: click.ClickException) -> str:
    """An addition to a usage error: the model is an argument, though many tools have it as an option."""
    if isinstance(error, click.NoSuchOption) and error.option_name == "--model" and error.ctx is not None:
        return f" MODEL is an argument: `compress {error.ctx.info_name} MODEL ...`."
    return ""


class SettingsCommand(click.Command):
    """A command with options of a settings class: they are made when it is asked for, which takes longer than the list of all
    commands may."""

    def __init__(
        self, name: str, options: Callable[[], list[click.Parameter]], *, example: str, **attributes: Any
    ) -> None:
        super().__init__(name, epilog=f"Example: {example}", context_settings=CONTEXT, **attributes)
        self._options = options

    def complete(self) -> None:
        """Make the options."""
        self.params = self.params or [*self._options(), *COMMON]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One section for each heading that has options."""
        from compress.cli.options import write_help

        write_help(self, ctx, formatter)


class Commands(click.Group):
    """The commands below, and one for each technique, made on demand.

    A technique's help line is read from its file's docstring, so that `compress --help` imports none of them.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands: techniques in the order in which they are used, then the rest."""
        return [*_techniques(), *TOOLS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, None where there is none."""
        if cmd_name in catalogue.names("techniques"):
            return technique_command(cmd_name)
        found = super().get_command(ctx, cmd_name)
        if isinstance(found, SettingsCommand):
            found.complete()
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As Click does, with a guess where the name is unknown."""
        from compress.core.errors import guess

        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise click.UsageError(f"No such command '{args[0]}'.{guess(args[0], self.list_commands(ctx))}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Techniques and tools in two sections."""
        with formatter.section("Techniques (one model in, one model out)"):
            formatter.write_dl([(name, catalogue.summary("techniques", name)) for name in _techniques()])
        with formatter.section("Work with the results"):
            tools = [(name, command.get_short_help_str(90)) for name, command in self.commands.items() if name in TOOLS]
            formatter.write_dl(sorted(tools, key=lambda row: TOOLS.index(row[0])))


def _loud(context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    level = {"quiet": logging.WARNING, "verbose": logging.DEBUG}[str(parameter.name)]
    if value:
        logging.getLogger("compress").setLevel(level)
    return value


def _trust(context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    if value:
        os.environ["COMPRESS_TRUST_REMOTE_CODE"] = "1"  # compress.models reads it, worker processes inherit it
    return value


COMMON = [
    click.Option(["-q", "--quiet"], is_flag=True, expose_value=False, callback=_loud, help="Print results only."),
    click.Option(["-v", "--verbose"], is_flag=True, expose_value=False, callback=_loud, help="Print debug messages."),
    click.Option(
        ["--trust-remote-code"],
        is_flag=True,
        expose_value=False,
        callback=_trust,
        help="Run the code in the model's repository.",
    ),
    click.Option(["--debug"], is_flag=True, expose_value=False, help="Print the traceback of an error."),
]


def command(name: str, *, example: str, **attributes: Any) -> Any:
    """A command with the common options, and an example at the end of its help."""

    def wrap(function: Any) -> click.Command:
        made: click.Command = compress.command(name, epilog=f"Example: {example}", **attributes)(function)
        made.params.extend(COMMON)
        return made

    return wrap


@click.group(
    cls=Commands,
    context_settings=CONTEXT,
    epilog="Example: compress run quickstart    (a tour in five minutes, offline)",
)
@click.version_option(VERSION, "-V", "--version", prog_name="compress")
def compress() -> None:
    """Make fine-tuned transformers smaller and faster, and measure the cost in quality.

    Distils, prunes, quantizes and exports Hugging Face models to ONNX, benchmarks every result beside the original, and
    writes a report. A model is an artifact's folder, a Hugging Face folder, or a hub id.
    """
    from compress.core import log

    log.to_stderr()
    log.settle_processes()


ALLOW_OVERLAP = "Continue even if more than 5 % of the evaluation rows are also training rows."


def technique_command(name: str) -> click.Command:
    """The command of a technique: its settings become options."""
    from compress.cli import options

    technique = catalogue.find("techniques", name)
    module = sys.modules[technique.run.__module__]
    of_data = options.under(
        "Data",
        options.Option(
            ["--task"],
            shell_complete=completion.of("tasks", files=True),
            help="Task by name, or a YAML file with a task config. Default: the artifact's own.",
        ),
        options.Option(
            ["--data"],
            help="Folder with the task's data, or a file of training rows. Default: the artifact's own, else the hub.",
        ),
        options.Option(
            ["--rows"], type=click.IntRange(1), help="Maximum number of training rows (the task's `limit`)."
        ),
        options.Option(["--allow-overlap"], is_flag=True, help=ALLOW_OVERLAP),
    )
    of_output = options.under(
        options.FIRST,
        options.Option(["-o", "--out"], required=True, type=FILE, help="Folder of the new artifact."),
        options.Option(["--force"], is_flag=True, help="Replace another artifact at --out."),
        options.Option(
            ["--dry-run"], is_flag=True, help="Check everything, print what would be done and an estimate, and stop."
        ),
        options.Option(["--json", "as_json"], is_flag=True, help="Print what was made as JSON."),
    )
    own = options.click_options(technique.settings, name)

    def invoke(source: str, out: Path, **values: Any) -> None:
        _apply(technique, source, out, values)

    return options.GroupedCommand(
        name,
        callback=invoke,
        params=[_model(), *of_data, *own, *of_output, *COMMON],
        help=module.__doc__,
        epilog=f"Example: {technique.example}",
        context_settings=CONTEXT,
    )


def _model() -> click.Argument:
    return click.Argument(["source"], metavar="MODEL", shell_complete=completion.folders)


def _apply(technique: Any, source: str, out: Path, values: Mapping[str, Any]) -> None:
    from compress.cli import options
    from compress.core.progress import say as progress

    if is_main_process():  # before torch is imported, which takes seconds
        progress(f"{technique.name}: reading {source} and its data; the result goes to {out}.")
    from compress.techniques.request import Request

    context = click.get_current_context()
    names = {option.name for option in options.click_options(technique.settings, technique.name)}
    typed = options.given(context, {name: value for name, value in values.items() if name in names})
    shared = {name: values[name] for name in ("task", "data", "rows", "allow_overlap", "force")}
    request = Request.read(technique, source, out, typed, f"compress {technique.name}", **shared)
    if values["dry_run"]:
        _say_plan(request, source, values["as_json"])
        return
    from compress.core.errors import BudgetNotMet

    try:
        made = request.run()
    except BudgetNotMet as verdict:
        _say_made(request, verdict.result, values["as_json"])
        raise
    _say_made(request, made, values["as_json"])


def _say_made(request: Any, made: Any, as_json: bool) -> None:
    """What a technique made."""
    if not is_main_process():
        return
    from compress.cli import gained

    found = gained.gained(request.source, made)
    if as_json:
        click.echo(json_text(found))
        return
    say(gained.in_words(found))
    say(f"Next: {gained.next_command(made)}")


def _say_plan(request: Any, source: str, as_json: bool) -> None:
    """What a technique would do and take."""
    from compress.cli.planning.runs import of_request
    from compress.core.reasons import why
    from compress.core.setting_names import shown_as

    expected = request.check()
    step = expected.steps[-1]
    expects = request.technique.expects
    gain = expects(request.settings, request.source, request.task) if expects and request.task else None
    settings = shown_as(request.technique.name, step.settings)
    estimate = of_request(request, expected)
    if as_json:
        plan = {"technique": request.technique.name, "settings": settings, "data": step.data, "why": why(expected)}
        told = {} if gain is None else {"expectation": gain}
        click.echo(json_text({**plan, **told, "estimate": estimate.to_json()}))
        return
    say(f"{request.technique.name} {source} -> {request.out} (dry run: nothing was made): {why(expected)}")
    say_lines(json.dumps({"settings": settings, "data": step.data}, indent=2, default=str))
    for line in (*estimate.lines(), *([] if gain is None else [gain])):
        say(line)


def _techniques() -> list[str]:
    known = catalogue.names("techniques")
    return [name for name in ORDER if name in known] + [name for name in known if name not in ORDER]
