"""The config tells what a model is for; what is not handled is refused by name, and never with advice that would destroy it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.data import loading
from compress.models import load as models
from compress.models.kinds import kind_of, law_in
from compress.tasks.kinds.laws import BINARY
from tests.tiny import write_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "m", num_hidden_layers=1)


def configured(folder: Path, **changes: Any) -> Path:
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**raw, **changes}))
    return folder


def load(folder: Path) -> Any:
    return models.load(Artifact(folder=folder, origin={"weights": "x"}, task=None))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("BertForQuestionAnswering", "question answering"),
        ("BertForMultipleChoice", "multiple choice"),
        ("BertForNextSentencePrediction", "next sentence prediction"),
        ("ViTForImageClassification", "image classification"),
    ],
)
def test_a_head_of_another_task_is_refused_by_name(name: str, words: str, folder: Path) -> None:
    configured(folder, architectures=[name])
    for opens in (load, lambda one: models.check_labels(one, loading.resolve("sst2")[0])):
        with pytest.raises(CompressError, match=f"is one for {words} .{name}.*does not support") as refused:
            opens(folder)
        assert "finetune" not in str(refused.value)


def test_a_masked_language_model_is_named_and_a_base(folder: Path) -> None:
    configured(folder, architectures=["BertForMaskedLM"])
    with pytest.raises(CompressError, match="masked language model .*Train one on it: compress finetune"):
        load(folder)
    assert models.for_task(folder, loading.resolve("sst2")[0], seed=0).config.num_labels == 2


@pytest.mark.parametrize("names", [["XLMWithLMHeadModel"], ["BertModel"], [], None, ["BertForPreTraining"]])
def test_bases_are_classifiers_to_be(names: Any, folder: Path) -> None:
    assert kind_of(configured(folder, architectures=names)) is None
    assert models.for_task(folder, loading.resolve("sst2")[0], seed=0).config.num_labels == 2


def test_a_head_for_words_is_no_head_for_texts(folder: Path) -> None:
    configured(folder, architectures=["BertForTokenClassification"])
    with pytest.raises(CompressError, match="is one for token classification, but the task sst2 is a classification"):
        models.check_labels(folder, loading.resolve("sst2")[0])


def test_several_labels_at_once_are_not_one_of_several(folder: Path) -> None:
    configured(folder, problem_type="multi_label_classification", id2label={"0": "negative", "1": "positive"})
    with pytest.raises(CompressError, match=r"gives any of its labels .*a model for sst2, a classification, gives one"):
        models.check_labels(folder, loading.resolve("sst2")[0])
    assert law_in(folder) is BINARY


@pytest.mark.parametrize("names", [5, "BertModel", [5], {"a": 1}])
def test_architectures_that_are_no_names_are_refused_in_a_line(names: Any, folder: Path) -> None:
    with pytest.raises(CompressError, match="`architectures` in .* not a list") as refused:
        kind_of(configured(folder, architectures=names))
    assert "\n" not in str(refused.value)
