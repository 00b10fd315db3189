"""What a command gained, for its last lines and for `--json`: sizes, parameters, scores and agreement, from the manifest."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from compress.core.artifact import Artifact


def gained(source: Artifact | None, made: Artifact) -> dict[str, Any]:
    """What the last step of an artifact gained, as a JSON dictionary; what was not measured is not in it.

    Args:
        source: what the step started from; None where it is not at hand.
    """
    from compress.measure.size import disk_bytes, parameters

    facts = made.steps[-1].facts if made.steps else {}
    before = None if source is None or source.format == "config" else source
    found: dict[str, Any] = {
        "artifact": str(made.folder),
        "technique": made.steps[-1].technique if made.steps else None,
        "format": made.format,
        "precision": made.precision,
        "fingerprint": made.fingerprint(),
        "bytes": {"before": None if before is None else disk_bytes(before), "after": disk_bytes(made)},
        "parameters": {"before": None if before is None else parameters(before), "after": parameters(made)},
        "seconds": facts.get("seconds"),
        "score": _score(facts),
        "teacher_score": facts.get("teacher_score"),
        "expectation": facts.get("expectation"),
        "agreement": _agreement(facts),
        "largest_gap": _gap(facts),
        "accuracy_budget": facts.get("accuracy_budget"),
    }
    return {key: value for key, value in found.items() if value is not None}


def in_words(found: Mapping[str, Any]) -> str:
    """The same as a sentence: `q: 90.9 -> 23.4 MB, agrees with its source on 24 of 24 rows.`"""
    parts = []
    size = found["bytes"]
    if size["before"] and size["after"]:
        parts.append(f"{_mb(size['before'])} -> {_mb(size['after'])} MB")
    elif size["after"]:
        parts.append(f"{_mb(size['after'])} MB")
    counts = found["parameters"]
    before, after = (f"{(counts[when] or 0) / 1e6:.2f}" for when in ("before", "after"))
    if counts["before"] and counts["after"] and before != after:
        parts.append(f"{before} -> {after} million parameters")
    score = found.get("score")
    if score is not None:
        line = f"{score['metric']} {score['value']:.4f}"
        teachers = _of_teachers(found.get("teacher_score"), score["metric"])
        if teachers:
            line += f" (teacher{'s' if len(teachers) > 1 else ''} {', '.join(f'{one:.4f}' for one in teachers)})"
        rows = f" on {score['rows']:,} held-out rows" if score.get("rows") else ""
        parts.append(f"{line}{rows}")
    agreement = found.get("agreement")
    if agreement is not None:
        same = round(agreement["share"] * agreement["rows"])
        parts.append(f"agrees with {agreement['with']} on {same:,} of {agreement['rows']:,} {agreement['unit']}")
    elif found.get("largest_gap") is not None:
        parts.append(f"outputs differ from {_origin(found)} by {found['largest_gap']:.1g} at most")
    if budget := found.get("accuracy_budget"):
        from compress.quantization import budget_words

        parts.append(budget_words.in_words(budget))
    return f"{found['artifact']}: {', '.join(parts) or found['format'] + ' ' + found['precision']}."


def _of_teachers(scores: Any, metric: str) -> list[float]:
    """The scores of one teacher or of several in that metric."""
    several = scores if isinstance(scores, list | tuple) else [scores] if scores else []
    return [one["value"] for one in several if one.get("value") is not None and one.get("metric") == metric]


def next_command(made: Artifact) -> str:
    """The command that is most likely to be next."""
    folder = shlex.quote(str(made.folder))
    if made.steps and not made.steps[-1].compresses:
        return f"compress distill {folder} --layers N -o STUDENT"
    if made.task is None:
        return f"compress inspect {folder}"
    return f'compress predict {folder} "..."'


def _origin(found: Mapping[str, Any]) -> str:
    return "torch" if found["technique"] == "export" else "fp32"


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f}" if size >= 1e5 else f"{size / 1e6:.3f}"


def _score(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """The score on held-out rows of the weights that were kept; None in a metric that is not known here."""
    from compress.training.kept_score import kept_score

    found = kept_score(facts)
    return None if found is None else {"metric": found.metric, "value": found.value, "rows": facts.get("holdout_rows")}


def _agreement(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    found = facts.get("agreement")
    if isinstance(found, Mapping) and found.get("share") is not None and found.get("rows"):
        unit = "rows" if found.get("of") in (None, "classes") else f"{found['of']} of rows"
        return {"with": "fp32", "share": found["share"], "rows": found["rows"], "unit": unit}
    for name, other in (("parity", "torch"), ("gap to fp32", "fp32")):
        gap = facts.get(name)
        if isinstance(gap, Mapping) and gap.get("equal_predictions") is not None:
            rows, tokens = gap.get("rows"), gap.get("compared")
            unit = "tokens" if tokens else "rows"
            return {"with": other, "share": gap["equal_predictions"], "rows": tokens or rows, "unit": unit}
    return None


def _gap(facts: Mapping[str, Any]) -> float | None:
    for name in ("parity", "gap to fp32"):
        gaps = (facts.get(name) or {}).get("largest_gap")
        if gaps:
            return float(max(gaps.values()))
    return None
