"""A calibration set by name: which rows of the training split a static quantization sees, as batches of arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from compress.core import shipped
from compress.core.artifact import digest
from compress.core.errors import CompressError
from compress.core.labels import ANSWERED, LABELS, NO_LABEL, TARGETS
from compress.core.progress import say
from compress.core.settings import Settings, build, read_yaml
from compress.data.word_pieces import WORD_IDS, word_starts
from compress.models.reading_length import cut_at
from compress.tasks.task import DescribedTask


class CalibrationSet(Settings):
    """What a file in `calibration/` says."""

    task: str = Field("own", description="The task whose rows are read; `own` is the artifact's.")
    split: Literal["train"] = Field("train", description="Always the training split, never what is evaluated.")
    count: int = Field(256, ge=1, description="How many rows.")
    seed: int = Field(0, ge=0, description="Which rows.")
    max_length: int = Field(128, ge=4, description="Tokens after which a row is cut.")


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
    """What the set is, for manifests and fingerprints: its settings and the identity of the split it draws from.

    Raises:
        CompressError: see `compress.data.leakage.check`.
    """
    from compress.data import leakage

    chosen = find(name)
    task, data = described.task, described.data
    split = _split(name, task, data)
    leakage.check(task, data)
    return {"set": Path(name).name, **chosen.model_dump(), "from": split.identity}


def tensors(
    name: str, described: DescribedTask, its_tokenizer: Any, config: Any, *, labels: bool = False
) -> list[dict[str, Any]]:
    """The rows of a set as padded batches of what a model reads, name -> tensor [batch, length].

    Args:
        config: of the model that reads them.
        labels: whether `labels` are there as well: [batch], [batch, labels] or [batch, length] as the task is.
    """
    import torch

    names = {*its_tokenizer.model_input_names, *TARGETS}
    encoded = rows(name, described, its_tokenizer, config, labels=labels)
    return [
        {key: torch.from_numpy(values) for key, values in batch.items() if key in names}
        for batch in batches(encoded, 32, its_tokenizer.pad_token_id or 0)
    ]


def rows(
    name: str, described: DescribedTask, its_tokenizer: Any, config: Any, *, labels: bool = False
) -> list[dict[str, np.ndarray]]:
    """The encoded rows of a set, each name -> [length], and `labels` where asked for: [], [labels] or [length] as the task is.

    They are drawn by a seeded hash of their content, so the order of the file does not matter. They are cut at the set's
    `max_length`, or at what the model reads at most.
    """
    from compress.data import loading

    found = loading.tokenize(
        drawn(name, described), its_tokenizer, cut_at(find(name).max_length, its_tokenizer, config)
    )
    tokenized = found.rows
    if found.truncated:
        say(
            f"{found.truncated} of {len(tokenized)} calibration rows are longer than {found.max_length} tokens and were cut."
        )
    if not labels:
        return [model_inputs(row, its_tokenizer) for row in tokenized]
    return [{**model_inputs(row, its_tokenizer), **targets(row)} for row in tokenized]


def targets(row: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The labels of a tokenized row: [], [labels], or [length] with the tokens that are answers."""
    if WORD_IDS in row:
        answered = word_starts(row[WORD_IDS]).astype(np.int64)
        return {LABELS: np.asarray(row[LABELS], np.int64), ANSWERED: answered}
    label = np.asarray(row["label"])
    return {LABELS: label.astype(np.float32) if label.dtype.kind == "f" else label}


def _split(name: str, task: Any, data: Any) -> Any:
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
            "to its `data`, or choose what needs no rows: --mode dynamic, or weights alone."
        ) from error


def drawn(name: str, described: DescribedTask) -> Any:
    """The rows of a set as the task has them: `text`, `label`, `row_hash`."""

    chosen = find(name)
    task, data = described.task, described.data
    split = _split(name, task, data)
    hashes = split.rows["row_hash"]
    order = sorted(range(len(split.rows)), key=lambda place: (digest([chosen.seed, hashes[place]]), place))
    return split.rows.select(sorted(order[: chosen.count]))


def prompts(name: str, described: DescribedTask, its_tokenizer: Any, config: Any) -> list[np.ndarray]:
    """What a model that writes text is given to write from: the sources of a set's rows as token ids, [length] each.

    A source is as long as the task lets it be (`max_source`); of language modelling's text there are as many windows of
    `max_length` tokens as the set has rows.
    """
    from compress.data import prompts as of

    chosen = find(name)
    task = described.task
    tokens = chosen.max_length if not task.of_kind.has_references else None
    return of.prompts(drawn(name, described), task, its_tokenizer, config, tokens=tokens)[: chosen.count]


def model_inputs(row: Mapping[str, Any], its_tokenizer: Any) -> dict[str, np.ndarray]:
    """A tokenized row as a graph takes it, name -> [length].

    Segments are all 0 where the tokenizer tells none, which is what the models themselves assume.
    """
    names = [name for name in its_tokenizer.model_input_names if name in row]
    inputs = {name: np.asarray(row[name], dtype=np.int64) for name in names}
    return {"token_type_ids": np.zeros_like(inputs["input_ids"]), **inputs}


def batches(
    encoded: list[dict[str, np.ndarray]], batch_size: int, pad_token_id: int
) -> Iterator[dict[str, np.ndarray]]:
    """Batches of rows of like length, name -> [batch, length], padded as in use."""
    by_length = sorted(encoded, key=lambda row: len(row["input_ids"]))
    for start in range(0, len(by_length), batch_size):
        part = by_length[start : start + batch_size]
        longest = max(len(row["input_ids"]) for row in part)
        fill = {"input_ids": pad_token_id, LABELS: NO_LABEL}
        yield {name: np.stack([_padded(row[name], longest, fill.get(name, 0)) for row in part]) for name in part[0]}


def _padded(value: np.ndarray, longest: int, fill: int) -> np.ndarray:
    """Values by token as long as the longest row; a class id, a score and a set of labels (floats) stay as they are."""
    by_token = value.ndim and value.dtype.kind == "i"
    return np.pad(value, (0, longest - len(value)), constant_values=fill) if by_token else value
