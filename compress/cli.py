"""The command line: parse, call the library, say what happened."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from compress import __version__, catalogue

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
TOOLS = ("run", "benchmark", "report", "predict", "inspect", "list", "doctor", "completion")
ORDER = ("import", "finetune", "distill", "prune", "qat", "quantize", "export")


class Commands(click.Group):
    """The commands written below, and one for each technique, made when it is asked for.

    A technique's help line is read from its file's docstring, so that `compress --help` imports none of them.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands: techniques in the order in which they are used, then the rest."""
        return [*_techniques(), *TOOLS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, None where there is none."""
        if cmd_name in catalogue.names("techniques"):
            return technique_command(cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As Click does, with a guess where the name is unknown."""
        from compress.errors import guess

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
    click.Option(["-q", "--quiet"], is_flag=True, expose_value=False, callback=_loud, help="Say nothing but results."),
    click.Option(["-v", "--verbose"], is_flag=True, expose_value=False, callback=_loud, help="Say more."),
    click.Option(
        ["--trust-remote-code"], is_flag=True, expose_value=False, callback=_trust, help="Run code that a model brings."
    ),
    click.Option(["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error."),
]


def command(name: str, *, example: str, **attributes: Any) -> Any:
    """A command of ours: with the common options, and an example at the end of its help."""

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
@click.version_option(__version__, "-V", "--version", prog_name="compress")
def compress() -> None:
    """Make a fine-tuned transformer smaller and faster, and prove what it cost.

    Distils, prunes, quantizes and exports Hugging Face models to ONNX, measures every result beside the original, and
    writes a report. A model is an artifact's folder, a Hugging Face folder, or a hub id.
    """
    logger = logging.getLogger("compress")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        handler.addFilter(_Once())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # of each product's type, of a kernel to download
        logger.propagate = False
    from compress import distributed

    distributed.settle()


class _Once(logging.Filter):
    """Lets a warning through once: a command reads a split several times, and each time says what is wrong with it."""

    def __init__(self) -> None:
        super().__init__()
        self.told: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        again = record.levelno >= logging.WARNING and text in self.told
        self.told.add(text)
        return not again


def technique_command(name: str) -> click.Command:
    """The command of a technique: its settings become options."""
    from compress import options

    technique = catalogue.find("techniques", name)
    module = sys.modules[technique.run.__module__]
    shared: list[click.Parameter] = [
        click.Argument(["source"], metavar="MODEL"),
        click.Option(
            ["-o", "--out"], required=True, type=click.Path(path_type=Path), help="Folder of the new artifact."
        ),
        click.Option(["--task"], help="Task by name, or a YAML file that describes one. Default: the artifact's own."),
        click.Option(
            ["--data"], help="Folder (or file) with the task's data. Default: the artifact's own, else the hub."
        ),
        click.Option(["--force"], is_flag=True, help="Replace another artifact at --out."),
        click.Option(["--dry-run"], is_flag=True, help="Check everything, say what would be done, and stop."),
    ]
    own = options.click_options(technique.settings)

    def invoke(source: str, out: Path, **values: Any) -> None:
        _apply(technique, source, out, values)

    return click.Command(
        name,
        callback=invoke,
        params=[*shared, *own, *COMMON],
        help=module.__doc__,
        epilog=f"Example: {technique.example}",
        context_settings=CONTEXT,
    )


def _apply(technique: Any, source: str, out: Path, values: Mapping[str, Any]) -> None:
    from compress import options
    from compress.models import bring
    from compress.settings import build
    from compress.technique import apply, planned, references

    context = click.get_current_context()
    names = technique.settings.model_fields
    typed = options.given(context, {name: value for name, value in values.items() if name in names})
    settings = build(technique.settings, typed, f"compress {technique.name}")
    artifact = bring(source)
    inputs = {name: bring(where) for name, where in references(settings).items()}
    task = _task(values.get("task"), values.get("data"), artifact.task)
    if values.get("dry_run"):
        from compress.technique import check

        check(technique, artifact, settings, task)
        step = planned(technique, artifact, settings, task, inputs)
        click.echo(f"{technique.name} {source} -> {out} (would be made; nothing was)")
        click.echo(json.dumps({"settings": step.settings, "data": step.data}, indent=2, default=str))
        return
    made = apply(technique, artifact, settings, out, task=task, inputs=inputs, replace=values["force"])
    click.echo(f"{made.folder}  {made.format} {made.precision}  {made.fingerprint()}")


def _task(name: str | None, data: str | None, own: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The task's description from `--task` and `--data`, else the artifact's own."""
    from compress import settings
    from compress.pipeline import absolute

    if name is None and data is None:
        return own
    if name is None:
        if own is None:
            raise click.UsageError("--data needs --task: the model has no task of its own.")
        description = dict(own)
    elif name.endswith((".yaml", ".yml")):
        description, _ = settings.read_yaml(Path(name))
    else:
        description = dict(own) if own is not None and own.get("name") == name else {"name": name}
    if data is not None:
        description["data"] = data
    return absolute(description)


@command("run", example="compress run quickstart")
@click.argument("pipeline")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder of the run.  [default: runs/<pipeline>]")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change the pipeline: --set task.data=DIR.")
@click.option("--dry-run", is_flag=True, help="Check everything, show what would run and why, and stop.")
def run(pipeline: str, out: Path | None, changes: tuple[str, ...], dry_run: bool) -> None:
    """Run a pipeline: a YAML file, or one that is shipped (see `compress list pipelines`).

    Finished steps are reused; a run that was stopped goes on with the same command. Exits 3 when a budget is not met.
    """
    from compress import pipeline as pipelines

    plan = pipelines.read(pipeline, changes)
    folder = out or Path("runs") / plan.name
    if dry_run:
        for line in pipelines.explain(plan, folder):
            click.echo(line)
        return
    result = pipelines.run(plan, folder)
    _print_table(result.measurements, plan.budget)
    if result.report is not None:
        click.echo(f"\nReport: {result.report}")
    pipelines.check_budget(plan, result)


