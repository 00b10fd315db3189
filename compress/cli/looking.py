"""The commands predict, inspect, list, doctor and completion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from compress.cli import completion as completions
from compress.cli.commands import command, compress, say, say_lines
from compress.core.errors import CompressError
from compress.core.printable import json_text


@command("predict", example='compress predict runs/student "what a charming film"')
@click.argument("artifact", shell_complete=completions.folders)
@click.argument("texts", nargs=-1)
@click.option("--pair", help="The second text, for models that read text pairs.")
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file of texts or pairs.")
@click.option(
    "--format",
    "layout",
    type=click.Choice(["text", "tsv", "csv", "jsonl", "conll"]),
    help="Format of --file or standard input. Default: by the file's extension, else text.",
)
@click.option(
    "--runtime",
    shell_complete=completions.of("runtimes"),
    help="Runtime; see `compress list runtimes`. Default: that of the artifact's format.",
)
@click.option(
    "--beams",
    type=click.IntRange(1),
    help="Number of beams (generative models); 1: greedy search. Default: the model's own.",
)
@click.option(
    "--new-tokens",
    type=click.IntRange(1),
    help="Maximum number of generated tokens (generative models). Default: the task's.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def predict(artifact: str, texts: tuple[str, ...], file: Path | None, layout: str | None, **options: Any) -> None:
    """Predict labels, scores or generated texts, with a torch or an ONNX artifact.

    To predict many texts, use --file, or `-` for standard input: one text per line, one prediction per line. For text pairs,
    put a tab between the two texts. TSV and CSV have one or two columns, or a header with the columns' names (`text`,
    `text_pair`, or the task's). JSON lines are objects with the same names. A line without a text gives an empty line. A CoNLL
    file gives one prediction per sentence. Texts are truncated as in training and in `compress benchmark`.
    """
    from compress.cli import answers
    from compress.models.load import resolve_model

    if bool(texts) == (file is not None):
        raise click.UsageError("Give texts, or --file, or `-` to read standard input.")
    if layout is not None and file is None and texts != ("-",):
        raise click.UsageError("--format is for --file and for standard input (`-`).")
    for line in answers.answered(resolve_model(artifact), texts, file, layout, **options):
        click.echo(line)


@command("inspect", example="compress inspect runs/student")
@click.argument("artifact", shell_complete=completions.folders)
@click.option("--json", "as_json", is_flag=True, help="Print the whole manifest.")
def inspect(artifact: str, as_json: bool) -> None:
    """Show how an artifact was made, and check its files' hashes."""
    from compress.models.load import resolve_model

    found = resolve_model(artifact)
    found.check_files()
    if as_json:
        click.echo(json_text(found.manifest(), indent=2))
        return
    from compress.core.setting_names import shown_as
    from compress.measure.size import disk_bytes

    task = found.task or {}
    say(f"{found.folder}: {found.format} {found.precision}, {disk_bytes(found) / 1e6:.1f} MB on disk")
    say(f"fingerprint  {found.fingerprint()}")
    say(f"origin       {found.origin['name']} ({found.origin.get('model_type', '')})")
    say(f"task         {task.get('name', 'none')}" + (f", data in {task['data']}" if task.get("data") else ""))
    if written := found.facts.get("graph"):
        attention = ", ".join(f"{count} {name}" for name, count in written["attention"].items()) or "not fused"
        say(f"graph        opset {written['opset']}; attention: {attention}; padding: {written['padding_side']}")
    for number, step in enumerate(found.steps, 1):
        named = shown_as(step.technique, step.settings)
        settings = ", ".join(f"{name}={value}" for name, value in named.items() if value is not None)
        say(f"step {number}       {step.technique}: {settings}  ({step.facts.get('seconds', '?')} s)")
    say(f"files        {len(found.files)}, all as recorded" if found.files else "files        a Hugging Face folder")


@command("list", example="compress list tasks")
@click.argument("kind", required=False, shell_complete=completions.kinds)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(kind: str | None, as_json: bool) -> None:
    """List tasks, metrics, runtimes, pipelines, suites and more.

    KIND is techniques, tasks, metrics, runtimes, pipelines, calibration (sets) or suites (of benchmarks). Default: all.
    """
    from compress.core.errors import guess, listing

    kinds = completions.KINDS
    if kind is not None and kind not in kinds:
        raise CompressError(f"There are no '{kind}' to list.{guess(kind, kinds)} There are: {listing(kinds)}.")
    found = {one: completions.names(one) for one in (kinds if kind is None else (kind,))}
    if as_json:
        click.echo(json_text(found, indent=2))
        return
    width = max(len(name) for names in found.values() for name in names)
    for one, names in found.items():
        click.echo(click.style(one, bold=True))
        for name, summary in names.items():
            say(f"  {name:<{width}}  {summary}")


@command("doctor", example="compress doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Check what works on this machine: packages, processor, GPUs, runtimes."""
    from compress.cli import doctor as diagnosis

    found = diagnosis.examine()
    if as_json:
        click.echo(json_text(found, indent=2))
    else:
        say_lines(diagnosis.render(found))


@command("completion", example='eval "$(compress completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the shell's completion script."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(compress, {}, "compress", "_COMPRESS_COMPLETE").source())
