"""What to expect of a teacher, in one line before anything is trained: its gain in a measured situation like this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compress.distillation.ablation import signed
from compress.distillation.measured_gains import MEASURED, Learns, Measured
from compress.distillation.settings_read import ANOTHER_TEACHER

if TYPE_CHECKING:
    from compress.core.artifact import Artifact
    from compress.distillation.distill_settings import Distill
    from compress.tasks.task import DescribedTask, Task


@dataclass(frozen=True)
class Situation:
    """What decides the gain of a teacher, as far as it is known before training."""

    learns: Learns
    labelled: int
    """Rows."""
    unlabelled: int = 0
    """Further texts, which only the teacher labels."""
    layers: tuple[int, int] | None = None
    """How many layers the student keeps, and of how many; None where it is another model."""
    narrower: bool = False
    """Whether the student's layers are narrower than its teacher's; no such student was measured."""
    teacher_saw: bool = False
    """Whether the teacher was fine-tuned on these labelled rows, by this tool."""
    smoothed: bool | None = None
    """Whether the teacher seems to have been trained with label smoothing; None where that is not known yet."""

    @property
    def share(self) -> float:
        """Of the texts, those that are labelled."""
        return self.labelled / max(1, self.labelled + self.unlabelled)

    @property
    def depth(self) -> float | None:
        """The share of its teacher's layers that the student keeps."""
        return self.layers[0] / self.layers[1] if self.layers else None


def expectation(
    settings: Distill,
    teacher: Artifact,
    described: DescribedTask,
    *,
    unlabelled: int | None = None,
    smoothed: bool | None = None,
) -> str | None:
    """One line: the gain of a teacher in a measured situation like this one; None where it teaches nothing,
    or where another model's answers were given.

    Args:
        teacher: the first one.
        unlabelled: how many unlabelled texts are trained on; None: that is not known yet, and those of the files are counted.
        smoothed: see `compress.distillation.label_smoothing`; None: not known yet.

    Raises:
        CompressError: the data or the teacher's config cannot be read.
    """
    if settings.teacher_answers is not None or not ANOTHER_TEACHER.test(settings):
        return None
    here = situation(settings, teacher, described, unlabelled=unlabelled, smoothed=smoothed)
    return in_words(here, compares=settings.with_baseline)


def situation(
    settings: Distill,
    teacher: Artifact,
    described: DescribedTask,
    *,
    unlabelled: int | None = None,
    smoothed: bool | None = None,
) -> Situation:
    """The situation of a distillation; its arguments are those of `expectation`."""
    from compress.data import loading
    from compress.data.unlabelled import count
    from compress.distillation.students import layers_kept
    from compress.models import load as models

    task = described.task
    train = loading.load(task, described.data, "train")
    saw = any(one.technique == "finetune" and one.data.get("train") == train.identity for one in teacher.steps)
    return Situation(
        learns=_learns(task),
        labelled=len(train.rows),
        unlabelled=count(described, settings.unlabelled_data) if unlabelled is None else unlabelled,
        layers=layers_kept(settings, task, models.config(teacher.folder)),
        narrower=settings.narrows,
        teacher_saw=saw,
        smoothed=smoothed,
    )


def _learns(task: Task) -> Learns:
    if not task.is_generative:
        return "labels"
    return "references" if task.of_kind.has_references else "text"


def first_like(here: Situation, measured: Sequence[Measured] = MEASURED) -> Measured | None:
    """The first measured situation that this one is like; None where none is."""
    return None if here.narrower else next((one for one in measured if _is_like(one, here)), None)


def _is_like(one: Measured, here: Situation) -> bool:
    depth = (0.0, 1.0) if here.depth is None else (here.depth, here.depth)
    return (
        one.learns == here.learns
        and one.labelled[0] <= here.share <= one.labelled[1]
        and one.depth[0] <= depth[0]
        and depth[1] <= one.depth[1]
        and one.least_rows <= here.labelled
        and (one.most_rows is None or here.labelled <= one.most_rows)
        and one.teacher_saw in (None, here.teacher_saw)
        and (here.smoothed is None or one.smoothed in (None, here.smoothed))
    )


def in_words(here: Situation, measured: Sequence[Measured] = MEASURED, *, compares: bool = False) -> str:
    """`All 64,103 rows are labelled and the student keeps 3 of its teacher's 6 layers: our measurements showed ...`.

    Args:
        compares: whether a baseline student is trained too.
    """
    found = first_like(here, measured)
    if found is None:
        how = "the baseline will tell" if compares else "--with-baseline finds out"
        return f"{_described(here)}: we have not measured the gain of a teacher here; {how}."
    shown = f"our measurements showed {_gain(found)} ({_figures(found)})"
    return f"{_described(here)}: {shown}. {found.advice}"


def _described(here: Situation) -> str:
    rows = f"{here.labelled:,} rows"
    if here.learns == "text":
        said = f"Language modelling on {rows}"
    elif here.unlabelled:
        said = f"{here.labelled:,} labelled rows and {here.unlabelled:,} unlabelled texts"
        if here.teacher_saw:
            said += ", with a teacher that was fine-tuned on the same rows"
    else:
        said = f"All {rows} {'have references' if here.learns == 'references' else 'are labelled'}"
    if here.layers is None:
        return f"{said}, and the student is another model"
    kept, total = here.layers
    how_many = f"all {total}" if kept == total else f"{kept} of its teacher's {total}"
    return f"{said}, and the student keeps {how_many} layers{', narrower ones' if here.narrower else ''}"


def _gain(found: Measured) -> str:
    from compress.metrics.metric import IN_POINTS, find

    metric = find(found.metric)
    low, high = found.interval or (found.gain, found.gain)
    is_shown = low > 0 or high < 0 if found.interval else abs(found.gain) >= 1
    if not is_shown:
        return "no gain over plain training"
    better = (found.gain > 0) == metric.higher_is_better
    amount = f"{abs(found.gain):.2f}" + (
        f" points of {metric.title}" if metric.unit in IN_POINTS else f" of {metric.title}"
    )
    return f"a {'gain' if better else 'loss'} of {amount} over plain training"


def _figures(found: Measured) -> str:
    between = f", {signed(found.interval[0])} to {signed(found.interval[1])}" if found.interval else ""
    seeds = "one seed" if found.seeds == 1 else f"{found.seeds} seeds"
    return f"{found.setting}, {seeds}: {signed(found.gain)}{between}"
