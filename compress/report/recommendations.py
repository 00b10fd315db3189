"""Recommendations: the variant to take, the runner-up, the reason where there is none, and the front of quality against speed."""

from __future__ import annotations

from dataclasses import dataclass

from compress.report import lineage, wording
from compress.report.comparison import Comparison, Row
from compress.report.obstacles import COLLAPSED, LOSS, NOT_ENOUGH, obstacles
from compress.report.ranking import is_more_accurate, simplicity, speed, tied

RULE = (
    "A variant can be recommended if it is shown to be better or not worse than the margin in every metric of the task, is "
    "shown to be better than the trivial baseline where one was scored, does not repeat most of its outputs and, where a "
    "budget is given, is shown to keep all its limits. Of these the fastest is recommended; where no speed ratio is known, "
    "the smallest. Variants whose speed is not shown to differ are tied: then one that is shown to be more accurate is taken, "
    "else the one made in fewer steps and without a calibration set. The runner-up is the next one. The choice is itself made "
    "on the evaluation split; `--confirm test` measures the chosen one on a split that chose nothing."
)
BEST, RUNNER_UP, CLOSEST, FASTER = "Recommended", "Runner-up", "Closest to a recommendation", "Faster, at a loss"


@dataclass(frozen=True)
class Recommendation:
    """A variant to look at first, and the reason."""

    title: str
    """One of the four above."""
    row: Row
    recommended: bool
    """False for what is shown although it cannot be recommended."""
    reason: str = ""
    """Why it was chosen or why it cannot be recommended, in a sentence or two."""
    tied: tuple[str, ...] = ()
    """The names of those that can be recommended too, and are not shown to differ from it in speed."""

    @property
    def folder(self) -> str:
        """The artifact's."""
        return self.row.artifact.folder


def recommendations(comparison: Comparison) -> tuple[Recommendation, ...]:
    """The recommended variant and the runner-up, by the `RULE`.

    Where none can be recommended, the one that comes closest, with `recommended` False; empty where none has a tested
    quality. Without a runner-up, a variant that is faster at a loss takes its place.
    """
    good = [row for row in comparison.ranked if not obstacles(comparison, row)]
    rest = [row for row in comparison.ranked if row not in good and _tested(comparison, row)]
    if not good:
        return tuple(Recommendation(CLOSEST, row, False, _why_not(comparison, row)) for row in rest[:1])
    alike = tuple(one.name for one in tied(comparison, good[0], good))
    chosen = [Recommendation(BEST, good[0], True, _why(comparison, good[0], good), alike)]
    if len(good) > 1:
        chosen.append(Recommendation(RUNNER_UP, good[1], True, _why(comparison, good[1], good[1:])))
        return tuple(chosen)
    fastest = speed(comparison, good[0]) or 0.0
    faster = [row for row in rest if (speed(comparison, row) or 0.0) > fastest and _only_loses(comparison, row)]
    if faster:
        row = max(faster, key=lambda one: speed(comparison, one) or 0.0)
        chosen.append(Recommendation(FASTER, row, False, _why_not(comparison, row)))
    return tuple(chosen)


def fine_tuned(comparison: Comparison, row: Row) -> str:
    """That a gain comes of training on the task, which the uncompressed model had none of; else empty."""
    root, task = comparison.root, comparison.measurements.task.get("name")
    is_better = any(one.difference.word == "better" for one in row.quality.values())
    if root is None or not is_better or not _trained(row) or _trained(root):
        return ""
    return (
        f"{row.name} is fine-tuned, not only compressed: its steps trained it on {task or 'the task'}, and no step of this "
        "project trained the uncompressed model on it, so the gain is not one of compression."
    )


def latency_front(comparison: Comparison) -> list[Row]:
    """The rows on the front of deciding metric against latency, fastest first."""
    condition = comparison.headline
    if condition is None or comparison.metric is None:
        return []
    placed = []
    for row in comparison.rows:
        latency, quality = row.speeds[condition].time.value, row.quality[comparison.metric].value.value
        if latency is not None and quality is not None:
            placed.append((latency, -comparison.scale.gain(quality), row))
    placed.sort(key=lambda one: one[:2])
    line: list[Row] = []
    best = float("inf")
    for _, loss, row in placed:
        if loss < best:
            line.append(row)
            best = loss
    return line


def _why(comparison: Comparison, row: Row, among: list[Row]) -> str:
    """Why it is ranked before the others that can be recommended."""
    alike = tied(comparison, row, among)
    timed = speed(comparison, row) is not None
    if not alike:
        if len(among) == 1:
            return f"{row.name} is the only one{'' if among[0] is comparison.ranked[0] else ' left'} that can be recommended."
        return f"{row.name} is the {'fastest' if timed else 'smallest'} that can be recommended."
    names = ", ".join(one.name for one in alike)
    said = f"{row.name} is tied with {names} in {'speed' if timed else 'size'}"
    if any(is_more_accurate(comparison, row, one) for one in alike):
        return f"{said}, and shown to be more accurate."
    if all(simplicity(row) < simplicity(one) for one in alike):
        steps = simplicity(row)[0] < min(simplicity(one)[0] for one in alike)
        return f"{said}; it is simpler: made {'in fewer steps' if steps else 'without a calibration set'}."
    return f"{said}."


def _why_not(comparison: Comparison, row: Row) -> str:
    """The gravest obstacle, as a sentence."""
    gravest = obstacles(comparison, row)[0]
    # The others begin with a name, which keeps its first letter.
    words = wording.capitalized(gravest.words) if gravest.kind == NOT_ENOUGH else gravest.words
    return f"{words}."


def _only_loses(comparison: Comparison, row: Row) -> bool:
    kinds = {one.kind for one in obstacles(comparison, row)}
    return LOSS in kinds and COLLAPSED not in kinds


def _tested(comparison: Comparison, row: Row) -> bool:
    return any(row.quality[metric].difference.word is not None for metric in comparison.metrics)


def _trained(row: Row) -> bool:
    """Whether any step trained on the task's rows."""
    steps = lineage.steps(row.artifact.manifest)
    return any(one.technique in {"finetune", "distill", "qat"} or "train" in one.data for one in steps)
