"""A kind is a file: found by its tasks, by the heads of its models, and by what adapters call it."""

from __future__ import annotations

import pytest
import transformers

from compress.core.errors import CompressError
from compress.tasks import kinds


def test_the_kinds_are_named_as_the_hub_names_tasks() -> None:
    names = ["text-classification", "text-generation", "text2text-generation", "token-classification"]
    assert sorted(one.name for one in kinds.every()) == names


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ("BertForSequenceClassification", "text-classification"),
        ("BertForTokenClassification", "token-classification"),
        ("T5ForConditionalGeneration", "text2text-generation"),
        ("MarianMTModel", "text2text-generation"),
        ("GPT2LMHeadModel", "text-generation"),
        ("LlamaForCausalLM", "text-generation"),
    ],
)
def test_a_model_is_of_the_kind_of_its_head(head: str, name: str) -> None:
    found = kinds.by_head([head])
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "head", ["BertForMaskedLM", "BertModel", "BertForQuestionAnswering", "ViTForImageClassification"]
)
def test_other_heads_are_of_no_kind(head: str) -> None:
    assert kinds.by_head([head]) is None


def test_every_task_is_of_exactly_one_kind_and_every_class_exists() -> None:
    values = [value for one in kinds.every() for value in one.laws]
    assert len(values) == len(set(values))
    assert all(hasattr(transformers, one.auto_class) for one in kinds.every())
    assert all(kinds.by_task(value).laws[value] for value in values)


def test_an_unknown_kind_is_refused_with_a_guess() -> None:
    with pytest.raises(CompressError, match="Unknown kind of task 'token_classificaton'.*token_classification"):
        kinds.by_task("token_classificaton")


def test_an_adapter_says_what_its_head_is() -> None:
    assert kinds.by_adapter("TOKEN_CLS").name == "token-classification"
    assert kinds.by_adapter("").name == "text-classification"
