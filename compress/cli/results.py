"""The commands run, benchmark and report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from compress.cli import completion
from compress.cli.commands import ALLOW_OVERLAP, FILE, command, say, say_lines
from compress.core.printable import json_text


@command("run", example="compress run quickstart")
@click.argument("pipeline", shell_complete=completion.of("pipelines", files=True))
@click.option("-o", "--out", type=FILE, help="Folder of the run.  [default: runs/<pipeline>]")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a value of the pipeline: --set task.data=DIR.",
)
@click.option("--allow-overlap", is_flag=True, help=ALLOW_OVERLAP)
@click.option(
    "--confirm",
    metavar="SPLIT",
    help="Measure what is recommended once more on a split that chose nothing, such as test; the report shows both.",
)
@click.option("--dry-run", is_flag=True, help="Check everything, print what would run, why, and an estimate, and stop.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print what was made, the recommendation and the report's path as JSON."
)
def run(
    pipeline: str,
    out: Path | None,
    changes: tuple[str, ...],
    allow_overlap: bool,
    confirm: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run a pipeline: a YAML file, or a built-in one by name (`compress list pipelines`).

    Finished steps are reused. A stopped run continues with the same command. The exit code is 3 if a budget is not met.
    """
    from compress.core.progress import say as progress

    progress(f"run: reading the pipeline {pipeline}.")
    from compress import pipeline as pipelines

    plan = pipelines.read(pipeline, (*changes, *(["task.allow_overlap=true"] if allow_overlap else [])))
    folder = out or Path("runs") / plan.name
    if dry_run:
        from compress.cli.planning.runs import expectations, of_pipeline

        expected = pipelines.check_all(plan, folder)
        explained = pipelines.explain(plan, expected)
        estimate, gains = of_pipeline(plan, expected), expectations(plan, expected)
        if as_json:
            told = {"expectations": gains} if gains else {}
            click.echo(json_text({"steps": explained, **told, "estimate": estimate.to_json()}))
            return
        for line, step in zip(explained, estimate.steps, strict=True):
            say(line if step.done else f"{line}: {step.in_words()}")
        for name, line in gains.items():
            say(f"{name}: {line}")
        for line in estimate.of_all():
            say(line)
        return
    from compress.cli.planning.runs import time_left

    # How long a confirmation takes is not known.
    result = pipelines.run(plan, folder, confirm=confirm, estimate=time_left if confirm is None else None)
    if as_json:
        click.echo(json_text(_made(result)))
    else:
        _print_table(result.measurements, plan.budget)
        _say_end(result)
    if result.measurements is not None:
        from compress.measure import benchmark as benchmarks

        benchmarks.check_measured(result.measurements)
    pipelines.check_budget(plan, result)


