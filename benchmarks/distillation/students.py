"""Students and teachers of SST-2 as jobs: what all share, and how a seed decides their rows."""

from __future__ import annotations

from typing import Any

from contestants import SHARED, SOFT_TARGETS, SST2
from jobs import GIVEN, Job
from plan import Chosen, Make, Settings

TEACHER, BASE = "minilm-sst2", "base"
"""The given teacher, and the same encoder before it was fine-tuned."""
FEW = 1000
"""Labelled rows, where there are few."""
ALL_TEXTS = 0
"""As the `text` of a job."""


def sst2(rows: int | None = None, seed: int = 0) -> dict[str, Any]:
    """The task; with so many of its training rows, which the seed draws."""
    return {**SST2, "limit": {"train": rows}, "seed": seed} if rows else dict(SST2)


def student(
    name: str,
    seed: int,
    *given: Settings,
    rows: int | None = None,
    source: Job | str = TEACHER,
    teachers: tuple[Job | str, ...] = (),
    text: int | None = None,
    **more: Any,
) -> Job:
    """A student of three layers, one epoch at a learning rate of 2e-4, but for what is given.

    The seed draws the labelled rows too, so an interval over seeds holds their luck.
    """
    usual = {"layers": 3, "epochs": 1.0, "learning_rate": 2e-4, **SOFT_TARGETS, "seed": seed}
    settings = {**SHARED, **usual, **{key: value for one in given for key, value in one.items()}, **more}
    confidence = settings.pop("confidence", 0.0)
    if settings["alpha"] == 0:
        del settings["temperature"]
    if "hidden_size" in settings:
        del settings["layers"]
    return Job(name, "distill", source, sst2(rows, seed), settings, teachers, text, confidence)


def of_given(*given: Settings, **more: Any) -> Make:
    """Students of the given teacher, which was trained on all labels; with these settings, and `student`'s other arguments."""
    return lambda name, seed, settings, chosen: student(name, seed, *given, settings, **more)


def of_own(**more: Any) -> Make:
    """Students of a teacher that was trained on the same few rows."""
    return lambda name, seed, settings, chosen: student(
        name, seed, settings, rows=FEW, source=own_teacher(seed, chosen), **more
    )


def of_own_ensemble(name: str, seed: int, settings: Settings, chosen: Chosen) -> Job:
    """A student of three teachers that were trained on the same few rows, with all the text."""
    source, others = own_teacher(seed, chosen), ensemble(seed, chosen)
    return student(name, seed, settings, rows=FEW, source=source, teachers=others, text=ALL_TEXTS)


def of_second_round(name: str, seed: int, settings: Settings, chosen: Chosen) -> Job:
    """The same with that student as the teacher."""
    first = of_own_ensemble(f"own-ensemble-seed-{seed}", seed, settings, chosen)
    return student(name, seed, settings, rows=FEW, source=first, text=ALL_TEXTS)


def of_own_teacher(name: str, seed: int, settings: Settings, chosen: Chosen) -> Job:
    """No student: the teacher itself is read."""
    return Job(f"{name}-read", GIVEN, own_teacher(seed, chosen), sst2())


def of_given_teacher(name: str, seed: int, settings: Settings, chosen: Chosen) -> Job:
    """No student: the given teacher itself is read."""
    return Job(f"{name}-read", GIVEN, TEACHER, sst2())


def of_few_rows(name: str, seed: int, settings: Settings, chosen: Chosen) -> Job:
    """A teacher: the encoder, fine-tuned on few rows, which the seed draws."""
    return fine_tuned(name, seed, FEW, settings, draw=seed)


def int8_of(arm: str, job: Make) -> Make:
    """The models of an arm in int8 (dynamic)."""
    settings = {"precision": "int8", "mode": "dynamic"}
    return lambda name, seed, chosen_settings, chosen: Job(
        name, "quantize", job(f"{arm}-seed-{seed}", seed, chosen_settings, chosen), sst2(), settings
    )


def own_teacher(seed: int, chosen: Chosen, draw: int | None = None) -> Job:
    """The teacher of few rows that a seed has; `draw` with another seed's rows."""
    name = f"own-teacher-seed-{seed}" if draw is None else f"own-teacher-seed-{seed}-draw-{draw}"
    return fine_tuned(name, seed, FEW, chosen("own-teacher"), seed if draw is None else draw)


def ensemble(seed: int, chosen: Chosen) -> tuple[Job, Job]:
    """Two more teachers on the rows of the seed's own."""
    return own_teacher(seed + 10, chosen, seed), own_teacher(seed + 20, chosen, seed)


def fine_tuned(name: str, seed: int, rows: int | None, given: Settings, draw: int = 0) -> Job:
    """The encoder, fine-tuned on so many rows (None: all), one epoch at 5e-5 but for what is given."""
    settings = {**SHARED, "epochs": 1.0, "learning_rate": 5e-5, **given, "seed": seed}
    return Job(name, "finetune", BASE, sst2(rows, draw), settings)
