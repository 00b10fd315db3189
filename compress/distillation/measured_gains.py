"""The gain of distillation in the situations that were measured, as data: `compress.distillation.expected_gain` reads it.

Each figure stands on the page that its entry names; a test checks that. The first entry that fits a situation is the one told, so
the more special ones come first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Learns = Literal["labels", "references", "text"]
"""What rows teach without a teacher: classes or numbers, reference texts (summaries), or the text itself (language modelling)."""
Range = tuple[float, float]


@dataclass(frozen=True)
class Measured:
    """The difference that a teacher made, and the situations that are like the one measured."""

    learns: Learns
    metric: str
    gain: float
    """Distilled minus baseline, in the metric's unit: points of 100 for `accuracy` and `rouge_l`."""
    setting: str
    """What was measured, in a few words."""
    seeds: int
    source: str
    """The page that has the figures."""
    advice: str
    """What to do in this situation: a sentence."""
    interval: Range | None = None
    """Of the gain, 95 %; None where none was recorded."""
    labelled: Range = (0.0, 1.0)
    """The share of the training texts that have a label."""
    depth: Range = (0.0, 1.0)
    """The share of its teacher's layers that the student keeps; a situation without such a share fits the whole range alone."""
    least_rows: int = 0
    """Labelled rows."""
    most_rows: int | None = None
    teacher_saw: bool | None = None
    """Whether the teacher was fine-tuned on these labelled rows and no others, as far as is known; None for either."""
    smoothed: bool | None = None
    """Whether the teacher seems to have been trained with label smoothing (`compress.distillation.label_smoothing`); None for
    either. A teacher that was not looked at fits both."""


MEASURED = (
    Measured(
        learns="labels",
        labelled=(0.0, 0.5),
        most_rows=10_000,
        teacher_saw=True,
        metric="accuracy",
        gain=3.96,
        interval=(2.38, 5.54),
        setting="SST-2, 1,000 labelled rows and 64,000 texts, 3 of 6 layers",
        seeds=3,
        source="docs/distillation.md",
        advice="Give it all the text that you have; here --min-confidence 0.9 left out 3 % of it.",
    ),
    Measured(
        learns="labels",
        labelled=(0.0, 0.5),
        most_rows=10_000,
        metric="accuracy",
        gain=6.72,
        interval=(5.56, 7.88),
        setting="SST-2, 1,000 labelled rows and 64,000 texts, 3 of 6 layers",
        seeds=3,
        source="docs/distillation.md",
        advice="Give it all the text that you have.",
    ),
    Measured(
        learns="labels",
        labelled=(1.0, 1.0),
        depth=(0.5, 1.0),
        least_rows=10_000,
        metric="accuracy",
        gain=0.40,
        interval=(-0.42, 1.21),
        setting="SST-2, 64,103 rows, 3 of 6 layers",
        seeds=3,
        source="docs/distillation.md",
        advice="Unlabelled text would help: --unlabelled-data.",
    ),
    Measured(
        learns="references",
        smoothed=True,
        metric="rouge_l",
        gain=-0.65,
        interval=(-1.27, -0.05),
        setting="SAMSum, a teacher trained with label smoothing, 3 of 6 and 2 of 3 layers",
        seeds=1,
        source="docs/generation.md",
        advice="--alpha 0 trains on the references alone; --temperature 0.5 sharpens the teacher.",
    ),
    Measured(
        learns="text",
        metric="perplexity",
        gain=-0.10,
        interval=(-0.12, -0.09),
        setting="text that the teacher generated, 3 of 5 layers",
        seeds=1,
        source="benchmarks/results/decoder.md",
        advice="On other text it was not measured.",
    ),
)
