"""A task that generates its rows also generates texts for a teacher to label, where its generator has any."""

from __future__ import annotations

from pathlib import Path

import pytest

from compress.core.errors import CompressError
from compress.data import unlabelled
from compress.data.corpora.reviews import SIZES, rows
from compress.data.loading import resolve


def test_generated_texts_are_those_of_the_tasks_generator_without_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    task, _ = resolve("reviews")
    file = unlabelled.path_of("generated", task)
    assert file is not None
    texts = [one for (one,) in unlabelled.read(task, file, unlabelled.Skipped())]
    assert texts == [text for text, _ in rows("unlabelled", task.seed)]
    assert len(texts) == SIZES["unlabelled"]


@pytest.mark.parametrize("name", ["topics", "sst2"])
def test_a_task_that_generates_no_texts_says_so(name: str) -> None:
    task, _ = resolve(name)
    with pytest.raises(CompressError, match=r"generates no unlabelled texts.*write \./generated"):
        unlabelled.path_of("generated", task)


def test_any_other_name_is_a_path() -> None:
    task, _ = resolve("reviews")
    assert unlabelled.path_of("./generated", task) == Path("generated")
    assert unlabelled.path_of(None, task) is None