@command("benchmark", example="compress benchmark runs/teacher runs/student --suite quick -o runs/measurements")
@click.argument("artifacts", nargs=-1, required=True)
@click.option("--suite", default="cpu", show_default=True, help="What to measure: a shipped suite or a YAML file.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder for measurements.json.")
@click.option("--task", help="Task by name, or a YAML file. Default: the artifacts' own.")
@click.option("--data", help="Folder with the task's data. Default: the artifacts' own.")
@click.option("--json", "as_json", is_flag=True, help="Print the measurements as JSON.")
def benchmark(
    artifacts: tuple[str, ...], suite: str, out: Path, task: str | None, data: str | None, as_json: bool
) -> None:
    """Measure artifacts side by side: quality, latency, memory and size, beside the uncompressed model.

    The uncompressed model, in torch and as fp32 ONNX, is always measured in the same run.
    """
    from compress import benchmark as benchmarks
    from compress.models import bring
    from compress.technique import default_cache

    brought = [(Path(one).resolve().name, bring(one)) for one in artifacts]
    described = _task(task, data, brought[0][1].task)
    found = benchmarks.run(brought, benchmarks.read_suite(suite), out, cache=default_cache(out), task=described)
    if as_json:
        click.echo((out / "measurements.json").read_text())
        return
    _print_table(found)
    click.echo(f"\nMeasurements: {out / 'measurements.json'}\nNext: compress report {out} -o report.html")


@command("report", example="compress report runs/quickstart -o report.html")
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), help="The HTML file; others lie beside it."
)
@click.option("--title", help="The report's title.")
def report(sources: tuple[Path, ...], out: Path, title: str | None) -> None:
    """Write the comparison report (HTML, Markdown, JSON, CSV) from measurements and manifests alone."""
    from compress import report as reports

    for file in reports.write(sources, out, title=title):
        click.echo(str(file))


