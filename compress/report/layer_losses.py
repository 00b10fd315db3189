"""The plot of an accuracy budget: what quantizing each layer alone loses, and which layers stayed in floating point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compress.metrics import verdicts
from compress.report.charts import dot_plots
from compress.report.plots import NARROW, POINTS_WIDE, Plot
from compress.report.values import is_number

SHOWN = 16
"""Layers at most: those that lose most for what they save."""


def plot(facts: Mapping[str, Any], title: str) -> Plot | None:
    """The plot of a step's facts; None where the layers were not ranked.

    Args:
        facts: of the step, see `compress.quantization.accuracy_budget`.
        title: what it begins with, such as the step's number and name.
    """
    budget = facts.get("accuracy_budget")
    if not isinstance(budget, Mapping) or not budget.get("ranking"):
        return None
    try:
        return _drawn(budget, budget["ranking"], title)
    except (LookupError, TypeError, ValueError):  # of another shape: it is shown as a plain fact
        return None


def _drawn(budget: Mapping[str, Any], ranking: Sequence[Mapping[str, Any]], title: str) -> Plot:
    kept = {one["name"] for one in budget["kept_in_float"]}
    items = [
        dot_plots.Item(
            one["name"],
            float(one["divergence"]) if is_number(one["divergence"]) else None,
            _words(one, one["name"] in kept),
            kind=verdicts.WORSE if one["name"] in kept else "variant",
        )
        for one in ranking[:SHOWN]
    ]
    heading = f"{title}: KL divergence of each layer quantized alone"
    count = f"the first {SHOWN} of {len(ranking)} layers" if len(ranking) > SHOWN else f"{len(ranking)} layers"
    caption = (
        f"Held-out rows, {count}, first those that lose most for what they save. A triangle: kept in floating point. "
        "Percent: of all predictions, how many change."
    )
    wide, narrow = (dot_plots.dots(items, heading, caption, width=width) for width in (POINTS_WIDE, NARROW))
    return Plot(heading, caption, wide, narrow)


def _words(one: Mapping[str, Any], is_kept: bool) -> str:
    parts = [f"{one['divergence']:.2g}" if is_number(one["divergence"]) else "no number"]
    if is_number(one.get("changed")):
        parts.append(f"{100 * one['changed']:.1f} %")
    return ", ".join([*parts, "kept in floating point"] if is_kept else parts)
