"""Whether the recommendation held on a split that chose nothing: one sentence beside the first verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compress.core.measurement import CONFIRMATION, FILE, Measurements
from compress.report.comparison import Comparison, compare
from compress.report.differences import verdict
from compress.report.limits import Budget
from compress.report.obstacles import BUDGET, obstacles
from compress.report.recommendations import Recommendation


def confirmation(
    file: Path,
    comparison: Comparison,
    chosen: Sequence[Recommendation],
    budget: Budget | Mapping[str, Any] | None = None,
) -> str:
    """What a `--confirm` found about the recommended variant, or that the choice was made on these very rows.

    Args:
        file: of the measurements, beside which the confirmation lies.
        comparison: the run.
        chosen: its recommendations.
        budget: the limits that they were made within.

    Returns:
        A sentence or two; empty where nothing is recommended.

    Raises:
        CompressError: the confirmation's file cannot be read.
    """
    if not chosen or not chosen[0].recommended:
        return ""
    name = chosen[0].row.name
    other = file.parent / CONFIRMATION / FILE
    split = str(comparison.measurements.split.get("split", "evaluation"))
    if not other.is_file():
        return (
            f"{name} was chosen on the {split} rows themselves. --confirm test measures it on rows that chose nothing."
        )
    found = compare(Measurements.open(other), budget)
    its = str(found.measurements.split.get("split", "other"))
    row = next((one for one in found.variants if one.artifact.fingerprint == chosen[0].row.artifact.fingerprint), None)
    if row is None:
        return f"The confirmation on the {its} split is of another variant than {name}: confirm again."
    # A speed is measured again as well, but what another split can confirm is the quality.
    against = [one for one in obstacles(found, row) if one.kind != BUDGET]
    told = ", ".join(verdict(found.scales[metric], row.quality[metric].difference) for metric in found.metrics)
    examples = f"{found.examples:,} examples, which chose nothing"
    held = "Confirmed" if not against else "Not confirmed"
    return f"{held} on the {its} split ({examples}): {told}."
