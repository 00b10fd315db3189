"""Maps a model's outputs to a task's labels: by name, and by position only if the model has no names.

A model with its outputs in another order predicts correctly and is scored wrongly. So names decide. If they do not,
the model is refused and nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError

TRUE, FALSE = frozenset({"true", "yes", "on"}), frozenset({"false", "no", "off"})
POSITIVE, NEGATIVE = frozenset({"positive", "pos"}), frozenset({"negative", "neg"})
NUMBER = r"[+-]?\d+"
SHORTEST = 3
"""The fewest letters of a name that may abbreviate a longer one: `pos` for `positive`."""


def of_config(raw: Mapping[str, Any], folder: Path | str) -> tuple[str, ...]:
    """What a model calls its outputs, in their order; `LABEL_0`, `LABEL_1`, ... where its config does not say.

    Args:
        raw: the model's `config.json`.
        folder: its folder, for messages.

    Raises:
        CompressError: `id2label` does not map 0, 1, ... to names, each its own.
    """
    by_id = raw.get("id2label")
    if by_id is None:
        count = raw.get("num_labels", 2)
        return tuple(f"LABEL_{index}" for index in range(count if isinstance(count, int) and count > 0 else 2))
    try:
        by_number = {int(key): str(name) for key, name in by_id.items()}
    except (AttributeError, TypeError, ValueError):
        by_number = {}
    if not by_number or sorted(by_number) != list(range(len(by_number))):
        raise CompressError(
            f"`id2label` in {folder}/config.json does not name the outputs 0, 1, ... one by one. Correct it, for example "
            '{"0": "negative", "1": "positive"}.'
        )
    names = tuple(by_number[index] for index in sorted(by_number))
    if len(set(names)) < len(names):
        twice = shown([next(name for name in names if names.count(name) > 1)])
        raise CompressError(
            f"`id2label` in {folder}/config.json calls two outputs '{twice}', so predictions would be ambiguous. Give each "
            "its own name."
        )
    return names


def order(names: Sequence[str], task: Any) -> tuple[int, ...] | None:
    """For each label of a task, the model's output with that meaning; None if the names do not say.

    Args:
        names: what the model calls its outputs, see `of_config`, as many as the task has labels.
        task: a `compress.tasks.task.Task`; a regression has one output, and no names.

    >>> from types import SimpleNamespace as Named
    >>> sst2 = Named(label_names=("negative", "positive"), model_labels={})
    >>> [order(names, sst2) for names in (("POS", "NEG"), ("LABEL_0", "LABEL_1"), ("cat", "dog"))]
    [(1, 0), (0, 1), None]
    """
    wanted = tuple(folded(name) for name in task.label_names)
    if not wanted:
        return (0,)
    if len(set(names)) == len(names) and sorted(names) == sorted(task.label_names):
        return tuple(names.index(name) for name in task.label_names)  # `a` and `A` are two labels
    given = {folded(of_model): folded(of_task) for of_model, of_task in task.model_labels.items()}
    own = tuple(folded(name) for name in names)
    for found in (own, tuple(given.get(name, name) for name in own)):
        matched = _by_name(found, wanted)
        if matched is not None:
            return matched
    by_number = _by_number(own, wanted)
    if by_number is not None:
        return by_number
    in_place = tuple(range(len(own)))
    if all(re.fullmatch(rf"(label )?{index}", name) for index, name in enumerate(own)):
        return in_place
    numbered = all(name == str(index) for index, name in enumerate(wanted))
    return in_place if numbered and truth_of(own) != (1, 0) else None  # else 1 is the true one, or the second output


def folded(name: str) -> str:
    """A label's name without case, and with one space where spaces, hyphens or underscores stand; a number keeps its sign.

    >>> folded(" Not_Entailment "), folded("-1")
    ('not entailment', '-1')
    """
    plain = str(name).casefold().strip()
    return plain if re.fullmatch(NUMBER, plain) else re.sub(r"[\s_-]+", " ", plain).strip()


@cache  # it is asked for each row of a file
def truth_of(names: tuple[str, ...], *, strictly: bool = False) -> tuple[int, int] | None:
    """Which of two labels is the false one and which the true one, by their names; None where they do not tell.

    Args:
        names: of the labels, in their order.
        strictly: take truth values alone (`yes`), not names that are like them (`positive`, `not_spam` beside `spam`).

    >>> [truth_of(names) for names in (("yes", "no"), ("negative", "positive"), ("not_spam", "spam"), ("cat", "dog"))]
    [(1, 0), (0, 1), (0, 1), None]
    """
    if len(names) != 2:
        return None
    first, second = (folded(name) for name in names)
    for yes, no in ((TRUE, FALSE), *(() if strictly else ((POSITIVE, NEGATIVE),))):
        if first in no and second in yes:
            return 0, 1
        if first in yes and second in no:
            return 1, 0
    if strictly:
        return None
    negated = [
        first in {f"{no} {second}" for no in ("not", "no", "non")},
        second in {f"{no} {first}" for no in ("not", "no", "non")},
    ]
    return (0, 1) if negated[0] else (1, 0) if negated[1] else None


def refused(folder: Path | str, names: Sequence[str], task: Any) -> CompressError:
    """The error for a model whose names tell nothing about a task's labels, with the two ways to tell it."""
    pairs = ", ".join(
        f"{name[:20]}: {label[:20]}" for name, label in list(zip(names, task.label_names, strict=False))[:2]
    )
    return CompressError(
        f"The model in {folder} calls its outputs {shown(names)}, and the labels of the task {task.name} are "
        f"{shown(task.label_names)}: the names do not match. Choose the task that the model was trained for, or write "
        f"it into the task, for example `model_labels: {{{pairs}}}`."
    )


