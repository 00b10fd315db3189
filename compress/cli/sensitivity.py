"""The command sensitivity."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING, Any

import click

from compress.cli import completion
from compress.cli.commands import ALLOW_OVERLAP, SettingsCommand, compress, say
from compress.core.printable import json_text

if TYPE_CHECKING:
    from rich.table import Table

    from compress.quantization.sensitivity import Finding, Loss, Sensitivity

HELP = """Rank a model's layers by what int8 loses in each, against what it saves.

Quantizes one layer (or group of layers) at a time and compares the model with fp32 on held-out rows: the KL divergence of its
outputs, the share of changed predictions, and the drop of the task's metric. The layers that lose most for what they save come
first. To leave them in floating point, give their names to `compress quantize --exclude`, or let `compress quantize --max-drop`
choose. Neither calibration nor a benchmark reads the held-out rows. MODEL is a torch artifact or its fp32 ONNX export.
"""
EXAMPLE = "compress sensitivity runs/teacher --mode static"


def _options() -> list[click.Parameter]:
    from compress.cli import options
    from compress.quantization.sensitivity_settings import SensitivitySettings

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
        options.Option(["--allow-overlap"], is_flag=True, help=ALLOW_OVERLAP),
    )
    of_output = options.under(
        options.FIRST,
        options.Option(["--dry-run"], is_flag=True, help="Check everything, print what would be read, and stop."),
        options.Option(["--json", "as_json"], is_flag=True, help="Print the ranking as JSON."),
    )
    own = options.click_options(SensitivitySettings)
    model = click.Argument(["source"], metavar="MODEL", shell_complete=completion.folders)
    return [model, *of_data, *own, *of_output]


def _rank(source: str, dry_run: bool, as_json: bool, **values: Any) -> None:
    from compress.cli import options
    from compress.core.progress import say as progress
    from compress.quantization.sensitivity_settings import SensitivitySettings

    progress(f"sensitivity: reading {source} and its data.")
    from compress.techniques.sensitivity import SensitivityRequest

    typed = options.given(
        click.get_current_context(),
        {name: value for name, value in values.items() if name in SensitivitySettings.model_fields},
    )
    shared = {name: values[name] for name in ("task", "data", "allow_overlap")}
    request = SensitivityRequest.read(source, typed, "compress sensitivity", **shared)
    if dry_run:
        plan = {"settings": request.settings.model_dump(mode="json"), "data": request.check()}
        if not as_json:
            say(f"sensitivity {source} (dry run: nothing was tried): one trial for each {request.settings.by}.")
        click.echo(json_text(plan, indent=None if as_json else 2))
        return
    found = request.run()
    if as_json:
        click.echo(json_text(found.to_json()))
        return
    from rich.console import Console

    facts = found.facts
    score = "no score" if facts["fp32"] is None else f"{facts['metric']} {facts['fp32']:.4f}"
    say(
        f"{facts['model']}: int8 {facts['mode']}, one {facts['by']} at a time, {facts['rows']:,} held-out rows "
        f"({facts['rows_from']}); fp32 has {score}."
    )
    Console().print(table(found))
    first = shlex.quote(found.findings[0].unit.name if facts["by"] == "layer" else "PATTERN")
    mode = facts["mode"]
    say(f"Next: compress quantize {shlex.quote(source)} --mode {mode} --exclude {first} -o INT8, or --max-drop 0.5")


def table(found: Sensitivity) -> Table:
    """The ranking as a table; the last line is everything quantized."""
    from rich.table import Table

    facts = found.facts
    drawn = Table()
    for name in (facts["by"].capitalize(), "Group") if facts["by"] == "layer" else ("Group",):
        drawn.add_column(name, overflow="fold")
    for name in ("KL to fp32", "changed", f"{facts['metric']} lost", "saves MB", "of all saved", "KL / saved"):
        drawn.add_column(name, justify="right")
    for one in found.findings:
        names = [one.unit.name, one.unit.group] if facts["by"] == "layer" else [one.unit.name]
        drawn.add_row(*names, *_losses(one.loss), *_savings(one))
    total = sum(one.unit.bytes for one in found.findings)
    names = ["everything", *([""] if facts["by"] == "layer" else [])]
    drawn.add_section()
    drawn.add_row(*names, *_losses(found.everything), f"{total / 1e6:.2f}", "100 %", "")
    return drawn


def _losses(loss: Loss) -> tuple[str, str, str]:
    changed = "" if loss.changed is None else f"{100 * loss.changed:.1f} %"
    return f"{loss.divergence:.2g}", changed, f"{loss.drop:.2f}" if math.isfinite(loss.drop) else "no score"


def _savings(one: Finding) -> tuple[str, str, str]:
    return f"{one.unit.bytes / 1e6:.2f}", f"{100 * one.share:.1f} %", f"{one.loss_per_share:.2g}"


compress.add_command(SettingsCommand("sensitivity", _options, callback=_rank, help=HELP, example=EXAMPLE))