@command("predict", example='compress predict runs/student "what a charming film"')
@click.argument("artifact")
@click.argument("texts", nargs=-1, required=True)
@click.option("--pair", help="The second text, for tasks on pairs.")
@click.option("--beams", type=click.IntRange(1), help="Of models that write; 1 is greedy. Default: the model's.")
@click.option("--new-tokens", type=click.IntRange(1), help="How many they write at most. Default: the task's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def predict(
    artifact: str, texts: tuple[str, ...], pair: str | None, beams: int | None, new_tokens: int | None, as_json: bool
) -> None:
    """Answer for texts with a torch or an ONNX artifact alike: a label, a score, or what it writes.

    `-` reads one text a line from standard input.
    """
    from compress.models import bring
    from compress.prediction import predictions

    lines = [line.rstrip("\n") for line in sys.stdin] if texts == ("-",) else list(texts)
    answers = predictions(bring(artifact), lines, pair, beams=beams, new_tokens=new_tokens)
    for text, answer in zip(lines, answers, strict=True):
        if as_json:
            click.echo(json.dumps({"text": text, **answer}, ensure_ascii=False))
        elif "output" in answer:
            click.echo(answer["output"])
        elif "label" in answer:
            odds = "  ".join(f"{name} {share:.4f}" for name, share in answer["probabilities"].items())
            click.echo(f"{answer['label']}  ({odds})  {text}")
        else:
            click.echo(f"{answer['score']:.4f}  {text}")


@command("inspect", example="compress inspect runs/student")
@click.argument("artifact")
@click.option("--json", "as_json", is_flag=True, help="Print the whole manifest.")
def inspect(artifact: str, as_json: bool) -> None:
    """Show what an artifact is and how it was made; checks its files against their recorded hashes."""
    from compress.models import bring

    found = bring(artifact)
    found.check_files()
    if as_json:
        click.echo(json.dumps(found.manifest(), indent=2))
        return
    from compress.measure.size import disk_bytes

    task = found.task or {}
    click.echo(f"{found.folder}: {found.format} {found.precision}, {disk_bytes(found) / 1e6:.1f} MB on disk")
    click.echo(f"fingerprint  {found.fingerprint()}")
    click.echo(f"origin       {found.origin['name']} ({found.origin.get('model_type', '')})")
    click.echo(f"task         {task.get('name', 'none')}" + (f", data in {task['data']}" if task.get("data") else ""))
    for number, step in enumerate(found.steps, 1):
        settings = ", ".join(f"{name}={value}" for name, value in step.settings.items() if value is not None)
        click.echo(f"step {number}       {step.technique}: {settings}  ({step.facts.get('seconds', '?')} s)")
    click.echo(
        f"files        {len(found.files)}, all as recorded" if found.files else "files        a Hugging Face folder"
    )


@command("list", example="compress list tasks")
@click.argument("kind", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(kind: str | None, as_json: bool) -> None:
    """List what there is: techniques, tasks, metrics, runtimes, pipelines, calibration sets, suites."""
    from compress import shipped
    from compress.errors import CompressError, guess, listing

    files = {"pipelines": "pipelines", "calibration": "calibration", "suites": "benchmarks"}
    kinds = (*catalogue.MARKS, *files)
    if kind is not None and kind not in kinds:
        raise CompressError(f"There are no '{kind}' to list.{guess(kind, kinds)} There are: {listing(kinds)}.")
    found: dict[str, dict[str, str]] = {}
    for one in kinds if kind is None else (kind,):
        if one in files:
            found[one] = {name: _yaml_summary(shipped.find(files[one], name)) for name in shipped.names(files[one])}
        else:
            found[one] = {name: catalogue.summary(one, name) for name in catalogue.names(one)}
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    width = max(len(name) for names in found.values() for name in names)
    for one, names in found.items():
        click.echo(click.style(one, bold=True))
        for name, summary in names.items():
            click.echo(f"  {name:<{width}}  {summary}")


@command("doctor", example="compress doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Say what of this tool works on this machine: packages, processor, GPUs, runtimes."""
    from compress import diagnosis

    found = diagnosis.examine()
    click.echo(json.dumps(found, indent=2) if as_json else diagnosis.render(found))


@command("completion", example='eval "$(compress completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the shell's completion script."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(compress, {}, "compress", "_COMPRESS_COMPLETE").source())


def _techniques() -> list[str]:
    known = catalogue.names("techniques")
    return [name for name in ORDER if name in known] + [name for name in known if name not in ORDER]


def _yaml_summary(file: Path) -> str:
    """The comment in the file's first line."""
    first = file.read_text(encoding="utf-8").split("\n", 1)[0]
    return first.lstrip("# ") if first.startswith("#") else ""


def _print_table(measurements: Any, budget: Mapping[str, Any] | None = None) -> None:
    from rich.console import Console

    from compress import report as reports

    if measurements is not None:
        Console().print(reports.table(measurements, budget=budget))