def shown(names: Sequence[str]) -> str:
    """The first few names in their order, cut where they are long."""
    few = [name if len(name) <= 20 else f"{name[:17]}..." for name in names[:6]]
    return ", ".join(few) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def reordered_message(folder: Path, names: Sequence[str], wanted: Sequence[str]) -> str:
    """What is said where a model's outputs are put in a task's order."""
    return f"{folder.name}: its outputs {shown(names)} are reordered by name to the task's order {shown(wanted)}."


def moved_(model: Any, places: Sequence[int], names: Sequence[str]) -> Any:
    """A classifier whose outputs are in another order, in place, with other names in its config.

    Args:
        model: of transformers; its last layer has a row of weights for each output.
        places: for each new output the one that it was before.
        names: of the new outputs.

    Raises:
        CompressError: its outputs are not those of one linear layer.
    """
    import torch

    body = f"{model.base_model_prefix}."
    heads = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module.out_features == len(places) and not name.startswith(body)
    ]
    if not heads:
        raise CompressError(
            f"The outputs of a {model.config.model_type} cannot be put in the task's order, since its last layer is not a "
            "linear one. Describe the task with `labels` in the model's order."
        )
    _, last = heads[-1]  # a head may have a layer before that is as wide by chance
    rows = torch.tensor(list(places))
    with torch.no_grad():
        for parameter in (last.weight, last.bias):
            if parameter is not None:
                parameter.copy_(parameter[rows].clone())
    named_(model.config, names)
    return model


def named_(config: Any, names: Sequence[str]) -> None:
    """Other names of the outputs in a config, in place."""
    config.id2label = dict(enumerate(names))
    config.label2id = {name: index for index, name in enumerate(names)}


def _by_name(found: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[int, ...] | None:
    """For each wanted name the index of the one with that meaning: the same, the same truth value, or an abbreviation."""
    if len(set(found)) < len(found) or len(found) != len(wanted):
        return None
    if sorted(found) == sorted(wanted):
        return tuple(found.index(name) for name in wanted)
    truths = truth_of(found, strictly=True), truth_of(wanted, strictly=True)
    if truths[0] and truths[1]:
        by_truth = dict(zip(truths[1], truths[0], strict=True))
        return by_truth[0], by_truth[1]
    places = [[place for place, name in enumerate(found) if _is_short_for(name, one)] for one in wanted]
    flat = [place for one in places for place in one]
    return tuple(flat) if all(len(one) == 1 for one in places) and len(set(flat)) == len(flat) else None


def _by_number(found: Sequence[str], wanted: Sequence[str]) -> tuple[int, ...] | None:
    """The same if each name contains one number: `1 star`, `2 stars` for `1`, `2`."""
    numbers = [[re.findall(NUMBER, name) for name in side] for side in (found, wanted)]
    if any(len(one) != 1 for side in numbers for one in side):
        return None
    own, asked = ([int(one[0]) for one in side] for side in numbers)
    if len(set(own)) < len(own) or sorted(own) != sorted(asked):
        return None
    return tuple(own.index(number) for number in asked)


def _is_short_for(first: str, second: str) -> bool:
    short, long = sorted((first, second), key=len)
    return short == long or (len(short) >= SHORTEST and long.startswith(short))
