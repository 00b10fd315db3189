"""Tests of which windows are one example."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from compress.measure import quality
from compress.measure.window_groups import groups
from compress.metrics import metric_intervals
from compress.metrics.metric import find


def test_texts_of_their_own_are_the_examples() -> None:
    assert groups([0, 0, 1, 2, 2], separate=True) == ([0, 0, 1, 2, 2], None, True)


def test_long_documents_of_a_running_text_are_examples() -> None:
    documents = [number for number in range(10) for _ in range(2)]
    assert groups(documents, separate=False) == (documents, "the interval is over 10 documents", True)


@pytest.mark.parametrize("documents", [[0] * 60, list(range(60)), [n // 8 for n in range(60)]])
def test_a_text_without_documents_longer_than_windows_is_cut_into_six_blocks(documents: list[int]) -> None:
    assert groups(documents, separate=False).numbers == [n // 10 for n in range(60)]


def test_a_short_running_text_has_no_interval_of_its_own() -> None:
    short, long = (groups([0] * windows, separate=False) for windows in (999, 1000))
    assert not short.has_interval
    assert short.note == (
        "one running text of 999 windows, too short for an interval; of a difference it is over 6 consecutive blocks of about "
        "166 windows each"
    )
    assert long.has_interval
    assert long.note == "one running text: the interval is over 6 consecutive blocks of about 167 windows each"


def test_fewer_windows_than_blocks_stay_as_they_are() -> None:
    assert groups([0, 0, 0], separate=False)[0] == [0, 1, 2]


def test_the_interval_of_a_running_text_covers_where_one_over_windows_does_not() -> None:
    """Neighbouring windows as alike as on WikiText-2: correlations of about 0.3, 0.2, 0.1 at distances 1, 2 and 10."""
    generator, metric = np.random.default_rng(0), find("perplexity")
    covered = []
    for _ in range(200):
        slow = lfilter([math.sqrt(1 - 0.9**2)], [1, -0.9], generator.normal(size=1300))[300:]
        losses = 3.5 + 0.3 * (math.sqrt(0.3) * slow + math.sqrt(0.7) * generator.normal(size=1000))
        rows = np.stack([128 * losses, np.full(1000, 128.0)], axis=1)
        told = quality.summed(rows, groups([0] * 1000, separate=False)[0])
        ends = (metric_intervals.of_rows(metric, one) for one in (told, rows))
        covered.append([low <= math.exp(3.5) <= high for low, high in ends])
    over_blocks, over_windows = np.mean(covered, axis=0)
    assert over_blocks > 0.9
    assert over_windows < 0.75
