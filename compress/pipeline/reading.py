"""Reads a pipeline from a YAML file, with changes applied, and finds what is wrong in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from compress.core import catalogue, shipped
from compress.core.destination import check_name
from compress.core.errors import CompressError, guess, listing, shown
from compress.core.paths import named
from compress.core.references import references
from compress.core.settings import Lines, Settings, below, build, read_value, read_yaml
from compress.tasks.task import DescribedTask
from compress.tasks.technique import Technique
from compress.techniques.apply import as_described
from compress.techniques.request import written

MEASUREMENTS = "measurements"
OF_THE_RUN = (MEASUREMENTS,)
"""The other entries of a run's folder, besides the report's files."""
KEYS = ("model", "task", "steps", "benchmark", "budget", "title")


@dataclass(frozen=True)
class PlannedStep:
    """A checked step of a pipeline."""

    name: str
    technique: Technique[Any]
    settings: Settings
    source: str | None
    """Its input step; None for the pipeline's model."""
    inputs: Mapping[str, str]
    """Setting -> the step or model it refers to."""


@dataclass(frozen=True)
class Pipeline:
    """A checked pipeline: all names, types and references are valid."""

    name: str
    model: str
    task: Mapping[str, Any] | None
    steps: tuple[PlannedStep, ...]
    """Sorted so that each step comes after those it needs."""
    benchmark: Any
    """A suite, or None."""
    budget: Mapping[str, Any] | None
    title: str | None

    @cached_property
    def described(self) -> DescribedTask | None:
        """Its task, or else its model's: read once, for the checks, the estimate and all steps."""
        from compress.models.sources import resolve_model

        return as_described(self.task if self.task is not None else resolve_model(self.model).task)


def read(name: str, changes: Sequence[str] | Mapping[str, Any] = ()) -> Pipeline:
    """A pipeline by a shipped name or from a YAML file, with changes applied.

    Args:
        changes: as they are typed (`key=value`), or values by their key; a key is a path: `steps.student.distill.layers`.

    Raises:
        CompressError: anything in it is unknown, missing, of the wrong type, or refers to nothing.
    """
    file = shipped.find("pipelines", name)
    values, lines = read_yaml(file)
    if values.get("task") is not None:  # its paths are relative to the file, those of the changes to the current folder
        changed = any(change.startswith("task") for change in changes)
        values["task"] = _described(values["task"], file.parent, file.name, is_final=not changed)
    if isinstance(
        values.get("steps"), dict
    ):  # a folder's name is a text, though YAML reads `1` or `on` as something else
        values["steps"] = {str(step): body for step, body in values["steps"].items()}
    for key, value in changes.items() if isinstance(changes, Mapping) else map(typed, changes):
        _change(values, key, value)
    where = file.name
    for key in values:
        if key not in KEYS:
            line = f" line {lines[(key,)]}" if (key,) in lines else ""
            raise CompressError(f"Unknown key '{key}' in {where}{line}.{guess(key, KEYS)} There are: {listing(KEYS)}.")
    if not isinstance(values.get("model"), str) or not values["model"].strip():
        raise CompressError(f"{where} names no model. Add `model: FOLDER`, or `--set model=FOLDER`.")
    steps = values.get("steps")
    if not isinstance(steps, dict) or not steps:
        raise CompressError(f"{where} has no steps. Add some below `steps:`.")
    task = values.get("task")
    described = None if task is None else _described(task, Path(), where)
    planned_steps = [
        _step(str(step), body, steps, where, below(lines, "steps", str(step)), lines) for step, body in steps.items()
    ]
    budget = values.get("budget")
    return Pipeline(
        name=file.stem,
        model=_beside(values["model"], file),
        task=described,
        steps=_ordered(planned_steps, where),
        benchmark=_suite(values.get("benchmark"), where),
        budget=_budget(budget, where, values.get("benchmark")),
        title=None if values.get("title") is None else str(values["title"]),
    )


def _beside(model: str, file: Path) -> str:
    """The model as it is named; a config in the folder of the pipeline's file is found too."""
    path = named(model)
    there = file.parent / path
    return str(there) if path.suffix == ".json" and not path.is_file() and there.is_file() else model


def _described(task: Any, beside: Path, where: str, *, is_final: bool = True) -> dict[str, Any]:
    from compress.data import given

    if not isinstance(task, str | dict):
        raise CompressError(f"In {where}, 'task' is neither a name nor a file nor a mapping.")
    return given.described(task, beside, is_final=is_final)


