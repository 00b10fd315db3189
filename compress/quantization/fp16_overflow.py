"""Converts fp32 graphs to fp16; operators that exceed fp16's range on real rows stay in fp32 and are reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.progress import say
from compress.models import load as models
from compress.models.reading_length import positions
from compress.onnx.fp16 import to_fp16
from compress.onnx.observed import Runner, by_generation, by_rows
from compress.onnx.value_ranges import LARGEST, beyond_fp16

WRITTEN = 12
"""Tokens that a generative model writes after each prompt while its values are observed."""
ROWS = 48
"""Of a classifier, whose values are observed."""


def write(graph: Path, target: Path, rows: Sequence[Mapping[str, np.ndarray]], rows_from: str) -> dict[str, Any]:
    """Write a classifier's fp32 graph in fp16; the facts to report.

    Args:
        rows: encoded, name -> [length] each.
    """
    few = [{name: value[None] for name, value in row.items()} for row in rows[:ROWS]]
    return _written(graph, target, by_rows(few), len(few), rows_from)


def write_part(
    graphs: Mapping[str, Path], part: str, folder: Path, target: Path, prompts: Sequence[np.ndarray], rows_from: str
) -> dict[str, Any]:
    """Write one of a generative export's fp32 graphs in fp16, with ranges observed during generation; the facts to report.

    Args:
        graphs: the fp32 export by part.
        folder: holds its config and generation config.
        prompts: encoded, [length] each.
    """
    config = models.config(folder)
    most = positions(config)
    if most is not None and not config.is_encoder_decoder:
        prompts = [row[: max(most - WRITTEN, 1)] for row in prompts]
    new_tokens = min(WRITTEN, most or WRITTEN)
    runner = by_generation(graphs, part, folder, prompts, new_tokens=new_tokens, padding=None)
    return _written(graphs[part], target, runner, len(prompts), rows_from)


def _written(graph: Path, target: Path, runner: Runner, rows: int, rows_from: str) -> dict[str, Any]:
    beyond = beyond_fp16(graph, runner)
    kinds = to_fp16(graph, target, beyond)
    if not beyond:
        return {"kept_in_fp32": {"operators": 0, "rows": rows, "rows_from": rows_from}}
    largest = max(beyond.values())
    shown = ", ".join(f"{count} {kind}" for kind, count in Counter(kinds).most_common(4))
    say(
        f"{target.name}: {len(beyond)} operators stay in fp32 ({shown}): on real rows their values or sums reach "
        f"{largest:,.0f}, and fp16 ends at {LARGEST:,.0f}."
    )
    return {
        "kept_in_fp32": {
            "operators": len(beyond),
            "by_kind": kinds,
            "largest": largest,
            "rows": rows,
            "rows_from": rows_from,
        }
    }
