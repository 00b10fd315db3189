"""Tests of what is told of a writer's quality: scores that add up, signatures, collapsed outputs, agreement with the root."""

from __future__ import annotations

import numpy as np
import pytest

from compress.measure.generation import quality
from compress.measure.quality import of_rows
from compress.metrics.metric import find
from compress.metrics.perplexity import perplexity

UNDER = {"split": "evaluation", "beams": 1, "max_new_tokens": 6}
OUTPUTS = ["the old boat sank", "a new ship", "nothing", "the storm was strong"]
REFERENCES = ["the boat sank", "they took a new ship", "rain", "the storm was strong"]


def test_rouge_has_a_score_for_each_example_rows_that_add_up_an_interval_and_its_signature() -> None:
    metric = find("rouge_l")
    found = of_rows("abc", metric, metric.statistics(OUTPUTS, REFERENCES), UNDER, ("2 of 4 were cut",))
    assert found.value == pytest.approx(np.mean(found.per_example)) == pytest.approx(metric.score(OUTPUTS, REFERENCES))
    assert (len(found.per_example), found.samples, found.unit, found.higher_is_better) == (4, 4, "share", True)
    assert metric.of_sums(np.sum(found.statistics, axis=0)) == found.value
    assert found.interval is not None
    assert found.interval[0] < (found.value or 0) < found.interval[1]
    assert found.notes == (f"signature {metric.signature()}", "2 of 4 were cut")


def test_bleu_has_rows_and_no_score_for_each_example() -> None:
    metric = find("bleu")
    found = of_rows("abc", metric, metric.statistics(OUTPUTS, REFERENCES), UNDER)
    assert found.per_example == ()
    assert metric.of_sums(np.sum(found.statistics, axis=0)) == found.value == metric.score(OUTPUTS, REFERENCES)


def test_perplexity_is_worse_when_greater_and_absent_where_a_token_was_impossible() -> None:
    metric = perplexity(8, 4)
    found = of_rows("abc", metric, np.array([[2.0, 4.0], [6.0, 4.0]]), UNDER)
    assert found.value == pytest.approx(np.e)
    assert (found.unit, found.higher_is_better) == ("perplexity", False)
    assert "context:8|stride:4" in found.notes[0]
    impossible = of_rows("abc", metric, np.array([[np.inf, 4.0]]), UNDER)
    assert impossible.value is None
    assert "impossible" in str(impossible.absent)


def test_references_that_cannot_be_scored_are_absent_with_the_reason() -> None:
    metric = find("rouge_l")
    found = of_rows("abc", metric, np.zeros((0, 2)), UNDER)
    assert found.value is None
    assert "no examples" in str(found.absent)


def test_a_model_that_has_collapsed_is_seen_by_its_distinct_outputs() -> None:
    distinct, tokens = quality.of_outputs("abc", ["same", "same ", "same", ""], [3, 3, 6, 1], UNDER)
    assert (distinct.name, distinct.value) == ("distinct_outputs", 0.5)
    assert "75.0% of the outputs are one text: 'same'" in distinct.notes[0]
    assert "25.0% of the outputs are empty" in distinct.notes[1]
    assert (tokens.name, tokens.value, tokens.per_example) == ("output_tokens", 3.25, (3.0, 3.0, 6.0, 1.0))
    assert tokens.notes == ("1 of 4 outputs were ended at 6 tokens",)


def test_outputs_that_all_differ_are_told_without_a_note() -> None:
    distinct, tokens = quality.of_outputs("abc", OUTPUTS, [3, 4, 2, 5], UNDER)
    assert (distinct.value, distinct.notes, tokens.notes) == (1.0, (), ())


def test_agreement_is_the_share_of_outputs_that_are_the_roots_to_the_letter() -> None:
    found = quality.same_outputs("abc", OUTPUTS, ["the old boat sank ", "a new boat", "nothing", "Nothing"], UNDER)
    assert (found.value, found.per_example) == (0.5, (1.0, 0.0, 1.0, 0.0))
    lost = quality.same_outputs("abc", OUTPUTS, None, UNDER)
    assert lost.value is None


def test_token_accuracy_is_weighted_by_tokens_and_added_up_by_document() -> None:
    mine = [np.array([-100, 5, 6]), np.array([-100, 7, 8, 9]), np.array([-100, 1])]
    root = [np.array([-100, 5, 0]), np.array([-100, 7, 8, 9]), np.array([-100, 2])]
    found = quality.same_tokens("abc", mine, root, [0, 0, 3], UNDER)
    assert found.value == pytest.approx(4 / 6)
    assert found.statistics == ((4.0, 5.0), (0.0, 1.0))
    assert found.condition["against"] == "root"


def test_a_model_with_other_tokens_than_the_root_has_no_token_accuracy() -> None:
    found = quality.same_tokens("abc", [np.array([-100, 5])], [np.array([-100, 5, 6])], None, UNDER)
    assert "other tokens" in str(found.absent)
