"""The command init."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Any

import click

from compress.cli.commands import FILE, command, say, say_lines
from compress.core.printable import json_text


@command("init", example="compress init runs/teacher reviews.csv -o pipeline.yaml")
@click.argument("model")
@click.argument("data", type=FILE)
@click.argument("evaluation", type=FILE, required=False)
@click.option("-o", "--out", type=FILE, default="pipeline.yaml", show_default=True, help="The pipeline's file.")
@click.option("--kind", help="Kind of task, as in a task config. Default: by the model and the columns.")
@click.option("--text", "texts", multiple=True, help="Column of the text, or of the source; twice for text pairs.")
@click.option("--label", help="Column of the label, or of the target.")
@click.option("--dry-run", is_flag=True, help="Print the pipeline, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found, written and estimated as JSON.")
def init(
    model: str,
    data: Path,
    evaluation: Path | None,
    out: Path,
    kind: str | None,
    texts: tuple[str, ...],
    label: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write a first pipeline for a model and a file of rows, and estimate what running it takes.

    DATA is CSV, TSV, JSON, JSON lines, Parquet, CoNLL or plain text. Its separator, encoding, columns and labels are found,
    and checked against the model. Without EVALUATION, a fifth of the rows (2,000 at most) is set aside for it in new files
    beside the pipeline. No file is overwritten.
    """
    from compress.cli.planning import first_pipeline as planning
    from compress.cli.planning.evaluation_rows import set_aside
    from compress.core.errors import CompressError
    from compress.core.progress import say as progress
    from compress.models.load import resolve_model

    beside = out.parent / f"{out.stem}-data"
    new = [out] if evaluation is not None else [out, beside]
    taken = next((one for one in new if one.exists()), None)
    if taken is not None and not dry_run:
        raise CompressError(f"{taken} exists already, and nothing is overwritten. Choose another file with -o.")
    progress(f"Reading {data}.")
    source = resolve_model(model)
    given = {"kind": kind, "text": list(texts), "label": label}
    plan = planning.first_pipeline(source, model, data, evaluation, given)
    found = list(plan.findings)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        if evaluation is not None:
            trial = files = {"train": data, "evaluation": evaluation}
        else:
            plan = planning.without_layout(plan)
            trial = set_aside(plan.train, plan.texts, place / "data")
            files = {split: beside / file.name for split, file in trial.items()}
            found.append(
                f"{_lines(trial['evaluation']):,} of the rows are set aside for evaluation in {beside}, and "
                f"{_lines(trial['train']):,} are for training; rows with the same text stay together."
            )
        file = place / f"{out.stem}.yaml"
        whole = {split: one.resolve() for split, one in trial.items()}
        file.write_text(planning.rendered(plan, place, whole), encoding="utf-8")
        estimate = _estimate(file, out, plan.tokens)  # checks that the pipeline runs as it is
        if evaluation is None and not dry_run:
            shutil.copytree(place / "data", beside)
    text = planning.rendered(plan, out.parent, files)
    if not dry_run:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("x", encoding="utf-8") as stream:
            stream.write(text)
    if as_json:
        answer: dict[str, Any] = {
            "pipeline": None if dry_run else str(out),
            "yaml": text,
            "found": found,
            "estimate": estimate.to_json(),
        }
        click.echo(json_text(answer))
        return
    if dry_run:
        click.echo(text, nl=False)
    for line in (*found, "", *estimate.lines()):
        (progress if dry_run else say)(line)
    if not dry_run:
        say_lines(f"\nWritten: {out}\nNext: {shlex.join(['compress', 'run', str(out)])}")


def _estimate(file: Path, out: Path, tokens: float) -> Any:
    from compress import pipeline as pipelines
    from compress.cli.planning.runs import of_pipeline

    plan = pipelines.read(str(file))
    return of_pipeline(plan, pipelines.check_all(plan, Path("runs") / out.stem), tokens=tokens)


def _lines(file: Path) -> int:
    with file.open("rb") as stream:
        return sum(1 for _ in stream)
