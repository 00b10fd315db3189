"""A metric is written by its title, and its numbers in points of 100 or on a scale of their own."""

from __future__ import annotations

import pytest

from compress.report.scales import scale_of_metric


@pytest.mark.parametrize(
    ("metric", "title", "within"),
    [
        ("accuracy", "Accuracy", "accuracy"),
        ("f1_macro", "Macro F1", "macro F1"),
        ("accuracy_f1", "Mean of accuracy and F1", "mean of accuracy and F1"),
        ("matthews", "Matthews correlation", "Matthews correlation"),
        ("rouge_l", "ROUGE-L", "ROUGE-L"),
        ("chrf", "chrF", "chrF"),
        ("of_an_older_version", "Of_an_older_version", "of_an_older_version"),
    ],
)
def test_a_metric_is_headed_by_its_title(metric: str, title: str, within: str) -> None:
    scale = scale_of_metric(metric)
    assert (scale.title, scale.name, scale.in_points) == (title, within, True)


def test_a_perplexity_is_no_share_and_lower_is_better() -> None:
    scale = scale_of_metric("perplexity")
    assert (scale.in_points, scale.higher_is_better) == (False, False)