def _step(name: str, body: Any, steps: Mapping[str, Any], where: str, lines: Lines, all_lines: Lines) -> PlannedStep:
    line = all_lines.get(("steps", name))
    place = f"step '{name}' of {where}"
    spot = f"{place} line {line}" if line else place
    reason = _no_folder(name)
    if reason is not None:
        raise CompressError(f"{shown(name)} in {where} cannot be a step's name, {reason}. Use another.")
    if not isinstance(body, dict):
        raise CompressError(f"{spot} has no technique. Write for example `{name}: {{export: {{}}}}`.")
    body = dict(body)
    source = body.pop("from", None)
    source = str(source) if isinstance(source, bool | int | float) else source
    if source is not None and (not isinstance(source, str) or (source not in steps and source != "model")):
        raise CompressError(f"In {spot}, 'from' names {shown(source)}, which is not a step.{guess(source, steps)}")
    if len(body) != 1:
        known = catalogue.names("techniques")
        raise CompressError(f"In {spot} there must be exactly one technique ({listing(known)}), not {len(body)}.")
    ((technique_name, settings),) = body.items()
    known = catalogue.names("techniques")
    if technique_name not in known:
        raise CompressError(
            f"Unknown technique '{technique_name}' in {spot}.{guess(technique_name, known)} There are: {listing(known)}."
        )
    technique: Technique[Any] = catalogue.find("techniques", technique_name)
    if settings is not None and not isinstance(settings, dict):
        raise CompressError(f"The settings of {technique_name} in {spot} are not a mapping.")
    built = technique.read(settings or {}, place, below(lines, technique_name))
    return PlannedStep(name, technique, built, None if source in (None, "model") else source, references(built))


def _no_folder(name: str) -> str | None:
    """Why a name cannot be a step's, None where it can."""
    if not name.strip() or name.startswith(".") or {"/", "\\"} & set(name):
        return "since it becomes a folder"
    if name.casefold() in OF_THE_RUN or name.casefold().startswith("report."):
        return "since the run's folder has something else of that name"
    if name == "model":
        return "since `from: model` is the pipeline's model"
    reason = check_name(name)
    return reason and f"since it becomes a folder and {reason}"


def _ordered(steps: Sequence[PlannedStep], where: str) -> tuple[PlannedStep, ...]:
    """The steps so that each comes after those it needs; otherwise as they were written."""
    names = {step.name for step in steps}
    if len({name.casefold() for name in names}) < len(names):  # one folder, on macOS's file systems
        raise CompressError(f"Two steps of {where} have names that differ only in case. Rename one.")
    waiting, ordered = list(steps), []
    done: set[str] = set()
    while waiting:
        ready = [one for one in waiting if {one.source, *one.inputs.values()} & names <= done]
        if not ready:
            raise CompressError(
                f"The steps {listing(one.name for one in waiting)} of {where} depend on each other in a cycle."
            )
        ordered.append(ready[0])
        done.add(ready[0].name)
        waiting.remove(ready[0])
    return tuple(ordered)


def _budget(value: Any, where: str, suite: Any) -> Mapping[str, Any] | None:
    if value is None:
        return None
    from compress.report import Budget

    if not isinstance(value, dict):
        raise CompressError(f"In {where}, 'budget' is not a mapping. Write for example `budget: {{max_drop: 1.0}}`.")
    Budget.read(value)
    if suite is None:
        raise CompressError(f"{where} has a budget, but no benchmark. Add `benchmark: cpu`.")
    return value


def _suite(value: Any, where: str) -> Any:
    if value is None:
        return None
    from compress.measure import benchmark

    if isinstance(value, str):
        return benchmark.read_suite(value)
    if not isinstance(value, dict):
        raise CompressError(f"In {where}, 'benchmark' is neither a suite's name nor a mapping.")
    return build(benchmark.Suite, value, f"'benchmark' of {where}")


def typed(change: str, example: str = "--set task.data=FOLDER") -> tuple[str, Any]:
    """The key and the value of a change as it is typed: `max_drop=2`.

    Args:
        change: KEY=VALUE, the value in YAML.
        example: what a message shows.

    Raises:
        CompressError: it is not that.
    """
    path, equals, text = change.partition("=")
    if not equals or not path:
        raise CompressError(f"'{change}' is not KEY=VALUE. Write `{example}`.")
    try:
        return path, read_value(text)
    except ValueError as error:
        raise CompressError(f"The value in '{change}' cannot be read as YAML. Put it in quotes.") from error


def _change(values: dict[str, Any], path: str, value: Any) -> None:
    keys = path.split(".")
    here = values
    if keys[0] == "steps" and len(keys) > 1 and keys[1] not in (values.get("steps") or {}):
        known = list(values.get("steps") or {})
        raise CompressError(f"'{path}' does not name a step.{guess(keys[1], known)} There are: {listing(known)}.")
    for key in keys[:-1]:
        below_here = here.setdefault(key, {})
        if isinstance(below_here, str) and key == "task":
            below_here = here[key] = {"name": below_here}
        if not isinstance(below_here, dict):
            raise CompressError(f"'{path}' cannot be set: '{key}' is {shown(below_here)}, not a mapping.")
        here = below_here
    here[keys[-1]] = written(value)
