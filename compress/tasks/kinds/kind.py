"""A kind of task: which models do it, what their outputs mean, and how outputs become predictions.

Nothing outside this folder compares the names of kinds: what differs between two of them is asked of the kind.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from compress.core.errors import CompressError, guess, listing
from compress.tasks.kinds.answers import Answers, Batch, Outputs, marked
from compress.tasks.kinds.laws import Law
from compress.tasks.kinds.template import Template
from compress.tasks.kinds.trivial import Trivial

Predictions = Sequence[Any] | NDArray[Any]
"""One an example: class ids or numbers, or an array of tag ids or labels, a text, an order; as the kind's metrics take them."""
Encode = Callable[[Mapping[str, Sequence[Any]], Any, int, dict[str, int]], dict[str, list[Any]]]
MARK = re.compile(r"^KIND\b.*=", re.MULTILINE)
GROUP = "compress.task_kinds"
"""The group of entry points by which another package brings kinds: `my-kind = "my_package.my_kind:KIND"`."""


@dataclass(frozen=True)
class Output:
    """One output of a model."""

    name: str
    """As transformers names it in what the model gives: `logits`, `start_logits`. It is exported, served and compared by it."""
    of: Literal["row", "word", "token"] = "row"
    """What it has an entry for. Of a row it is [batch, ...]; of a word, at the first of its tokens, or of a token it is
    [batch, tokens, ...]."""


@dataclass(frozen=True)
class Inference:
    """A model's outputs for some examples, as NumPy arrays."""

    outputs: Mapping[str, NDArray[np.float32]]
    """By name, one row's after the other's: [rows, ...], [words, ...] or [tokens, ...], see `Output.of`."""
    rows: Any
    """What it read, a `compress.runtimes.rows.Rows`; an example may have several rows (windows, candidates)."""
    texts: Mapping[str, Sequence[Any]]
    """The examples as they were loaded: `text`, and what the kind's reader knows besides."""
    law: Law
    names: Sequence[str] = ()
    """What the model calls its outputs (`id2label`)."""
    kept: Mapping[str, Any] = field(default_factory=dict)
    """The artifact's facts, in which what `Kind.fitted` chose is kept."""


def decided(inference: Inference) -> Predictions:
    """The prediction of each example whose single output has one answer a row."""
    (values,) = inference.outputs.values()
    return inference.law.decide(values)


