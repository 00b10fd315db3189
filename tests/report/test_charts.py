"""Plots whose labels can be read: none over another, round ticks, and scales that hold what they show."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from compress.report.charts import curves, dot_plots, pareto, seeds, svg


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
    boxes = pareto.place(points, [110.0] * 10, [], pareto.Box(0, 0, 900, 450))
    assert all(a.overlap(b) == 0 for a, b in itertools.combinations(boxes, 2))
    assert all(box.x >= 0 and box.x + box.width <= 900 and box.y >= 0 and box.y + box.height <= 450 for box in boxes)


def test_the_front_is_drawn_as_steps_through_its_spots_only() -> None:
    spots = [
        pareto.Spot("fast", 0.001, 85.0, on_front=True),
        pareto.Spot("good", 0.002, 88.0, on_front=True),
        pareto.Spot("beaten", 0.003, 86.0),
    ]
    drawn = pareto.draw(
        spots, pareto.Limits(0.002, 88.0), "t", "d", metric="accuracy", condition="batch 1", width=900, height=400
    )
    path = re.search(r'<path d="([^"]*)" class="front"', drawn)
    assert path is not None
    assert (path[1].count("H"), path[1].count("V")) == (1, 1)
    assert drawn.count("hollow") == 1


def test_equal_and_single_values_can_be_drawn() -> None:
    spots = [pareto.Spot("a", 0.001, 88.0), pareto.Spot("b", 0.001, 88.0)]
    for width in (372.0, 900.0):
        drawn = pareto.draw(
            spots, pareto.Limits(), "t", "d", metric="accuracy", condition="b1", width=width, height=400
        )
        assert "nan" not in drawn
    assert "nan" not in dot_plots.dots([dot_plots.Item("a", 0.0, "0")], "t", "d", width=580)
    assert "nan" not in dot_plots.bars([dot_plots.Item("a", None, "–")], "t", "d", width=372)
    assert "nan" not in curves.draw([curves.Line("loss", [(0, 1.0), (10, 1.0)])], "loss")
    assert "nan" not in curves.draw(
        [curves.Line("a", [(0, 0.0), (9, 0.0)]), curves.Line("b", [(0, 0.0), (9, 0.0)], 0)], "t"
    )
    lanes = [seeds.Lane(name, [88.0], "88.00", "variant") for name in ("with", "without")]
    assert "nan" not in seeds.draw(lanes, [0], "t", "d", width=372)


@pytest.mark.parametrize("width", [372.0, 580.0])
def test_everything_a_strip_draws_lies_within_the_picture(width: float) -> None:
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
