"""Plots whose labels can be read: none over another, round ticks, and scales that hold what they show."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from compress.report.charts import curves, dot_plots, labels, markers, pareto, seeds, small_multiples, svg


@given(some.floats(-1e6, 1e6), some.floats(1e-3, 1e6), some.integers(2, 10))
def test_even_ticks_lie_within_the_scale_and_evenly(low: float, width: float, about: int) -> None:
    ticks = svg.Scale(low, low + width, 0, 100).ticks(about)
    slack = 2e-9 * width  # a tick that float rounding puts beside the scale's end is drawn there all the same
    assert all(low - slack <= tick <= low + width + slack for tick in ticks)
    steps = {round(b - a, 9) for a, b in itertools.pairwise(ticks)}
    assert len(steps) <= 2
    assert len(ticks) <= 2 * about + 2


@given(some.floats(1e-5, 10), some.floats(1.05, 1000))
def test_logarithmic_ticks_lie_within_the_scale(low: float, factor: float) -> None:
    ticks = svg.Scale(low, low * factor, 0, 100, logarithmic=True).ticks()
    assert all(low * 0.999999 <= tick <= low * factor * 1.000001 for tick in ticks)
    assert len(ticks) >= (2 if factor >= 1.5 else 0)


def test_the_labels_of_a_crowded_picture_do_not_cover_one_another() -> None:
    points = [(300 + 9 * n, 200 + 7 * (n % 3)) for n in range(10)]
    boxes = labels.place(points, [110.0] * 10, [], labels.Box(0, 0, 900, 450))
    assert all(a.overlap(b) == 0 for a, b in itertools.combinations(boxes, 2))
    assert all(box.x >= 0 and box.x + box.width <= 900 and box.y >= 0 and box.y + box.height <= 450 for box in boxes)


def texts(drawn: str) -> list[labels.Box]:
    """About what each text of a picture covers."""
    found = re.findall(
        r'<text x="([-0-9.]+)" y="([-0-9.]+)"(?: text-anchor="(\w+)")? class="([\w -]+)">(?:<title>.*?</title>)?([^<]*)<',
        drawn,
    )
    boxes = []
    for x, y, anchor, class_, words in found:
        small = class_.split()[0] in {"tick", "label", "mark", "key", "panel"} or "small" in class_
        width = svg.text_width(words, 11 if small else 12)
        left = float(x) - {"middle": width / 2, "end": width}.get(anchor, 0.0)
        boxes.append(labels.Box(left, float(y) - 9, width, 11))
    return boxes


def spots(places: list[tuple[float, float]]) -> list[pareto.Spot]:
    kinds = list(markers.KINDS)
    return [
        pareto.Spot(f"student-variant-{n}", x, y, (x * 0.9, x * 1.1), (y - 1, y + 1), kinds[n % 5], is_winner=n == 0)
        for n, (x, y) in enumerate(places)
    ]


@pytest.mark.parametrize(("width", "height"), [(1120.0, 480.0), (372.0, 420.0)])
@settings(max_examples=15, deadline=None)
@given(some.lists(some.tuples(some.floats(0.1, 30), some.floats(70, 90)), min_size=1, max_size=10))
def test_texts_of_quality_against_speed_never_overlap_or_leave_the_picture(
    width: float, height: float, places: list[tuple[float, float]]
) -> None:
    axes = pareto.Axes("accuracy, points", "one text at a time", 85.0, 84.0, "margin 1 point", 3.0, 4.0)
    drawn = pareto.draw(spots(places), axes, "t", "d", width=width, height=height, numbers=width < 500).drawing
    boxes = texts(drawn)
    assert len(boxes) > len(places)
    assert all(a.overlap(b) < 1 for a, b in itertools.combinations(boxes, 2))
    assert all(box.x >= -1 and box.x + box.width <= width + 1 and 0 <= box.y <= height - box.height for box in boxes)


def test_right_is_faster_the_winner_is_ringed_and_every_marker_says_what_it_is() -> None:
    made = spots([(4.0, 85.0), (1.0, 84.0), (0.5, 80.0)])
    drawn = pareto.draw(made, pareto.Axes("m", "c"), "t", "d", width=1120, height=480).drawing
    assert drawn.count('class="ring"') == 2  # round the winner and in the legend
    places = {name: float(x) for x, name in re.findall(r'<text x="([-0-9.]+)"[^>]*>student-variant-(\d)<', drawn)}
    assert places["0"] > places["1"] > places["2"]
    assert all(f"<title>student-variant-{n}</title>" in drawn for n in range(3))
    slower = pareto.draw(made, pareto.Axes("m", "c", is_latency=True), "t", "d", width=1120, height=480).drawing
    places = {name: float(x) for x, name in re.findall(r'<text x="([-0-9.]+)"[^>]*>student-variant-(\d)<', slower)}
    assert places["0"] < places["1"] < places["2"]


def test_every_verdict_has_a_shape_of_its_own() -> None:
    shapes = {
        re.sub(r' class="[^"]*"', "", markers.marker(0, 0, kind))
        for kind in ("better", "not worse", "worse", "root", "baseline")
    }
    assert len(shapes) == 5
    # The empty circle differs from the filled one by its fill alone.
    assert markers.css("not enough examples") != markers.css("not worse")


@pytest.mark.parametrize("width", [580.0, 372.0])
def test_the_speeds_under_all_conditions_are_one_picture_in_which_no_line_runs_through_a_text(width: float) -> None:
    names = [(f"variant-number-{n}", "variant") for n in range(9)]
    bars = [small_multiples.Bar(0.3 * 1.8**n, f"{0.3 * 1.8**n:.2g}×", (0.2, 30.0)) for n in range(8)]
    panels = [
        small_multiples.Panel(words, [*bars, small_multiples.Bar(None, "–")])
        for words in ("one text at a time", "32 texts of 64 tokens", "8 texts of 128 tokens")
    ]
    drawn = small_multiples.draw(names, panels, "t", "d", width=width)
    height = float(re.findall(r'height="([\d.]+)"', drawn)[0])
    assert height <= 300 or width < 500
    boxes = texts(drawn)
    assert all(a.overlap(b) < 1 for a, b in itertools.combinations(boxes, 2))
    lines = re.findall(r'<line x1="([\d.]+)" y1="([\d.]+)" x2="[\d.]+" y2="([\d.]+)" class="reference"', drawn)
    assert len(lines) == 27
    for x, top, foot in (map(float, line) for line in lines):
        assert not any(box.overlap(labels.Box(x, top, 0.1, foot - top)) for box in boxes)


def test_one_held_out_row_of_three_hundred_is_no_cliff() -> None:
    drawn = curves.draw([curves.Line("accuracy", [(10, 0.74), (20, 0.7367)])], "t", in_points=True)
    heights = [float(y) for y in re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)"', drawn)]
    assert abs(heights[0] - heights[1]) < curves.HEIGHT / 10


def test_equal_and_single_values_can_be_drawn() -> None:
    same = [pareto.Spot("a", 1.0, 88.0), pareto.Spot("b", 1.0, 88.0)]
    for width in (372.0, 900.0):
        assert "nan" not in pareto.draw(same, pareto.Axes("m", "c"), "t", "d", width=width, height=400).drawing
    assert "nan" not in dot_plots.dots([dot_plots.Item("a", 0.0, "0")], "t", "d", width=580)
    alone = [small_multiples.Panel("c", [small_multiples.Bar(None, "–")])]
    assert "nan" not in small_multiples.draw([("a", "variant")], alone, "t", "d", width=372)
    assert "nan" not in curves.draw([curves.Line("loss", [(0, 1.0), (10, 1.0)])], "loss")
    assert "nan" not in curves.draw(
        [curves.Line("a", [(0, 0.0), (9, 0.0)]), curves.Line("b", [(0, 0.0), (9, 0.0)], 0)], "t"
    )
    lanes = [seeds.Lane(name, [88.0], "88.00", "variant") for name in ("with", "without")]
    assert "nan" not in seeds.draw(lanes, [0], "t", "d", width=372)


@pytest.mark.parametrize("width", [372.0, 580.0])
def test_everything_a_dot_plot_draws_lies_within_the_picture(width: float) -> None:
    made = [dot_plots.Item("a-rather-long-name-of-a-variant", -2.5, "−2.50 worse", (-4.4, -0.6), "worse")]
    drawn = dot_plots.dots(
        made, "t", "d", width=width, marks=[dot_plots.Mark(0.0, "uncompressed"), dot_plots.Mark(-1, "budget")]
    )
    for attribute in ("x", "x1", "x2"):
        for value in re.findall(rf' {attribute}="([-0-9.]+)"', drawn):
            assert -1 <= float(value) <= width + 1
            assert math.isfinite(float(value))


@given(some.lists(some.floats(1e-4, 20), min_size=2, max_size=8))
def test_the_names_of_lines_never_touch_and_stay_within_the_picture(ends: list[float]) -> None:
    lines = [curves.Line(f"term {n}", [(0, 20.0), (100, end)], n or None) for n, end in enumerate(ends)]
    drawn = curves.draw(lines, "t")
    names = re.findall(r'<text x="([-0-9.]+)" y="([-0-9.]+)"[^>]*class="line-name">([^<]*)<', drawn)
    assert len(names) == len(ends)
    heights = sorted(float(y) for _, y, _ in names)
    assert all(b - a >= curves.BETWEEN - 0.11 for a, b in itertools.pairwise(heights))
    assert all(0 < y <= curves.HEIGHT for y in heights)
    assert all(float(x) + svg.text_width(name, curves.NAME) <= curves.WIDTH for x, _, name in names)


def test_terms_far_smaller_than_the_loss_are_drawn_on_a_logarithmic_scale() -> None:
    large, small = curves.Line("loss", [(0, 9.0), (10, 5.0)]), curves.Line("labels", [(0, 0.2), (10, 0.1)], 1)
    assert "logarithmic" in curves.draw([large, small], "t")
    assert "logarithmic" not in curves.draw([large], "t")


@pytest.mark.parametrize("width", [372.0, 580.0])
def test_the_dots_of_many_seeds_lie_in_their_own_lane(width: float) -> None:
    lanes = [seeds.Lane(name, [88.0 + n for n in range(10)], "92.50 ± 3.03", "variant") for name in ("a", "b")]
    drawn = seeds.draw(lanes, range(10), "t", "d", width=width)
    heights = [float(y) for y in re.findall(r'<circle cx="[-0-9.]+" cy="([-0-9.]+)"', drawn)]
    assert len(heights) == 20
    assert len(set(heights[:10])) == 10
    assert max(heights[:10]) + 11 < min(heights[10:])
