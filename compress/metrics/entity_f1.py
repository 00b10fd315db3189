"""Entity F1: the harmonic mean of precision and recall of named entities, 0..1, counted as seqeval and conlleval do.

An entity is right where its type, its first word and its last word are. All entities of all sentences count alike (micro F1).
Entities are read from tags of any usual scheme (IOB1, IOB2, IOE, IOBES, IO) as leniently as `seqeval` does by default and as
`conlleval` did in CoNLL's shared tasks: an `I-PER` that follows another type, or nothing, begins an entity as well.
Ramshaw and Marcus, "Text chunking using transformation-based learning", 1995, for the tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from compress.core.labels import NO_LABEL
from compress.metrics.metric import Metric, Statistics, TaskFacts, as_table, paired, ratio_of

COLUMNS = ("twice_right", "predicted_and_references")
OUTSIDE = ("O", "_")

Tag = tuple[str, str]
"""The position within an entity (B, I, E, S, ...; O: outside) and the entity's type."""
Entity = tuple[str, int, int]
"""Its type, its first word and its last one."""


def read_tag(name: str) -> Tag:
    """The parts of a tag's name.

    A name without a position (`PER`, of the scheme IO) is taken for `I-PER`; seqeval would cut off its first letter.

    >>> [read_tag(name) for name in ("B-PER", "O", "I", "person-actor")]
    [('B', 'PER'), ('O', '_'), ('I', '_'), ('I', 'person-actor')]
    """
    if len(name) == 1:
        return name, "_"
    return (name[0], name[2:] or "_") if name[1] == "-" else ("I", name)


def entities(tags: Iterable[Tag]) -> list[Entity]:
    """The entities of a sentence, in order.

    >>> entities(map(read_tag, ["B-PER", "I-PER", "O", "I-LOC", "B-LOC"]))
    [('PER', 0, 1), ('LOC', 3, 3), ('LOC', 4, 4)]
    """
    found, start = [], 0
    before, type_before = OUTSIDE
    for place, (position, type_here) in enumerate([*tags, OUTSIDE]):
        if _ends(before, position) or (before != "O" and type_before != type_here):
            found.append((type_before, start, place - 1))
        if _begins(before, position) or (position != "O" and type_before != type_here):
            start = place
        before, type_before = position, type_here
    return found


def _ends(before: str, position: str) -> bool:
    """Whether an entity ended before this word, by the two positions alone."""
    return before in ("E", "S") or (before in ("B", "I") and position in ("B", "S", "O"))


def _begins(before: str, position: str) -> bool:
    """Whether one begins with this word, by the two positions alone."""
    return position in ("B", "S") or (before in ("E", "S", "O") and position in ("E", "I"))


def entity_f1(label_names: Sequence[str]) -> Metric:
    """The metric for tag ids.

    Args:
        label_names: the names of the tags, in id order.
    """
    tags = [read_tag(name) for name in label_names]

    def of_ids(ids: Iterable[int]) -> set[Entity]:
        return set(entities(OUTSIDE if one == NO_LABEL else tags[one] for one in ids))

    def statistics(predicted: Sequence[Any], labels: Sequence[Any]) -> Statistics:
        """Twice the entities that are right, and how many are predicted and how many there are, [examples, 2].

        Args:
            predicted: for each sentence the id of each word's tag, [words]; -100 where none was predicted (a word beyond the
                longest input), which is outside of any entity.
            labels: the right ones, [words]; -100 where a word does not count.

        Raises:
            ValueError: a sentence's two arrays are not of one length.
        """
        rows = []
        for number, (own, right) in enumerate(paired(predicted, labels)):
            ids, wanted = np.asarray(own, dtype=np.int64), np.asarray(right, dtype=np.int64)
            if ids.shape != wanted.shape or ids.ndim != 1:
                raise ValueError(f"Example {number}: tags of {ids.shape} and of {wanted.shape} words.")
            counted = wanted != NO_LABEL
            here, there = of_ids(ids[counted].tolist()), of_ids(wanted[counted].tolist())
            rows.append((2.0 * len(here & there), float(len(here) + len(there))))
        return as_table(rows, COLUMNS)

    return replace(METRIC, statistics=statistics)


def _needs_names(*_: Any) -> Statistics:
    raise ValueError("Entity F1 reads tags by their names: call `for_task` with the task.")


def _of_task(task: TaskFacts) -> Metric:
    return entity_f1(task.label_names)


METRIC = Metric(
    name="entity_f1",
    title="entity F1",
    kinds=("token_classification",),
    statistics=_needs_names,
    of_sums=ratio_of,
    signature=lambda: "average:micro|mode:default|as:seqeval-1.2.2",
    made_for=_of_task,
)
