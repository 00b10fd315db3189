"""Estimates for a pipeline and for a single technique."""

from __future__ import annotations

from pathlib import Path

from compress import pipeline as pipelines
from compress.models.sources import resolve_model
from compress.planning.estimate import Estimate, Planned, estimated
from compress.techniques.apply import as_described
from compress.techniques.request import Request


def of_pipeline(plan: pipelines.Pipeline, out: Path, *, tokens: float | None = None) -> Estimate:
    """What a run of the pipeline into a folder will take.

    Raises:
        CompressError: as `compress.pipeline.check_all`.
    """
    expected = pipelines.check_all(plan, out)
    model = resolve_model(plan.model)
    task = as_described(plan.task if plan.task is not None else model.task)
    steps = [Planned(one.name, one.technique.name, one.settings, expected[one.name], one.source) for one in plan.steps]
    return estimated(model, steps, task, tokens=tokens, suite=plan.benchmark)


def of_request(request: Request) -> Estimate:
    """What one technique will take.

    Raises:
        CompressError: as `Request.check`.
    """
    expected = request.check()
    form, precision = request.technique.gives(request.settings)
    import dataclasses

    expected = dataclasses.replace(expected, format=form, precision=precision)
    step = Planned(request.out.name, request.technique.name, request.settings, expected)
    return estimated(request.source, [step], request.task)
