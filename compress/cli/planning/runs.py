"""Estimates for a pipeline and for a single technique, and the time that is left while a pipeline runs."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping

from compress import pipeline as pipelines
from compress.cli.planning.estimate import Estimate, Planned, estimated, is_too_large
from compress.core import kept
from compress.core.artifact import Artifact, finished
from compress.core.distributed import world_size
from compress.core.time_left import TimeLeft
from compress.core.work_folder import unfinished
from compress.models.sources import resolve_model
from compress.techniques.request import Request

logger = logging.getLogger("compress")


def of_pipeline(plan: pipelines.Pipeline, expected: Mapping[str, Artifact], *, tokens: float | None = None) -> Estimate:
    """What a run of the pipeline will take.

    Args:
        expected: each step's artifact, of `compress.pipeline.check_all`.
        tokens: the mean length of a row; None: it is read from some rows of the task.

    Raises:
        CompressError: the data cannot be read.
    """
    model = resolve_model(plan.model)
    steps = [Planned(one.name, one.technique.name, one.settings, expected[one.name], one.source) for one in plan.steps]
    return estimated(model, steps, plan.described, tokens=tokens, suite=plan.benchmark)


def expectations(plan: pipelines.Pipeline, expected: Mapping[str, Artifact]) -> dict[str, str]:
    """What the steps that are to run are expected to gain, a line for each step of which something is known.

    Args:
        expected: each step's artifact, of `compress.pipeline.check_all`.

    Raises:
        CompressError: the data cannot be read.
    """
    found = {}
    for step in plan.steps:
        artifact, expects = expected[step.name], step.technique.expects
        if expects is None or plan.described is None or finished(artifact.folder, artifact.fingerprint()):
            continue
        source = _as_known(plan, expected, step.source)
        line = expects(step.settings, source, plan.described) if source is not None else None
        if line is not None:
            found[step.name] = line
    return found


def _as_known(plan: pipelines.Pipeline, expected: Mapping[str, Artifact], name: str | None) -> Artifact | None:
    """The input of a step: a model that is there, or will be there with the same architecture; None where that is not known."""
    if name is None:
        model = resolve_model(plan.model)
        return None if model.format == "config" else model
    artifact = expected[name]
    if finished(artifact.folder, artifact.fingerprint()):
        return artifact
    (step,) = (one for one in plan.steps if one.name == name)
    before = None if step.technique.compresses else _as_known(plan, expected, step.source)
    return None if before is None else dataclasses.replace(artifact, folder=before.folder)


def time_left(plan: pipelines.Pipeline, expected: Mapping[str, Artifact]) -> TimeLeft | None:
    """The time that a run will take by its parts, from a few training steps that are timed here.

    None where that is no measure (a GPU or several processes train, texts are generated), where all steps are finished, and
    where the model has no weights yet or is too large to be timed quickly.

    Args:
        expected: each step's artifact, of `compress.pipeline.check_all`.
    """
    import torch

    model = resolve_model(plan.model)
    if (
        all(finished(one.folder, one.fingerprint()) for one in expected.values())
        or world_size() > 1
        or torch.cuda.is_available()
        or model.format == "config"
        or is_too_large(model)
    ):
        return None
    try:
        with torch.random.fork_rng(devices=[]):  # a run draws the same numbers with an estimate and without
            found = of_pipeline(plan, expected)
    except Exception as error:  # of any kind that a model's own code raises: a run does without an estimate
        logger.debug("The time is not estimated: %s", error)
        return None
    if found.not_counted:
        return None
    parts: dict[str, float | None] = {}
    for one in found.steps:
        artifact = expected[one.name]
        seconds = None if one.minutes is None else 60 * one.minutes
        if kept.is_kept(artifact.folder, artifact.fingerprint()):
            seconds = 0.0
        elif unfinished(artifact.folder).exists():  # how far it came is not known
            seconds = None
        parts[one.name] = seconds
    if plan.benchmark is not None:
        minutes = found.measuring_minutes
        parts[pipelines.MEASUREMENTS] = None if minutes is None else 60 * minutes
    return TimeLeft(parts)


def of_request(request: Request, expected: Artifact) -> Estimate:
    """What one technique will take.

    Args:
        expected: its artifact, of `Request.check`.

    Raises:
        CompressError: the data cannot be read.
    """
    form, precision = request.technique.gives(request.settings)
    whole = dataclasses.replace(expected, format=form, precision=precision)
    step = Planned(request.out.name, request.technique.name, request.settings, whole)
    return estimated(request.source, [step], request.task)
