"""A pattern that matches nothing is refused, with the names that are most like it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.core import name_patterns
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.models.load import resolve_model
from compress.techniques.apply import apply

NAMES = ["encoder.layer.0.attention.query", "encoder.layer.0.output.dense", "classifier"]


def test_what_matches_something_passes() -> None:
    name_patterns.check(["*.0.*", "classifier"], NAMES, "exclude", "quantized")


def test_the_nearest_names_are_in_the_message() -> None:
    wanted = r"^exclude: '\*\.querry' matches nothing that would be quantized.*for example, encoder\.layer\.0\.attention\.query"
    with pytest.raises(CompressError, match=wanted):
        name_patterns.check(["*.0.*", "*.querry"], NAMES, "exclude", "quantized")


def test_a_message_stays_short() -> None:
    with pytest.raises(CompressError) as raised:
        name_patterns.check(["x" * 5000], ["y" * 5000], "exclude", "quantized")
    assert len(str(raised.value)) <= 500


@pytest.mark.parametrize("pattern", ["clasifier", "*.layer.9.*", "classifier"])
def test_excluding_what_is_not_quantized_anyway_is_refused(
    pattern: str, make_model: Callable[..., Path], tmp_path: Path, task: dict[str, Any]
) -> None:
    quantize = find("techniques", "quantize")
    source = resolve_model(str(make_model("bert")))
    with pytest.raises(CompressError, match="matches nothing that would be quantized"):
        apply(quantize, source, quantize.settings(exclude=(pattern,)), tmp_path / "int8", task=task)


def test_a_pattern_of_single_weights_that_leaves_nothing_alone_is_refused(make_model: Callable[..., Path]) -> None:
    from compress.models.load import classifier
    from compress.pruning.weights import prunable

    model = classifier(make_model("bert", num_hidden_layers=1))
    assert len(prunable(model, ["*.query"])) == len(prunable(model)) - 1
    with pytest.raises(CompressError, match="exclude: 'bert.embeddings.*' matches nothing that would be pruned"):
        prunable(model, ["bert.embeddings.*"])
