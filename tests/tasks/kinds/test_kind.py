"""A kind is a file: found by its tasks, by the heads of its models, and by what adapters call it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import transformers

from compress.core.errors import CompressError
from compress.tasks import kinds
from compress.tasks.kinds import kind


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


ROOT = Path(__file__).parents[3]
LAWS = {"CATEGORICAL", "BINARY", "NUMBER", "TOKENS"}


def compared(tree: ast.Module) -> Iterator[ast.expr]:
    """What is compared in a module, or matched, with the items of tuples and what a name was given in the module in its place."""
    given = {
        node.targets[0].id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    waiting: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            waiting += [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            waiting.append(node.value)
    while waiting:
        one = waiting.pop()
        yield one
        if isinstance(one, ast.Tuple | ast.List | ast.Set):
            waiting += one.elts
        elif isinstance(one, ast.Name) and one.id in given:
            waiting.append(given.pop(one.id))


@pytest.mark.parametrize(
    "room", sorted({path.relative_to(ROOT / "compress").parts[0] for path in (ROOT / "compress").rglob("*.py")})
)
def test_nothing_outside_their_folder_compares_kinds_or_laws_by_name(room: str) -> None:
    names = {*kinds.of_tasks(), *(one.name for one in kinds.every())}
    place = ROOT / "compress" / room
    for path in [place] if place.is_file() else place.rglob("*.py"):
        if (ROOT / "compress/tasks/kinds") in path.parents:
            continue
        for one in compared(ast.parse(path.read_text())):
            told = f"{path.relative_to(ROOT)}:{one.lineno} compares a kind or a law: ask it for what differs"
            assert not (isinstance(one, ast.Constant) and one.value in names), told
            assert not (isinstance(one, ast.Name) and one.id in LAWS and one.id.isupper()), told


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (lambda: 1 / 0, "kind of task 'mine' cannot be imported from there:KIND (division by zero). Mend or remove"),
        (
            lambda: kinds.by_task("regression"),
            "'text-classification' (classification, multi_label_classification, regression), which there is already",
        ),
    ],
)
def test_a_kind_of_another_package_that_is_broken_or_there_already_is_named(
    load: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds.every()  # kept, so that the second one is found
    point = SimpleNamespace(name="mine", value="there:KIND", load=load)
    monkeypatch.setattr(kind, "entry_points", lambda group: [point])
    with pytest.raises(CompressError) as found:
        kinds.every.__wrapped__()
    assert message in str(found.value)
