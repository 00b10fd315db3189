"""The CSV of a report: a row for each artifact, plain names with units, an order that no absent value changes."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compress import report
from compress.core.measurement import Measurements
from compress.report.comparison import compare
from tests.report.made_up import EXPORT, Made, MakeRun, compared, int8, make, zeroed
from tests.report.made_up_generative import decoders, summarizers

ROOT = Path(report.__file__).parents[2]
INT8 = Made("int8", 769, 1, 2.4, 23.1, steps=(int8("dynamic"),))


def table(run: Measurements, folder: Path, **settings: Any) -> tuple[list[str], dict[str, dict[str, str]]]:
    """The columns, and the rows by the artifact's name."""
    run.save(folder / "measured")
    file = report.write([folder / "measured"], folder / "report.html", **settings).csv
    with file.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        rows = {row["name"]: row for row in reader}
    return list(reader.fieldnames or ()), rows


def test_each_value_is_in_the_unit_of_its_column(tmp_path: Path) -> None:
    run = make((INT8,))
    _, rows = table(run, tmp_path)
    row = next(one for one in compare(run).rows if one.name == "int8")
    quality, headline = row.quality["accuracy"], next(iter(row.speeds))
    speed = row.speeds[headline]
    change = quality.difference
    assert change.interval is not None
    assert speed.ratio.interval is not None
    for name, expected in {
        "accuracy": quality.value.value,
        "accuracy_difference_points": 100 * (change.value or 0.0),
        "accuracy_difference_points_low": 100 * change.interval[0],
        "accuracy_difference_points_high": 100 * change.interval[1],
        "accuracy_margin_points": 1.0,
        "speedup_batch_1_real_lengths": 2.4,
        "speedup_batch_1_real_lengths_low": speed.ratio.interval[0],
        "latency_ms_batch_1_real_lengths": 1e3 * (speed.median.value or 0.0),
        "latency_p90_ms_batch_1_real_lengths": 1e3 * (speed.p90.value or 0.0),
        "size_mb": 23.1,
        "peak_memory_mb": max(one.peak.value or 0.0 for one in row.memory.values()) / 1e6,
        "difference_interval_level": 0.95,
        "rank": 1,
    }.items():
        assert float(rows["int8"][name]) == pytest.approx(expected, rel=1e-9), name
    assert rows["int8"]["accuracy_verdict"] == "not worse"
    assert rows["int8"]["recommendation"] == "recommended"
    assert rows["int8"]["obstacles"] == rows["fp32-onnx"]["rank"] == ""


def test_the_columns_have_one_order_whatever_is_absent(make_run: MakeRun, tmp_path: Path) -> None:
    why = {"latency_seconds": "no kernel", "accuracy": "not finite", "disk_bytes": "no file"}
    whole, _ = table(make_run([INT8]), tmp_path / "whole")
    fewer, rows = table(make_run([replace(INT8, absent=why)]), tmp_path / "fewer")
    assert fewer == whole
    assert whole[:3] == ["run", "name", "role"]
    assert whole[-2:] == ["absent", "notes"]
    assert "accuracy: not finite" in rows["int8"]["absent"]
    assert rows["int8"]["latency_ms_batch_1_real_lengths"] == ""


def test_other_session_options_have_columns_of_their_own(make_run: MakeRun, tmp_path: Path) -> None:
    columns, _ = table(make_run([INT8], options=("ours", "default")), tmp_path)
    assert "latency_ms_batch_32_64_tokens" in columns
    assert "latency_ms_batch_32_64_tokens_default_options" in columns
    assert len(columns) == len(set(columns))


def test_a_budget_is_one_word_for_each_variant(make_run: MakeRun, tmp_path: Path) -> None:
    slow = Made("slow", 769, 1, 1.1, 90)
    _, rows = table(make_run([INT8, slow]), tmp_path, budget={"min_speedup": 2})
    assert [rows[name]["budget"] for name in ("fp32-onnx", "int8", "slow")] == ["", "kept", "broken"]


def test_every_column_is_listed_in_the_readme(tmp_path: Path) -> None:
    taught = Made("taught", 752, 40, 1.9, 69, steps=(compared(), EXPORT), precision="fp32")
    sparse = Made("sparse", 760, 20, 1.01, 90.9, steps=(zeroed(), EXPORT), precision="fp32", zeros=0.6)
    text = (ROOT / "reports" / "README.md").read_text(encoding="utf-8")
    for n, (run, metrics) in enumerate(
        (
            (make((taught, sparse)), ["accuracy"]),
            (summarizers(), ["rouge_l", "rouge1", "rouge2", "rouge_lsum", "bleu", "chrf"]),
            (decoders(), ["perplexity"]),
        )
    ):
        columns, _ = table(run, tmp_path / str(n), budget={"min_speedup": 1})
        names = [re.sub(r"_(low|high)$", "", one) for one in columns]
        names = [re.sub(r"batch_\d+_(real_lengths|\d+_tokens)(_\d+_new)?", "WHERE", one) for one in names]
        names = [re.sub(rf"(^|_)({'|'.join(metrics)})(?=_|$)", r"\1METRIC", one) for one in names]
        names = [re.sub(r"_mb_(loaded|\d+x\d+)$", "_mb_PHASE", one) for one in names]
        names = [re.sub(r"_mb_\d+_new_tokens$", "_mb_N_new_tokens", one) for one in names]
        assert [one for one in names if f"`{one}`" not in text] == []
