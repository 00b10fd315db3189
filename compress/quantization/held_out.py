"""Held-out rows on which trials of quantization are judged: what a graph outputs for them, and how good its answers are.

Calibration reads training rows, and held-out rows are none of these. One half of them chooses what is quantized, and the other
half, which chose nothing, says what the choice costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.artifact import Artifact, digest
from compress.core.errors import CompressError
from compress.data import loading
from compress.data.loading import Split
from compress.metrics import metric_intervals, statistics
from compress.metrics.metric import IN_POINTS, Metric, Undefined, are_numbers
from compress.metrics.statistics import Comparison
from compress.models import labels
from compress.models.load import config, tokenizer
from compress.models.pretrained import raw_config
from compress.models.reading_length import cut_at, trained_length
from compress.runtimes.onnx_runtime import OnnxSession
from compress.runtimes.rows import Rows, of_tokenized, predict_all
from compress.runtimes.sessions import open_session
from compress.tasks import scoring
from compress.tasks.kinds import Inference
from compress.tasks.predictions import labels_of
from compress.tasks.task import DescribedTask, Task

BATCH = 32
SEED = 0
"""Which rows choose, and which verify."""
Outputs = Mapping[str, NDArray[np.float32]]
"""By name, one row's after the other's, see `compress.tasks.kinds.Inference`."""


def split_of(described: DescribedTask) -> Split:
    """The task's held-out rows.

    Raises:
        CompressError: there are none, or they have no labels.
    """
    found = loading.load(described.task, described.data, "holdout")
    if not found.is_labelled:
        raise CompressError(
            f"The held-out rows of task '{described.task.name}' have no labels, so no loss of its metric can be measured on "
            "them. Give training rows with labels."
        )
    return found


def halves(split: Split, seed: int = SEED) -> tuple[list[int], list[int]]:
    """The numbers of the rows that choose, and of those that verify, each in a random order that the seed and texts decide.

    Rows with the same text are in the same half.

    Raises:
        CompressError: a half is empty.
    """
    drawn = [(digest([seed, text]), place) for place, text in enumerate(split.rows["row_hash"])]
    chooses, verifies = ([place for hashed, place in drawn if int(hashed, 16) % 2 == side] for side in (0, 1))
    if not chooses or not verifies:
        raise CompressError(
            f"{len(drawn)} held-out rows are too few to choose with one half and verify with the other. Raise the task's "
            "`holdout`, or give it a file of held-out rows."
        )
    return chooses, verifies


def in_order(split: Split, seed: int = SEED) -> list[int]:
    """The numbers of all rows in a random order that the seed and texts decide."""
    return [place for _, place in _drawn(split, seed)]


def _drawn(split: Split, seed: int) -> list[tuple[str, int]]:
    return sorted((digest([seed, text]), place) for place, text in enumerate(split.rows["row_hash"]))


@dataclass(frozen=True)
class HeldOut:
    """Some held-out rows as a model reads them, with their labels."""

    rows: Rows
    texts: Any
    labels: Any
    task: Task
    metric: Metric
    names: Sequence[str]
    kept: Mapping[str, Any]
    where: str
    """The task and the split, for messages and manifests."""

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def tokens(self) -> float:
        """The mean number of tokens of a row."""
        return float(self.rows.lengths().mean())

    def outputs(self, graph: Path, *, threads: int) -> Outputs:
        """What a graph outputs for the rows, in batches of 32 of similar length."""
        return predict_all(opened(graph, threads=threads), self.rows, BATCH, outputs=self.task.of_kind.outputs)

    def predicted(self, outputs: Outputs) -> Any:
        """The prediction of each example, as the task's metrics take them."""
        return self.task.of_kind.judge(Inference(outputs, self.rows, self.texts, self.task.law, self.names, self.kept))

    def score(self, predicted: Any) -> float:
        """The task's metric; NaN where it does not exist."""
        try:
            return self.metric.score(predicted, self.labels)
        except Undefined:
            return float("nan")

    def points(self, difference: float) -> float:
        """A difference of scores as a loss in points of 100, or in the metric's own unit: above 0 where it is worse."""
        worse = -difference if self.metric.higher_is_better else difference
        return worse * 100 if self.metric.unit in IN_POINTS else worse

    def drop(self, predicted: Any, reference: Any) -> float:
        """How much worse predictions are than a reference's, in points; infinite where they have no score."""
        found = self.points(self.score(predicted) - self.score(reference))
        return found if np.isfinite(found) else float("inf")

    def drop_interval(self, predicted: Any, reference: Any) -> tuple[float, float] | None:
        """The 95 % interval of the drop, paired by example, in points; None where there is none."""
        try:
            low, high = sorted(map(self.points, self._compared(predicted, reference).interval))
        except Undefined:
            return None
        return (low, high) if np.isfinite([low, high]).all() else None

    def _compared(self, predicted: Any, reference: Any) -> Comparison:
        metric, right = self.metric, self.labels
        if metric.is_mean:
            ours, theirs = (metric.statistics(one, right)[:, 0].tolist() for one in (predicted, reference))
            return statistics.compare(ours, theirs)
        if are_numbers(predicted):
            return metric_intervals.of_difference(metric, predicted, reference, right)
        ours, theirs = (metric.statistics(one, right) for one in (predicted, reference))
        return statistics.compare_sums(metric.of_sums, ours, theirs)


def opened(graph: Path, *, threads: int) -> OnnxSession:
    """A graph, ready to predict."""
    found = open_session(graph, threads=threads)
    inputs, outputs = (tuple(one.name for one in some) for some in (found.get_inputs(), found.get_outputs()))
    return OnnxSession(found, inputs, outputs)


def read(source: Artifact, described: DescribedTask, split: Split, places: Sequence[int]) -> HeldOut:
    """The held-out rows at these places as the artifact's model reads them; it is a classifier or the like.

    Raises:
        CompressError: the task's own metrics are of another split than the one that is measured.
    """
    task, texts = described.task, split.rows.select(sorted(places))
    its_tokenizer, kind = tokenizer(source.folder), task.of_kind
    limit = cut_at(trained_length(source.steps), its_tokenizer, config(source.folder))
    tokenized = loading.tokenize(texts, its_tokenizer, limit, encode=kind.encode)
    names = labels.of_config(raw_config(source.folder), source.folder) if task.label_names else ()
    metric = next(one for one in scoring.metrics(task) if one.split == "evaluation")
    rows, right = of_tokenized(tokenized.rows, its_tokenizer, kind), labels_of(texts, task)
    return HeldOut(rows, texts, right, task, metric, names, source.facts, f"{task.name}, {split.name}")
