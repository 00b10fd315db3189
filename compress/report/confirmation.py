"""Whether the recommendation held on a split that chose nothing: one sentence beside the first verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.core.measurement import CONFIRMATION, FILE, Measurements
from compress.report.comparison import Comparison, compare
from compress.report.differences import verdict
from compress.report.limits import Budget
from compress.report.obstacles import BUDGET, obstacles
from compress.report.recommendations import Recommendation


@dataclass(frozen=True)
class Confirmation:
    """What a second measurement says of the recommended variant."""

    words: str
    """A sentence or two."""
    held: bool | None = None
    """Whether its quality holds on a split that chose nothing; None where it was not measured there."""
    split: str | None = None
    """That split's name."""
    examples: int | None = None
    """The number of its examples."""


def confirmation(
    file: Path,
    comparison: Comparison,
    chosen: Sequence[Recommendation],
    budget: Budget | Mapping[str, Any] | None = None,
) -> Confirmation | None:
    """What a `--confirm` found about the recommended variant, or that the choice was made on these very rows.

    Args:
        file: of the measurements, beside which the confirmation lies.
        comparison: the run.
        chosen: its recommendations.
        budget: the limits that they were made within.

    Returns:
        None where nothing is recommended.

    Raises:
        CompressError: the confirmation's file cannot be read.
    """
    if not chosen or not chosen[0].recommended:
        return None
    name = chosen[0].row.name
    other = file.parent / CONFIRMATION / FILE
    split = str(comparison.measurements.split.get("split", "evaluation"))
    if not other.is_file():
        return Confirmation(
            f"{name} was chosen on the {split} rows themselves. To check it on rows that chose nothing, run the same command "
            "again with --confirm test."
        )
    found = compare(Measurements.open(other), budget)
    its = str(found.measurements.split.get("split", "other"))
    row = next((one for one in found.variants if one.artifact.fingerprint == chosen[0].row.artifact.fingerprint), None)
    if row is None:
        return Confirmation(f"The confirmation on the {its} split is of another variant than {name}: confirm again.")
    # A speed is measured again as well, but what another split can confirm is the quality.
    against = [one for one in obstacles(found, row) if one.kind != BUDGET]
    told = ", ".join(verdict(found.scales[metric], row.quality[metric].difference) for metric in found.metrics)
    examples = f"{found.examples:,} examples, which chose nothing"
    held = "Confirmed" if not against else "Not confirmed"
    return Confirmation(f"{held} on the {its} split ({examples}): {told}.", not against, its, found.examples)
