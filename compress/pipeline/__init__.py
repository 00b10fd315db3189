"""Checks all of a pipeline before weights are loaded, and runs its graph of steps; finished ones are reused."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from compress.core import kept
from compress.core.artifact import Artifact, finished
from compress.core.cache import default_cache
from compress.core.errors import BudgetNotMet, CompressError
from compress.core.measurement import Measurements
from compress.core.progress import say
from compress.core.reasons import why
from compress.core.time_left import TimeLeft
from compress.core.work_folder import unfinished
from compress.pipeline.reading import MEASUREMENTS as MEASUREMENTS
from compress.pipeline.reading import Pipeline as Pipeline
from compress.pipeline.reading import PlannedStep as PlannedStep
from compress.pipeline.reading import read as read
from compress.pipeline.reading import typed as typed
from compress.techniques.apply import apply, check, check_destination, check_free, planned


@dataclass(frozen=True)
class Result:
    """The results of a run."""

    artifacts: Mapping[str, Artifact]
    measurements: Measurements | None
    report: Path | None
    leads: tuple[str, ...] = ()
    """The sentence that the report opens with."""


def check_all(plan: Pipeline, out: Path) -> dict[str, Artifact]:
    """Check everything that can be checked before weights are loaded.

    Returns:
        Each step's expected artifact: its format and fingerprint are known before it is made.

    Raises:
        CompressError: the model, the data or a calibration set is not there, or a format does not fit.
    """
    from compress.models.load import resolve_model

    expected: dict[str, Artifact] = {}
    model = resolve_model(plan.model)
    task = plan.described
    for step in plan.steps:
        source = model if step.source is None else expected[step.source]
        check(step.technique, source, step.settings, task)
        inputs = {name: expected[one] if one in expected else resolve_model(one) for name, one in step.inputs.items()}
        check_destination(out / step.name, source, step.settings, task, inputs)
        future = planned(step.technique, source, step.settings, task, inputs)
        form, precision = step.technique.gives(step.settings)
        draft = source.after(
            future, out / step.name, task=task.description if task else None, format=form, precision=precision
        )
        if not finished(draft.folder, draft.fingerprint()):
            check_free(draft.folder, True, kept.set_aside)
        expected[step.name] = draft
    if plan.benchmark is not None:
        from compress.data import loading
        from compress.measure.former import check_folder
        from compress.report import Budget, check_page

        check_folder(out / "measurements")
        check_page(out / "report.html")
        if task is None:
            raise CompressError(f"{plan.name} has a benchmark, but no task. Add `task:`, or `--set task=sst2`.")
        described = task.task
        is_labelled = loading.load(described, task.data, "evaluation").is_labelled
        if not is_labelled and described.of_kind.has_references:  # a text is all that it is measured on
            raise CompressError(
                f"The evaluation split of {described.name} has no labels, so nothing can be measured on it."
            )
        if plan.budget is not None:
            Budget.read(plan.budget, described.metrics)
    return expected


def explain(plan: Pipeline, expected: Mapping[str, Artifact]) -> list[str]:
    """What a run would do, step by step, and why.

    Args:
        expected: each step's artifact, of `check_all`.
    """
    return [f"{step.name:<16}{step.technique.name:<10}{_why(expected[step.name])}" for step in plan.steps]


def run(
    plan: Pipeline,
    out: Path,
    *,
    confirm: str | None = None,
    estimate: Callable[[Pipeline, Mapping[str, Artifact]], TimeLeft | None] | None = None,
) -> Result:
    """Run a pipeline into a folder: an artifact for each step, `measurements/`, and `report.html`.

    Args:
        plan: the pipeline.
        out: the folder of the run.
        confirm: the split, such as `test`, on which the recommended variant is measured once more.
        estimate: gives the time that the parts of the run will take, once everything is checked; by default none is reported.

    Raises:
        CompressError: see `check_all` and each technique.
    """
    expected = check_all(plan, out)
    from compress.models.load import resolve_model

    model = resolve_model(plan.model)
    task = plan.described
    if confirm is not None:
        from compress.measure import confirm as confirming

        confirming.check_split(confirm, task)
    made: dict[str, Artifact] = {}
    cache = default_cache(out / "any")
    left = (estimate(plan, expected) if estimate is not None else None) or TimeLeft({})
    for number, step in enumerate(plan.steps, 1):
        folder = out / step.name
        at = f"Step {number} of {len(plan.steps)}: {step.name}{left.in_words()}"
        say(f"{at} ({step.technique.name}: {_why(expected[step.name])}).")
        kept.put_back(folder, expected[step.name].fingerprint())
        is_whole = not finished(folder, expected[step.name].fingerprint()) and not unfinished(folder).exists()
        begun = time.monotonic()
        source = model if step.source is None else made[step.source]
        inputs = {name: made[one] if one in made else resolve_model(one) for name, one in step.inputs.items()}
        made[step.name] = apply(
            step.technique,
            source,
            step.settings,
            folder,
            task=task,
            inputs=inputs,
            cache=cache,
            replace=True,
            aside=kept.set_aside,
        )
        left.over(step.name, time.monotonic() - begun if is_whole else None)
    if plan.benchmark is None:
        return Result(made, None, None)
    from compress import report as reports
    from compress.measure import benchmark
    from compress.report import limits

    measured = {name: artifact for name, artifact in made.items() if artifact.steps[-1].compresses} or made
    say(f"Measuring {len(measured)} artifacts and the uncompressed model{left.in_words()}.")
    measurements = benchmark.run(
        list(measured.items()), plan.benchmark, out / "measurements", cache=cache, task=task, existing="keep"
    )
    if confirm is not None:
        confirming.confirm(
            measurements,
            list(measured.items()),
            plan.benchmark,
            out / "measurements",
            split=confirm,
            cache=cache,
            task=task,
            budget=plan.budget,
        )
    page = out / "report.html"
    limits.keep(out / "measurements", plan.budget)
    report = reports.write([out / "measurements"], page, budget=plan.budget, title=plan.title)
    return Result(made, measurements, page, report.leads)


def check_budget(plan: Pipeline, result: Result) -> None:
    """Raises BudgetNotMet, which keeps the result, when no variant meets the pipeline's budget."""
    if plan.budget is None or result.measurements is None:
        return
    from compress import report as reports

    met, reasons = reports.verdict(result.measurements, plan.budget)
    if not met:
        raise BudgetNotMet(" ".join(reasons), result)


def _why(expected: Artifact) -> str:
    if not finished(expected.folder, expected.fingerprint()) and kept.is_kept(expected.folder, expected.fingerprint()):
        return f"made before, kept in {kept.place(expected.folder, expected.fingerprint())}, restored"
    return why(expected)
