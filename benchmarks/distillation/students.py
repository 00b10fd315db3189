"""Students and teachers of SST-2 as jobs: what all share, and how a seed decides their rows."""

from __future__ import annotations

from typing import Any

from contestants import SHARED
from jobs import Job
from plan import Chosen, Settings

TEACHER, BASE = "minilm-sst2", "base"
"""The given teacher, and the same encoder before it was fine-tuned."""


def sst2(rows: int | None = None, seed: int = 0) -> dict[str, Any]:
    """The task; with so many of its training rows, which the seed draws."""
    limit = {"limit": {"train": rows}, "seed": seed} if rows else {}
    return {"name": "sst2", "data": "SST-2", **limit}


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
    usual = {"layers": 3, "epochs": 1.0, "learning_rate": 2e-4, "alpha": 0.5, "temperature": 4.0, "seed": seed}
    settings = {**SHARED, **usual, **{key: value for one in given for key, value in one.items()}, **more}
    confidence = settings.pop("confidence", 0.0)
    if settings["alpha"] == 0:
        del settings["temperature"]
    if "hidden_size" in settings:
        del settings["layers"]
    return Job(name, "distill", source, sst2(rows, seed), settings, teachers, text, confidence)


def own_teacher(seed: int, chosen: Chosen, draw: int | None = None) -> Job:
    """The encoder, fine-tuned on 1,000 rows which the seed draws; `draw` with another seed's rows."""
    name = f"own-teacher-seed-{seed}" if draw is None else f"own-teacher-seed-{seed}-draw-{draw}"
    return fine_tuned(name, seed, 1000, chosen("own-teacher"), seed if draw is None else draw)


def fine_tuned(name: str, seed: int, rows: int | None, given: Settings, draw: int = 0) -> Job:
    """The encoder, fine-tuned on so many rows (None: all), one epoch at 5e-5 but for what is given."""
    settings = {**SHARED, "epochs": 1.0, "learning_rate": 5e-5, **given, "seed": seed}
    return Job(name, "finetune", BASE, sst2(rows, draw), settings)


def ensemble(seed: int, chosen: Chosen) -> tuple[Job, Job]:
    """Two more teachers on the rows of the seed's own."""
    return own_teacher(seed + 10, chosen, seed), own_teacher(seed + 20, chosen, seed)


def of_ensemble(name: str, seed: int, chosen: Chosen) -> Job:
    """A student of three teachers of the same 1,000 rows, with all the text."""
    source, others = own_teacher(seed, chosen), ensemble(seed, chosen)
    return student(name, seed, chosen("own-text"), rows=1000, source=source, teachers=others, text=0)


def second_round(name: str, seed: int, chosen: Chosen) -> Job:
    """The same from that student, which is the teacher now."""
    first = of_ensemble(f"own-ensemble-seed-{seed}", seed, chosen)
    return student(name, seed, chosen("own-text"), rows=1000, source=first, text=0)
