"""A misspelt or impossible description of a task is refused with a guess before any data is read."""

from __future__ import annotations

from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.data.loading import resolve

OWN = {"name": "mine", "data": "d", "text": "review", "label": "stars", "labels": ["neg", "pos"]}


def test_a_name_is_a_known_task_and_its_data_is_on_the_hub() -> None:
    task, data = resolve("sst2")
    assert (task.name, data) == ("sst2", None)
    assert task.hub is not None


def test_a_known_task_takes_data_and_settings() -> None:
    description = {"name": "sst2", "data": "d", "limit": {"train": 5}, "holdout": 0.1, "bad_rows": "skip", "seed": 3}
    task, data = resolve(description)
    assert data == "d"
    assert (dict(task.limit), task.holdout, task.bad_rows, task.seed) == ({"train": 5}, 0.1, "skip", 3)


def test_a_described_task_has_what_was_described() -> None:
    task, data = resolve({**OWN, "text": ["a", "b"], "labels": [1, 2, 3], "metric": ["accuracy", "matthews"]})
    assert (task.text_columns, task.label_column, task.label_names) == (("a", "b"), "stars", ("1", "2", "3"))
    assert (task.metrics, task.kind, task.is_pair, task.num_labels, data) == (
        ("accuracy", "matthews"), "classification", True, 3, "d",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("sst3", "Unknown task 'sst3'. Did you mean 'sst2'?"),
        ({"name": "sst3", "data": "d"}, "Unknown task 'sst3'. Did you mean 'sst2'?"),
        ({"data": "d"}, "The task has no name"),
        (5, "A task is a name or a mapping"),
        ({"name": "sst2", "dat": "d"}, "Unknown setting 'dat' in task 'sst2'. Did you mean 'data'?"),
        ({"name": "sst2", "labels": ["a", "b"]}, "it is a known task"),
        ({**OWN, "lables": ["a"]}, "Unknown setting 'lables' in task 'mine'. Did you mean 'labels'?"),
        ({**OWN, "kind": "clasification"}, "Did you mean 'classification'?"),
        ({**OWN, "labels": ["one"]}, "two names or more"),
        ({**OWN, "labels": "pos"}, "two names or more"),
        ({**OWN, "labels": [True, False]}, "write it in quotes"),
        ({**OWN, "labels": ["a", "a"]}, "`labels` has a duplicate"),
        ({**OWN, "kind": "regression"}, "a regression has no `labels`"),
        ({**OWN, "range": [0, 5]}, "`range` is for a regression"),
        ({**OWN, "text": ["a", "b", "c"]}, "`text` is one column or a list of two"),
        ({**OWN, "metric": "acuracy"}, "Unknown metric 'acuracy' in task 'mine'. Did you mean 'accuracy'?"),
        ({**OWN, "metric": "pearson"}, "Metric 'pearson' in task 'mine' is for regression, not for classification"),
        ({**OWN, "labels": ["a", "b", "c"], "metric": ["f1"]}, "'f1' is for 2 labels, and task 'mine' has 3. Use one of "
            "accuracy, f1_macro, f1_micro, f1_weighted, matthews"),
        ({"name": "sst2", "metric": "accuracy_mismatched"}, "has the split evaluation_mismatched; 'sst2' has none"),
        ({"name": "mnli", "metric": "f1"}, "'f1' is for 2 labels, and task 'mnli' has 3"),
        ({"name": "stsb", "metric": "accuracy"}, "'accuracy' in task 'stsb' is for classification, not for regression"),
        ({"name": "sst2", "metric": "perplexity"}, "'perplexity' in task 'sst2' is for language modelling, not"),
        ({**OWN, "model_labels": ["a"]}, "`model_labels` maps what a model calls its outputs"),
        ({**OWN, "labels": ["a", "b"], "model_labels": {"x": "c"}}, "maps 'x' to 'c', which is none of its labels: a, b"),
        ({**OWN, "labels": ["a", "b"], "model_labels": {"A": "b"}}, "maps its own label 'A' to another, 'b'"),
        ({**OWN, "metric": ["accuracy", "accuracy"]}, "has a duplicate"),
        ({**OWN, "text": OWN["label"]}, "reads the column 'stars' twice"),
        ({**OWN, "text": ["a", "a"]}, "reads the column 'a' twice"),
        ({**OWN, "bad_rows": "drop"}, "`bad_rows` is 'error' or 'skip'"),
        ({**OWN, "holdout": 5}, "`holdout` is a share"),
        ({**OWN, "seed": "x"}, "`seed` is a whole number"),
        ({**OWN, "limit": 100}, "`limit` is a mapping"),
        ({**OWN, "limit": {"trian": 100}}, "Did you mean 'train'?"),
        ({**OWN, "limit": {"train": 0}}, "the limit of train is a number of rows"),
        ({**OWN, "data": {"dev": "a.csv"}}, "`data` names the split 'dev'"),
        ({**OWN, "data": {"train": "a.xlsx"}}, "a.xlsx has no known format"),
        ({**OWN, "data": ["a.csv"]}, "`data` is a folder or a mapping"),
        ({key: value for key, value in OWN.items() if key != "label"}, "Task 'mine' has no 'label'"),
        ({key: value for key, value in OWN.items() if key != "data"}, "Task 'mine' has no 'data'"),
        ({"name": "stsb", "text": "one"}, "has 2 text(s), but `text` names 1"),
        ({"name": "reviews", "data": "d"}, "makes its own data"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_what_to_do(description: Any, message: str) -> None:
    with pytest.raises(CompressError) as error:
        resolve(description)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_value_that_would_take_hours_to_write_out_is_refused_at_once() -> None:
    bomb: Any = ["x"] * 9
    for _ in range(9):
        bomb = [bomb] * 9
    keys = [*OWN, "kind", "range", "metric", "bad_rows", "holdout", "seed", "limit", "separator", "encoding", "quoting"]
    for key in keys:
        with pytest.raises(CompressError) as error:
            resolve({**OWN, key: bomb})
        assert len(str(error.value)) < 500


def test_a_column_a_label_and_a_task_have_names_that_can_be_shown() -> None:
    for changed in (
        {"text": "x" * 201},
        {"label": ["a"]},
        {"labels": [["a"], "b"]},
        {"name": "x" * 101},
        {"name": "a\nb"},
    ):
        with pytest.raises(CompressError):
            resolve({**OWN, **changed})


def test_labels_are_values_of_the_data_with_their_names() -> None:
    task, _ = resolve({**OWN, "labels": {1: "neg", 2: "neg", 3: "pos"}})
    assert task.label_names == ("neg", "pos")
    assert dict(task.label_values) == {"1": 0, "2": 0, "3": 1}
