"""A task's lengths fit what a model reads, and are left alone where they do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from compress.data.description import find
from compress.data.max_lengths import fitted
from compress.models.reading_length import positions as longest
from compress.tasks.task import Task


def _task(source: int, target: int) -> Task:
    task = find("samsum")
    assert task.generation is not None
    return replace(task, generation=replace(task.generation, max_source=source, max_target=target))


def _lengths(task: Task) -> tuple[int, int]:
    assert task.generation is not None
    return task.generation.max_source, task.generation.max_target


def _config(family: str, **settings: Any) -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(family, **settings)


@pytest.mark.parametrize(
    ("family", "settings", "asked", "wanted"),
    [
        ("bart", {"max_position_embeddings": 100}, (512, 128), (100, 100)),  # a table for each side
        ("bart", {"max_position_embeddings": 600}, (512, 128), (512, 128)),
        ("gpt2", {"n_positions": 512}, (512, 128), (384, 128)),  # one for both
        ("gpt2", {"n_positions": 100}, (512, 128), (50, 50)),
        ("llama", {"max_position_embeddings": 640}, (512, 128), (512, 128)),
        ("t5", {}, (5000, 1000), (5000, 1000)),  # relative positions have no end
        ("bloom", {}, (5000, 1000), (5000, 1000)),
    ],
)
def test_source_and_target_fit_the_models_table_of_positions(
    family: str, settings: dict[str, Any], asked: tuple[int, int], wanted: tuple[int, int]
) -> None:
    task = _task(*asked)
    found = fitted(task, _config(family, **settings))
    assert _lengths(found) == wanted
    assert (found is task) == (asked == wanted)


def test_a_model_without_a_table_has_no_longest() -> None:
    assert longest(_config("t5")) is None
    assert longest(_config("bloom")) is None
    assert longest(_config("gpt2", n_positions=77)) == 77
