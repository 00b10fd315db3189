"""Tests of what is told of generated texts: a collapsed model is seen."""

from __future__ import annotations

from compress.measure.outputs import of_outputs

UNDER = {"split": "evaluation", "beams": 1, "max_new_tokens": 6}
OUTPUTS = ["the old boat sank", "a new ship", "nothing", "the storm was strong"]


def test_a_model_that_has_collapsed_is_seen_by_its_distinct_outputs() -> None:
    distinct, tokens = of_outputs("abc", ["same", "same ", "same", ""], [3, 3, 6, 1], UNDER)
    assert (distinct.name, distinct.value) == ("distinct_outputs", 0.5)
    assert "75.0% of the outputs are one text: 'same'" in distinct.notes[0]
    assert "25.0% of the outputs are empty" in distinct.notes[1]
    assert (tokens.name, tokens.value, tokens.per_example) == ("output_tokens", 3.25, (3.0, 3.0, 6.0, 1.0))
    assert tokens.notes == ("1 of 4 outputs were ended at 6 tokens",)


def test_outputs_that_all_differ_are_told_without_a_note() -> None:
    distinct, tokens = of_outputs("abc", OUTPUTS, [3, 4, 2, 5], UNDER)
    assert (distinct.value, distinct.notes, tokens.notes) == (1.0, (), ())
