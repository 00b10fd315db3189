"""A model in fewer bits that answers otherwise than in fp32 is refused, unless it is told to go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.models.load import checkpoint_artifact, classifier, save, tokenizer
from compress.quantization.agreement import Agreement, decided, difference, of_answers, predictions, right
from compress.tasks.kinds.laws import BINARY, CATEGORICAL, NUMBER
from compress.techniques.apply import apply
from tests.tiny import WORDS

QUANTIZE = find("techniques", "quantize")


def _classes(equal: int, rows: int) -> Agreement:
    return Agreement("classes", equal / rows, rows, "rows")


def test_nine_rows_in_ten_are_enough_and_fewer_are_not() -> None:
    assert decided(_classes(90, 100), "int8", allowed=False)["share"] == 0.9
    with pytest.raises(
        CompressError, match=r"int8 model is not its fp32 source: 89% of 100 rows .*--allow-disagreement"
    ):
        decided(_classes(89, 100), "int8", allowed=False)


def test_a_single_row_of_a_few_is_never_too_many() -> None:
    assert _classes(3, 4).is_enough
    assert not _classes(2, 4).is_enough


def test_what_is_allowed_is_kept_and_recorded(caplog: pytest.LogCaptureFixture) -> None:
    assert decided(_classes(50, 100), "int8", allowed=True)["allowed"]
    assert "50% of 100 rows" in caplog.text


def test_a_trained_model_that_is_as_right_need_not_agree() -> None:
    assert decided(_classes(50, 100), "int8", allowed=False, is_as_right=True)["as_right_as_its_source"]


def test_half_of_the_tokens_are_enough() -> None:
    assert Agreement("tokens", 0.5, 100, "rows").is_enough
    assert not Agreement("tokens", 0.49, 100, "rows").is_enough


def test_the_scores_of_a_regression_must_correlate() -> None:
    scores = np.linspace(0, 5, 40)[:, None]
    noise = np.random.default_rng(0).normal(size=scores.shape)
    assert of_answers(scores + 0.1 * noise, scores, "rows", NUMBER).is_enough
    assert not of_answers(5 * noise, scores, "rows", NUMBER).is_enough
    assert not of_answers(np.full_like(scores, 2.0), scores, "rows", NUMBER).is_enough
    assert not of_answers(np.full_like(scores, np.nan), scores, "rows", NUMBER).is_enough


def test_of_a_few_rows_one_may_differ_and_two_may_not() -> None:
    for rows in range(2, 9):
        assert _classes(rows - 1, rows).is_enough
        assert not _classes(rows - 2, rows).is_enough
    assert not Agreement("scores", 0.8, 4, "rows").is_enough  # a correlation has no rows that differ


def test_a_difference_is_a_count_of_answers_or_the_mean_distance_of_scores() -> None:
    """Of a row with several labels one that differs is enough."""
    assert difference(np.array([0.0, 1, 2]), np.array([0.0, 2, 1]), CATEGORICAL) == 2
    labels = np.array([[1.0, 0, 1], [0, 0, 0], [1, 1, 0]])
    assert difference(labels, np.array([[1.0, 0, 1], [0, 0, 1], [0, 0, 1]]), BINARY) == 2
    assert right(labels, np.array([[1.0, 0, 1], [0, 0, 1], [0, 0, 1]]), BINARY) == pytest.approx(1 / 3)
    assert difference(np.array([1.0, 2]), np.array([0.0, 4]), NUMBER) == 1.5
    assert right(np.array([1.0, 2, 4]), np.array([2.0, 4, 8]), NUMBER) == pytest.approx(1)


def test_answers_that_are_no_numbers_agree_with_nothing() -> None:
    assert predictions(np.array([[1.0, 3, 2], [np.nan, 0, 1]]), CATEGORICAL).tolist() == [
        1,
        pytest.approx(np.nan, nan_ok=True),
    ]
    wanted = np.array([[1.0, 0.0]] * 20)
    assert of_answers(wanted, wanted, "rows", CATEGORICAL).share == 1
    assert of_answers(np.array([[0.0, 1.0], *wanted[1:]]), wanted, "rows", CATEGORICAL).share == 0.95
    assert of_answers(np.full_like(wanted, np.nan), wanted, "rows", CATEGORICAL).share == 0
    assert right(predictions(wanted, CATEGORICAL), np.zeros(20), CATEGORICAL) == 1


@pytest.fixture
def ruined(make_model: Callable[..., Path], tmp_path: Path) -> Artifact:
    """One channel of each product's input is thousands of times as large as the others, and the weight that reads it as much
    smaller: fp32 answers as before, and int8, whose range that channel decides, rounds all others to 0."""
    import torch

    folder = make_model("bert", "whole", initializer_range=0.4, num_hidden_layers=2, hidden_act="relu")
    model, its_tokenizer, factor = classifier(folder), tokenizer(folder), 2.0**14
    words = [f"{first} {second} {third}" for first in WORDS[:6] for second in WORDS[8:12] for third in WORDS[20:24]]
    with torch.no_grad():
        logits = model(**its_tokenizer(words, return_tensors="pt")).logits
        model.classifier.bias[1] -= (logits[:, 1] - logits[:, 0]).median()  # both classes are there
        for layer in model.bert.encoder.layer:
            makers = (layer.attention.self.value, layer.intermediate.dense)
            readers = (layer.attention.output.dense, layer.output.dense)
            for maker, reader in zip(makers, readers, strict=True):
                maker.weight[:1] *= factor
                maker.bias[:1] = factor
                reader.weight[:, :1] /= factor
    save(model, its_tokenizer, tmp_path / "ruined")
    return checkpoint_artifact(tmp_path / "ruined", "ruined")


def test_an_int8_graph_of_noise_is_refused_unless_told_to_go_on(
    ruined: Artifact, task: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(CompressError, match="--allow-disagreement"):
        apply(QUANTIZE, ruined, QUANTIZE.settings(), tmp_path / "int8", task=task)
    settings = QUANTIZE.settings(allow_disagreement=True)
    made = apply(QUANTIZE, ruined, settings, tmp_path / "int8", task=task)
    assert made.steps[-1].facts["agreement"]["allowed"]
    assert made.steps[-1].facts["agreement"]["rows"] >= 100
    # It decides whether a result is kept, not what it is.
    assert "allow_disagreement" not in made.steps[-1].settings
