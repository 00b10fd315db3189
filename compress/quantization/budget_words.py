"""What an accuracy budget kept in floating point, and what it cost, in words: for a command's last line and the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def in_words(facts: Mapping[str, Any]) -> str:
    """`2 of 38 layers stay in floating point (a, b); 0.12 points of accuracy lost (95 % interval -0.2 to 0.5) on 1,650 held-out
    rows that did not choose them; 23.4 MB instead of 22.9 and 1.03 times the time of everything in int8`."""
    kept = [one["name"] for one in facts["kept_in_float"]]
    shown = ", ".join([*kept[:3], *([f"{len(kept) - 3} more"] if len(kept) > 3 else [])])
    stay = "stays" if len(kept) == 1 else "stay"
    first = f"{len(kept)} of {facts['layers']} layers {stay} in floating point{f' ({shown})' if kept else ''}"
    found, cost = facts["verified_on"], facts["cost"]
    unit = f"points of {facts['metric']}" if facts["in_points"] else facts["metric"]
    lost = "no score" if found["drop"] is None else f"{found['drop']:.2f} {unit} lost"
    interval = found["interval"]
    between = "" if interval is None else f" (95 % interval {interval[0]:.2f} to {interval[1]:.2f})"
    said = f"{first}; {lost}{between} on {found['rows']:,} held-out rows that did not choose"
    if not kept:
        return said
    size, seconds = cost["bytes"], cost["seconds"]
    return (
        f"{said}; {size['chosen'] / 1e6:.1f} MB instead of {size['everything_quantized'] / 1e6:.1f}, and "
        f"{seconds['chosen'] / seconds['everything_quantized']:.2f} times the time of everything in int8"
    )


def unmet(facts: Mapping[str, Any]) -> str | None:
    """Why the limit is not kept, None where it is."""
    if facts["met"]:
        return None
    return f"at most {facts['max_drop']:g} may be lost. {in_words(facts)}. The best that was found is kept."
