"""Calibration sets by name: the training rows that static quantization observes, as batches of arrays."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from compress.core import shipped
from compress.core.artifact import digest
from compress.core.errors import CompressError
from compress.core.labels import TARGETS
from compress.core.progress import say
from compress.core.settings import Settings, build, read_yaml
from compress.data.collate import collate_causal, collate_of, collate_pairs
from compress.data.model_rows import Row, batches, model_rows
from compress.data.tokenized import tokens
from compress.models.reading_length import cut_at
from compress.tasks.task import DescribedTask, Task


class CalibrationSet(Settings):
    """The content of a file in `calibration/`."""

    task: str = Field("own", description="The task whose rows are read; `own` is the artifact's.")
    split: Literal["train"] = Field("train", description="Always the training split, never what is evaluated.")
    count: int = Field(256, ge=1, description="How many rows.")
    seed: int = Field(0, ge=0, description="Which rows.")
    max_length: int = Field(128, ge=4, description="Maximum number of tokens of a row.")


def find(name: str) -> CalibrationSet:
    """The calibration set of that name, or in that YAML file.

    Raises:
        CompressError: there is none, or its file has a mistake.
    """
    file = shipped.find("calibration", name)
    values, lines = read_yaml(file)
    return build(CalibrationSet, values, str(file), lines)


def needed(name: str, described: DescribedTask | None) -> DescribedTask:
    """The task whose rows a set reads; raises a CompressError where there is none."""
    if described is None:
        raise CompressError(
            f"The calibration set '{name}' reads a task's rows. Name the task: `--task sst2 --data DIR`."
        )
    return described


def check(name: str, described: DescribedTask | None) -> None:
    """Raises a CompressError where the set does not exist or is of another task than the artifact."""
    wanted, described = find(name).task, needed(name, described)
    if wanted not in ("own", described.task.name):
        raise CompressError(
            f"The calibration set '{name}' is of the task {wanted}, but this model's task is {described.task.name}. "
            "Use `task-256`, which reads the model's own."
        )


def identity(name: str, described: DescribedTask) -> dict[str, Any]:
    """The identity of the set, for manifests and fingerprints: its settings and the identity of the split it draws from.

    Raises:
        CompressError: see `compress.data.leakage.check`.
    """
    from compress.data import leakage

    chosen = find(name)
    task, data = described.task, described.data
    split = _split(name, task, data)
    leakage.check(task, data)
    return {"set": Path(name).name, **chosen.model_dump(), "from": split.identity}


def rows(name: str, described: DescribedTask, its_tokenizer: Any, config: Any, *, labels: bool = False) -> list[Row]:
    """The rows of a set as a model reads them, see `compress.data.model_rows`.

    They are drawn by a seeded hash of their content, so the order of the file does not matter. They are cut at the set's
    `max_length`, or at what the model reads at most; sources and references where the task cuts them. For language modelling
    there are windows of `max_length` tokens, as many as the set has rows; with labels all its blocks.
    """
    chosen, task = find(name), described.task
    length = None if task.is_generative and task.of_kind.has_references else chosen.max_length
    found = model_rows(drawn(name, described), task, its_tokenizer, config, length=length, labels=labels)
    if found.cut and not task.is_generative:
        most = cut_at(chosen.max_length, its_tokenizer, config)
        say(f"{found.cut} of {len(found.rows)} calibration rows are longer than {most} tokens and were cut.")
    return found.rows if labels else found.rows[: chosen.count]


def tensors(
    name: str, described: DescribedTask, its_tokenizer: Any, config: Any, *, labels: bool = False
) -> list[dict[str, Any]]:
    """The rows of a set as padded batches of like length, name -> tensor [batch, length].

    Args:
        config: of the model that reads them.
        labels: whether `labels` are there as well: [batch], [batch, labels] or [batch, length] as the task is. Those of a
            generative task always are, -100 where none counts.
    """
    import torch

    generates = described.task.is_generative
    if described.task.of_kind.collate is not None:
        return _collated(name, described, its_tokenizer, config, labels=labels)
    encoded = rows(name, described, its_tokenizer, config, labels=labels or generates)
    if generates:  # the longest first: what memory they take is known at once
        collate = collate_pairs if config.is_encoder_decoder else collate_causal
        ordered: list[Mapping[str, Any]] = sorted(encoded, key=lambda row: -len(row["input_ids"]))
        return [collate(ordered[start : start + 8], its_tokenizer, {}) for start in range(0, len(ordered), 8)]
    names = {*its_tokenizer.model_input_names, *TARGETS}
    return [
        {key: torch.from_numpy(values) for key, values in batch.items() if key in names}
        for batch in batches(encoded, 32, its_tokenizer.pad_token_id or 0)
    ]


def _collated(
    name: str, described: DescribedTask, its_tokenizer: Any, config: Any, *, labels: bool
) -> list[dict[str, Any]]:
    """The same of a kind that makes its own batches; rows of one key stay in one of them."""
    kind, chosen = described.task.of_kind, find(name)
    found = list(tokens(drawn(name, described), its_tokenizer, config, chosen.max_length, kind).rows)
    groups: dict[Hashable, list[Any]] = {}
    for number, row in enumerate(found):
        groups.setdefault(number if kind.together is None else kind.together(row), []).append(row)
    ordered = sorted(groups.values(), key=lambda some: max(len(row["input_ids"]) for row in some))
    size = max(1, 32 * len(groups) // max(len(found), 1))
    its_collate = collate_of(kind)
    made = [
        its_collate([row for some in ordered[start : start + size] for row in some], its_tokenizer, {})
        for start in range(0, len(ordered), size)
    ]
    return [{key: value for key, value in batch.items() if labels or key not in TARGETS} for batch in made]


def _split(name: str, task: Task, data: Any) -> Any:
    """The split that a set draws from.

    Raises:
        CompressError: the task has none.
    """
    from compress.data import loading

    try:
        return loading.load(task, data, find(name).split)
    except loading.NoSuchSplit as error:
        raise CompressError(
            f"The calibration set '{name}' reads training rows, and the task {task.name} has none here. Add `train: FILE` "
            "to its `data`, or choose a mode without calibration: --mode dynamic, or weight-only."
        ) from error


def drawn(name: str, described: DescribedTask) -> Any:
    """The rows of a set as the task has them: `text`, `label`, `row_hash`."""

    chosen = find(name)
    task, data = described.task, described.data
    split = _split(name, task, data)
    hashes = split.rows["row_hash"]
    order = sorted(range(len(split.rows)), key=lambda place: (digest([chosen.seed, hashes[place]]), place))
    return split.rows.select(sorted(order[: chosen.count]))