@command("benchmark", example="compress benchmark runs/teacher runs/student --suite quick -o runs/measurements")
@click.argument("artifacts", nargs=-1, required=True, shell_complete=completion.folders)
@click.option(
    "--suite",
    default="cpu",
    show_default=True,
    shell_complete=completion.of("suites", files=True),
    help="Benchmark suite: a built-in one by name, or a YAML file.",
)
@click.option(
    "--runtime",
    "runtimes",
    multiple=True,
    shell_complete=completion.of("runtimes"),
    help="Measure in this runtime, see `compress list runtimes`; may be repeated. Default: the suite's, else each format's.",
)
@click.option(
    "--slice",
    "slices",
    multiple=True,
    help="Also show results by this column of the evaluation data; may be repeated. Default: all columns with 2 to 20 values.",
)
@click.option("-o", "--out", required=True, type=FILE, help="Folder for measurements.json.")
@click.option(
    "--task",
    shell_complete=completion.of("tasks", files=True),
    help="Task by name, or a YAML file. Default: the artifacts' own.",
)
@click.option("--data", help="Folder with the task's data, or a file of evaluation rows. Default: the artifacts' own.")
@click.option("--rows", type=click.IntRange(1), help="Maximum number of evaluation rows.")
@click.option("--allow-overlap", is_flag=True, help=ALLOW_OVERLAP)
@click.option(
    "--confirm",
    metavar="SPLIT",
    help="Measure what is recommended once more on a split that chose nothing, such as test; the report shows both.",
)
@click.option("--force", is_flag=True, help="Measure again, and replace the measurements at --out.")
@click.option("--json", "as_json", is_flag=True, help="Print the measurements as JSON.")
def benchmark(artifacts: tuple[str, ...], suite: str, out: Path, force: bool, as_json: bool, **given: Any) -> None:
    """Measure artifacts side by side: quality, latency, memory, size.

    The uncompressed model, in torch and as fp32 ONNX, is always measured in the same run. An artifact that cannot be measured
    is listed with the reason; if none can be measured, the exit code is 1. A stopped benchmark continues with the same
    command.
    """
    from compress.core.progress import say as progress

    progress(f"benchmark: reading {len(artifacts)} models and their data; the measurements go to {out}.")
    from compress.measure import benchmark as benchmarks
    from compress.measure.request import measured

    found = measured(artifacts, out, suite=suite, force=force, **given)
    if as_json:
        click.echo((out / "measurements.json").read_text(encoding="utf-8"))
        benchmarks.check_measured(found)
        return
    _print_table(found)
    benchmarks.check_measured(found)
    say_lines(
        f"\nMeasurements: {out / 'measurements.json'}\nNext: {shlex.join(['compress', 'report', str(out)])} -o report.html"
    )


@command("report", example="compress report runs/quickstart -o report.html")
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o", "--out", required=True, type=FILE, help="The HTML file; Markdown, JSON and CSV are written beside it."
)
@click.option("--title", help="The report's title.")
@click.option(
    "--budget",
    "limits",
    multiple=True,
    metavar="LIMIT=NUMBER",
    help="A limit of the budget: max_drop=2 (points; also the margin of the verdicts), min_speedup=3 or max_mb=50; may be "
    "repeated. Default: the budget of the pipeline that measured, if any.",
)
@click.option("--examples/--no-examples", default=True, help="Show texts of the evaluation split. Default: yes.")
@click.option("--json", "as_json", is_flag=True, help="Print the files and the recommendation as JSON.")
def report(
    sources: tuple[Path, ...], out: Path, title: str | None, limits: tuple[str, ...], examples: bool, as_json: bool
) -> None:
    """Write a comparison report (HTML, Markdown, JSON, CSV) from measurements and manifests.

    With --budget the exit code is 3 if no variant of the newest run is shown to keep every limit.
    """
    from compress import pipeline as pipelines
    from compress import report as reports

    budget = dict(pipelines.typed(one, "--budget max_drop=2") for one in limits) or None
    written = reports.write(sources, out, budget=budget, title=title, examples=examples)
    files = [str(file) for file in written]
    if as_json:
        click.echo(json_text({"files": files, "verdict": written.leads}))
    else:
        for line in (*files, *written.leads):
            say(line)
    if limits and written.met is False:
        from compress.core.errors import BudgetNotMet

        raise BudgetNotMet(" ".join(written.verdicts[0].reasons))


def _made(result: Any) -> dict[str, Any]:
    """The results of a run as a JSON dictionary."""
    from compress.cli.gained import gained

    return {
        "artifacts": {name: gained(None, one) for name, one in result.artifacts.items()},
        "verdict": result.leads,
        "report": None if result.report is None else str(result.report),
    }


def _say_end(result: Any) -> None:
    """The last lines of a run: the verdict and the report, or where nothing is measured what was made."""
    from compress.cli import gained

    if result.report is None:
        for one in result.artifacts.values():
            say(gained.in_words(gained.gained(None, one)))
        folders = [str(one.folder) for one in result.artifacts.values()]
        say(f"Next: {shlex.join(['compress', 'benchmark', *folders])} -o MEASUREMENTS")
        return
    say("")
    for one in result.leads:
        say(one)
    say(f"Report: {result.report}")


def _print_table(measurements: Any, budget: Mapping[str, Any] | None = None) -> None:
    from rich.console import Console

    from compress import report as reports

    if measurements is not None:
        Console().print(reports.table(measurements, budget=budget))
