"""The table in the terminal: readable at 80 columns, plain with hostile names."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

from rich.console import Console

from compress import report
from tests.report.made_up import EXPORT, Made, MakeRun, compared


def shown(measurements: Any, **more: Any) -> str:
    console = Console(width=80, file=io.StringIO(), force_terminal=False)
    console.print(report.table(measurements, **more))
    return console.file.getvalue()


def test_every_value_is_whole_at_80_columns(make_run: MakeRun) -> None:
    text = shown(make_run())
    assert max(len(line) for line in text.splitlines()) <= 80
    line = next(line for line in text.splitlines() if "int8-dynamic" in line)
    assert line.split() == ["★", "int8-dynamic", "88.19", "−0.11", "not", "worse", "2.4×", "23.1", "132"]
    assert "on 872 examples" in " ".join(text.split())


def test_a_name_with_markup_stays_text_and_a_long_one_is_not_cut(make_run: MakeRun) -> None:
    text = shown(make_run([Made("[red]x[/red]-" + "y" * 30, 745, 50, 4.6, 17.8)]))
    assert "[red]x[/red]" in text
    assert text.count("y") >= 30
    assert max(len(line) for line in text.splitlines()) <= 80


def test_what_is_absent_is_a_dash(make_run: MakeRun) -> None:
    absent = {"latency_seconds": "no kernel", "accuracy": "no", "disk_bytes": "no"}
    line = next(x for x in shown(make_run([Made("odd", 770, 0, 1.0, 45, absent=absent)])).splitlines() if "odd" in x)
    assert line.split()[:5] == ["odd", "–", "–", "–", "–"]


def test_with_a_budget_the_star_marks_what_keeps_it(make_run: MakeRun) -> None:
    assert "★ student-int8" in shown(make_run(), budget={"max_drop": 6, "min_speedup": 4})


def test_what_the_teacher_brought_is_told_once_below_the_table(make_run: MakeRun) -> None:
    distil = compared()
    both = [Made(name, 750, 40, 2.0, 70, steps=(distil, EXPORT)) for name in ("student", "again")]
    text = shown(make_run(both))
    assert " ".join(text.split()).count(f"student: {distil['facts']['teacher_effect']['text']}") == 1
    assert text.count("the teacher brought") == 1
    assert max(len(line) for line in text.splitlines()) <= 80


def test_a_ratio_that_was_refused_is_a_dash_and_its_reason_is_given_once(make_run: MakeRun) -> None:
    run = make_run([Made("one", 770, 1, 3.0, 20), Made("two", 769, 1, 3.1, 20)])
    refused = [
        replace(one, value=None, interval=None, absent="other work ran in every round")
        if one.name == "speedup" and one.value in {3.0, 3.1}
        else one
        for one in run.measurements
    ]
    text = shown(replace(run, measurements=tuple(refused)))
    assert all("×" not in line for line in text.splitlines() if line.strip().startswith(("one", "two", "★")))
    told = " ".join(text.split())
    assert told.count("no ratio of speed for one, two: other work ran in every round.") == 1


def test_rows_are_in_the_order_of_choice_and_memory_is_the_peak_of_the_process(make_run: MakeRun) -> None:
    run = make_run([Made("bad", 700, 80, 9.0, 20), Made("good", 770, 1, 2.0, 20)])
    text = shown(run)
    assert text.index("fp32-onnx") < text.index("good") < text.index("bad")
    good = next(one for one in run.artifacts if one.name == "good")
    peaks = [
        one.value or 0.0
        for one in run.measurements
        if one.name == "peak_memory_bytes" and one.artifact == good.fingerprint
    ]
    line = next(line for line in text.splitlines() if "good" in line)
    assert line.split()[-1] == f"{max(peaks) / 1e6:.0f}"
    assert "memory: the peak of a serving process" in " ".join(text.split())