@dataclass(frozen=True)
class Kind:
    """One kind of task, and the models that do it."""

    name: str
    """As the hub names it: `text-classification`."""
    laws: Mapping[str, Law]
    """The values of `Task.kind` that are of this kind, each with the law of its answers."""
    heads: tuple[str, ...]
    """How transformers ends the names of the classes that do it (`ForSequenceClassification`)."""
    auto_class: str
    """The class that opens such a model: of transformers by its name alone, another as `package.module:Class`. It has
    `from_pretrained` and `from_config`."""
    in_words: str
    """Within a sentence: `sequence classification`."""
    claims: Callable[[Mapping[str, Any]], bool] | None = None
    """Whether a model with this `config.json` is one, where its head does not tell: it is asked before heads are."""
    law_by: Callable[[Mapping[str, Any]], Law] | None = None
    """The law of a model's answers by its `config.json`; None for the first of `laws`."""
    outputs: tuple[Output, ...] = (Output("logits"),)
    """What is exported, served and compared."""
    answers: Callable[[Outputs, Batch], Answers] = marked
    """(outputs by name, batch) -> the answers that losses, soft targets and importance are made of. What a teacher gave comes as
    the same outputs. `compress.core.labels` tells what a batch holds beside what the model reads."""
    batch_loss: Callable[[Outputs, Batch], Any] | None = None
    """(outputs, batch) -> a loss of the batch as a whole, a scalar, which is added to that of the answers (in-batch negatives).
    Gradients are not accumulated then, since several batches are not one."""
    together: Callable[[Mapping[str, Any]], Hashable] | None = None
    """(feature) -> a key; features of one key stand in one batch, and a batch size counts keys (a query's candidates)."""
    encode: Encode | None = None
    """(examples, tokenizer, max_length, counts) -> features, column by column: what the model reads (by the tokenizer's names),
    `labels`, and whatever else `collate` and `judge` need of each; an example may give several features. `counts` holds how many
    were `truncated`, and the `longest`. None for texts or words and their labels, see `compress.data.tokens.encoded`."""
    collate: Callable[[list[Mapping[str, Any]], Any], dict[str, Any]] | None = None
    """(features, tokenizer) -> a padded batch of tensors: what the model reads, `labels`, and what `answers` needs besides, under
    names that begin with `about.` (`compress.core.labels`). None for `compress.data.collate.collate`."""
    judge: Callable[[Inference], Predictions] = decided
    """What the model gave -> one prediction an example (joins windows, decodes tags, applies thresholds). NumPy alone."""
    fitted: Mapping[Law, Callable[[Inference, Any], Mapping[str, Any]]] = field(default_factory=dict)
    """Of answers under a law: (what the model gave for held-out rows, their labels) -> facts that the artifact keeps
    (thresholds). NumPy alone."""
    probabilities: Callable[[Inference], NDArray[np.float64]] | None = None
    """What the model gave -> the probability of each class, or of each label by itself, [examples, outputs]: calibration is
    measured by it. For kinds with one answer an example, and asked under laws that choose. NumPy alone."""
    trivial: Mapping[str, Sequence[Trivial]] = field(default_factory=dict)
    """Predictions without a model, which a model must beat, for each value of `Task.kind`; none where a kind has no sensible
    one."""
    present: Callable[[Inference], Iterator[dict[str, Any]]] | None = None
    """What the model gave -> what `compress predict` prints of each example; None for the prediction alone."""
    answer_columns: Mapping[str, str] = field(default_factory=dict)
    """The column of another model's answers in a file (`distill --teacher-answers`), as `present` calls it, for each value of
    `Task.kind`. None for kinds whose answers are neither labels of a row or of its words nor a text."""
    generates: bool = False
    """Whether its models generate text: exported with a cache of keys and values, measured by tokens."""
    has_encoder: bool = False
    """Of a kind that generates: whether an encoder reads the source (encoder-decoder), or a decoder alone reads all."""
    has_references: bool = True
    """Of a kind that generates: whether a row has a text to be written, rather than being learned itself."""
    templates: Mapping[str, Template] = field(default_factory=dict)
    """What a task of one's own is made from, for each value of `Task.kind` that a user may give it."""
    problem_types: Mapping[str, str] = field(default_factory=dict)
    """What `problem_type` in a model's config is for each value of `Task.kind`."""
    adapter_type: str = ""
    """What PEFT calls it, in the `task_type` of an adapter's config."""

    @property
    def reads_words(self) -> bool:
        """Whether an example is a list of words with an answer for each."""
        return any(one.of == "word" for one in self.outputs)

    def law_of(self, config: Mapping[str, Any]) -> Law:
        """How the answers of a model with this `config.json` are to be read."""
        return next(iter(self.laws.values())) if self.law_by is None else self.law_by(config)

    def named(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Its outputs among all that a model of transformers gives."""
        return {one.name: found[one.name] for one in self.outputs}


@cache
def every() -> tuple[Kind, ...]:
    """All kinds: a file here with a `KIND` is one, in the order of names, and then those that other packages bring.

    Raises:
        CompressError: another package's cannot be imported, or has the name or the tasks of one that is there.
    """
    files = [file for file in sorted(Path(__file__).parent.glob("*.py")) if MARK.search(file.read_text("utf-8"))]
    found: list[Kind] = [importlib.import_module(f"compress.tasks.kinds.{file.stem}").KIND for file in files]
    for point in entry_points(group=GROUP):
        try:
            kind = point.load()
        except Exception as error:  # whatever another package raises while it is imported
            raise CompressError(
                f"The kind of task '{point.name}' cannot be imported from {point.value} ({error}). Mend or remove that package."
            ) from error
        if any(kind.name == one.name or kind.laws.keys() & one.laws.keys() for one in found):
            raise CompressError(
                f"{point.value} brings the kind of task '{kind.name}' ({listing(kind.laws)}), which there is already. Rename it."
            )
        found.append(kind)
    return tuple(found)


@cache
def templates() -> dict[str, Template]:
    """How a task config is read, by each value of `Task.kind` that it may have."""
    return {name: how for one in every() for name, how in one.templates.items()}


def of_tasks() -> tuple[str, ...]:
    """All values of `Task.kind`."""
    return tuple(name for one in every() for name in one.laws)


def by_task(kind: str) -> Kind:
    """The kind of a value of `Task.kind`.

    Raises:
        CompressError: there is no such value; lists those there are, and a guess.
    """
    for one in every():
        if kind in one.laws:
            return one
    known = of_tasks()
    raise CompressError(f"Unknown kind of task '{kind}'.{guess(kind, known)} There are: {listing(known)}.")


def by_config(config: Mapping[str, Any]) -> Kind | None:
    """The kind that claims models with this `config.json`, whatever their head; None where none does."""
    return next((one for one in every() if one.claims is not None and one.claims(config)), None)


def by_head(classes: Sequence[str]) -> Kind | None:
    """The kind whose models were saved from one of these classes of transformers; None where they are of none of them."""
    for one in every():
        if any(name.endswith(head) for name in classes for head in one.heads):
            return one
    return None


def by_adapter(task_type: str) -> Kind:
    """The kind of head that an adapter belongs to, by PEFT's `task_type`; a classifier of texts where it says none."""
    known = {one.adapter_type: one for one in every() if one.adapter_type}
    return known.get(task_type, known["SEQ_CLS"])
