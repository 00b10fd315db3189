"""Who takes part, as plain data: the tool that trains the student, its settings, and what all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jobs import TEXTBREWER, Job

SHARED: Mapping[str, Any] = {
    "batch_size": 32,
    "warmup_ratio": 0.06,
    "lr_scheduler_type": "linear",
    "weight_decay": 0.01,
    "max_length": 128,
    "precision": "auto",
    "keep_checkpoint": "last",
}
"""The same for every contestant, by the names of `compress distill`. `auto` is bf16 where the processor has it."""

SST2: Mapping[str, Any] = {"name": "sst2", "data": "SST-2"}
SOFT_TARGETS: Mapping[str, Any] = {"alpha": 0.5, "temperature": 4.0}
"""Half the teacher's predictions, half the labels."""

EPOCHS = 1.0
"""Of the final students. Two were planned, see `compare.py`."""
SEEDS = (0, 1, 2)

TUNED_RATES = (5e-5, 1e-4, 2e-4)
TUNING_ROWS = 12_000
TUNING_EPOCHS = 1.0
TUNING_SEED = 100
"""Of everything that is chosen; no model that is compared has it."""
TUNING_LAYERS = 3


@dataclass(frozen=True)
class Contestant:
    """One way to train the student."""

    name: str
    tool: Literal["compress", "textbrewer"]
    settings: Mapping[str, Any]
    """Of `compress distill`, by their long names; of TextBrewer's `DistillationConfig`."""
    summary: str
    layers: tuple[int, ...] = (3,)
    """How many layers its students have."""


CONTESTANTS = (
    Contestant("ours", "compress", SOFT_TARGETS, "soft targets at T = 4 and labels", (3, 2)),
    Contestant("plain", "compress", {"alpha": 0.0}, "the same student, labels alone", (3, 2)),
    # TextBrewer's soft-target loss lacks the factor T^2, so 8 = 0.5 * T^2 is the same mixture as ours.
    Contestant(
        "textbrewer",
        "textbrewer",
        {"temperature": 4.0, "kd_loss_type": "ce", "kd_loss_weight": 8.0, "hard_label_weight": 0.5},
        "GeneralDistiller: soft targets at T = 4 and labels",
        (3, 2),
    ),
)


def job_of(
    contestant: Contestant, layers: int, learning_rate: float, seed: int, epochs: float, rows: int | None = None
) -> Job:
    """A contestant's student. `rows` is how many training rows it sees, None for all of them."""
    is_ours = contestant.tool == "compress"
    of_rows = f"-{rows}-rows" if rows else ""
    rate = f"{learning_rate:.0e}".replace("e-0", "e-")
    return Job(
        name=f"{contestant.name}-{layers}-layers-rate-{rate}{of_rows}-seed-{seed}",
        tool="distill" if is_ours else TEXTBREWER,
        source="teacher",
        task={**SST2, "limit": {"train": rows}} if rows else SST2,
        settings={
            **SHARED,
            "layers": layers,
            "learning_rate": learning_rate,
            "epochs": epochs,
            "seed": seed,
            **(contestant.settings if is_ours else {TEXTBREWER: contestant.settings}),
        },
    )
