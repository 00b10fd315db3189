"""Each known task is plain data that survives a manifest, and costs nothing to list."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from compress.core.errors import CompressError
from compress.data.loading import find, known, resolve
from compress.metrics import metric as metrics
from compress.tasks.task import Task

GLUE = ("ax", "cola", "mnli", "mnli_mismatched", "mrpc", "qnli", "qqp", "rte", "sst2", "stsb", "wnli")


CLASSIFIERS = [name for name in known() if not find(name).is_generative]


def test_all_of_glue_and_the_generated_tasks_are_known() -> None:
    assert sorted((*GLUE, "entities", "reviews", "topics")) == CLASSIFIERS


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_task_is_called_as_its_file_and_scored_by_metrics_of_its_kind(name: str) -> None:
    task = find(name)
    assert task.name == name
    assert task.metrics
    for metric in task.metrics:
        assert task.kind in metrics.find(metric).kinds
    assert bool(task.label_names) == task.law.chooses


@pytest.mark.parametrize("name", known())
def test_a_task_survives_its_manifest(name: str) -> None:
    task = find(name)
    assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task


def test_a_described_task_survives_its_manifest() -> None:
    task, _ = resolve(
        {"name": "mine", "data": {"train": "a.csv"}, "text": ["q", "a"], "label": "y", "labels": ["no", "yes"],
         "limit": {"train": 5}}
    )  # fmt: skip
    assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task


def test_what_is_no_task_is_refused() -> None:
    with pytest.raises(CompressError, match="not written by compress"):
        Task.from_json({"name": "x", "colour": "blue"})


def test_the_official_metrics_decide() -> None:
    decides = {name: find(name).metric for name in GLUE}
    others = dict.fromkeys(("mnli", "mnli_mismatched", "qnli", "rte", "sst2", "wnli"), "accuracy")
    assert decides == {"ax": "matthews", "cola": "matthews", "mrpc": "f1", "qqp": "f1", "stsb": "pearson", **others}


def test_listing_the_tasks_imports_nothing_heavy() -> None:
    names = [f"compress.tasks.{name}" for name in known()]
    heavy = ("torch", "transformers", "datasets", "pandas", "pyarrow", "sklearn", "scipy")
    code = (
        "import importlib, sys\n"
        f"for name in {[*names, 'compress.data.loading']}: importlib.import_module(name)\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
