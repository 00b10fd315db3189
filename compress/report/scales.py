"""How a metric's values are shown: in percentage points or on its own scale (perplexity), and which direction is better."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from compress.core import catalogue
from compress.core.measurement import Measurement, Measurements
from compress.metrics import metric as metrics
from compress.metrics import verdicts
from compress.report import wording
from compress.report.significance import Difference
from compress.report.wording import MINUS

IN_POINTS = {"share", "coefficient", "points"}
"""Units that are shown in points of 100; any other is a scale of its own: a perplexity of 12.3 is 12.3."""


@dataclass(frozen=True)
class Scale:
    """One metric's way to be written; values and differences come as measured, a share or on the metric's own scale."""

    metric: str
    in_points: bool = True
    higher_is_better: bool = True

    @property
    def name(self) -> str:
        """Within a sentence: `accuracy`, `ROUGE-L`."""
        return metrics.title(self.metric)

    @property
    def title(self) -> str:
        """At a sentence's or a column's head: `Accuracy`, `Macro F1`, `ROUGE-L`, `chrF`."""
        first = self.name.split()[0]
        return wording.capitalized(self.name) if first.islower() else self.name

    @property
    def unit(self) -> str:
        """Below a column's head: `points`, or which way is better."""
        if self.in_points:
            return "points" if self.higher_is_better else "points, lower is better"
        return "higher is better" if self.higher_is_better else "lower is better"

    def number(self, value: float) -> float:
        """As it is written and drawn: 44.1 for a share of 0.441, a perplexity as it is."""
        return value * 100 if self.in_points else value

    def shown(self, value: float) -> str:
        """`44.10`; a perplexity with more digits the smaller it is: `4.271`, `31.46`, `812.3`."""
        return wording.points(value) if self.in_points else _own(value).replace("-", MINUS)

    def signed(self, difference: float) -> str:
        """`+0.57`, `−1.20`; of a perplexity `+0.031`."""
        if self.in_points:
            return wording.signed_points(difference)
        text = _own(abs(difference))
        nothing = not float(text.replace(",", ""))
        return text if nothing else f"{'+' if difference > 0 else MINUS}{text}"

    def signed_range(self, interval: tuple[float, float] | None) -> str:
        """`−1.83 to +0.69`; empty where there is none."""
        return f"{self.signed(interval[0])} to {self.signed(interval[1])}" if interval else ""

    def range(self, interval: tuple[float, float] | None) -> str:
        """An interval of the value itself: `43.20 to 45.01`; empty where there is none."""
        return f"{self.shown(interval[0])} to {self.shown(interval[1])}" if interval else ""

    def amount(self, value: float) -> str:
        """`1.03 points`; of a perplexity the number alone."""
        return f"{self.shown(value)} points" if self.in_points else self.shown(value)

    def change(self, difference: float) -> str:
        """`−1.20 points`; of a perplexity `+0.031`."""
        return f"{self.signed(difference)} points" if self.in_points else self.signed(difference)

    def change_range(self, interval: tuple[float, float]) -> str:
        """`−1.83 to +0.69 points`; of a perplexity the numbers alone."""
        return f"{self.signed_range(interval)}{' points' if self.in_points else ''}"

    def margin(self, value: float) -> str:
        """A margin as it was set: `1 point`, `0.5 points`; of a perplexity the number alone."""
        if not self.in_points:
            return self.shown(value)
        number = f"{self.number(value):.6g}"
        return f"{number} point{'' if number == '1' else 's'}"

    def about(self, value: float) -> str:
        """A bound in round numbers: `14 points`, `1.1 points`; of a perplexity the number alone."""
        return self.margin(round(self.number(value), 1) / 100) if self.in_points else self.shown(value)

    def verdict(self, change: Difference) -> str:
        """The word with its margin: `not worse than 1 point`, `worse by less than 1 point`; empty where there is none."""
        if change.word is None or change.interval is None:
            return change.word or ""
        if change.word != verdicts.NOT_WORSE:
            return change.word
        best = max(map(self.gain, change.interval))
        return (
            f"worse by less than {self.margin(change.margin)}"
            if best < 0
            else f"not worse than {self.margin(change.margin)}"
        )

    def change_of_it(self, difference: float) -> str:
        """`−1.20 points of ROUGE-L`, `+0.031 in perplexity`."""
        return f"{self.change(difference)} {'of' if self.in_points else 'in'} {self.name}"

    def gain(self, difference: float) -> float:
        """Positive if the difference is an improvement."""
        return difference if self.higher_is_better else -difference

    def worst(self, interval: tuple[float, float] | None) -> float:
        """The greatest loss that an interval of a difference leaves open; 0 where it leaves none."""
        if interval is None:
            return 0.0
        return max(0.0, -interval[0] if self.higher_is_better else interval[1])


def scale_of(one: Measurement) -> Scale:
    """How the numbers of a metric are read, by any measurement of it."""
    return Scale(one.name, one.unit in IN_POINTS, one.higher_is_better)


def scale_of_metric(name: str) -> Scale:
    """The same by a metric's name alone; a metric that this version does not have is taken for a share."""
    if name not in catalogue.names("metrics"):
        return Scale(name)
    metric = metrics.find(name)
    return Scale(name, metric.measured_unit in IN_POINTS, metric.higher_is_better)


def in_shares(measurements: Measurements) -> Measurements:
    """The same with scores that were recorded in points, as sacrebleu gives them, as the shares that all others are."""
    names = {one.name for one in measurements.measurements if one.unit == "points"}
    if not names:
        return measurements
    found = tuple(_share(one) if one.unit == "points" else one for one in measurements.measurements)
    baselines = {
        baseline: {
            name: value / 100 if name in names and isinstance(value, int | float) else value
            for name, value in values.items()
        }
        for baseline, values in measurements.baselines.items()
    }
    without = tuple(_share(one) if one.unit == "points" else one for one in measurements.without_model)
    return replace(measurements, measurements=found, baselines=baselines, without_model=without)


def _share(one: Measurement) -> Measurement:
    each, value = one.per_example, one.value
    # Scores per example are in the same unit exactly where their mean is the value.
    alike = bool(each) and value is not None and math.isclose(sum(each) / len(each), value, rel_tol=1e-6)
    return replace(
        one,
        unit="share",
        value=value / 100 if value is not None else None,
        interval=(one.interval[0] / 100, one.interval[1] / 100) if one.interval else None,
        per_example=tuple(score / 100 for score in each) if alike else each,
    )


def _own(value: float) -> str:
    digits = next((digits for below, digits in ((9.9995, 3), (99.995, 2), (9999.5, 1)) if abs(value) < below), 0)
    return f"{value:,.{digits}f}"
