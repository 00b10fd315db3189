"""Encoded examples of different lengths: kept as arrays, batched with padding, and predicted in their original order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from compress.core.errors import CompressError
from compress.data.word_pieces import WORD_IDS, word_starts
from compress.runtimes.runtime import LOGITS, Outputs, Session, logits_of
from compress.tasks.kinds import Kind, Output


@dataclass(frozen=True)
class Rows:
    """Encoded examples.

    `columns` holds, for each model input, one array [length] for each example; an example's length is the same in all
    its columns.
    """

    columns: Mapping[str, tuple[NDArray[np.int64], ...]]
    padding: Mapping[str, int]
    """What a column is padded with; 0 where it is not named."""
    side: Literal["right", "left"] = "right"
    """Where the padding stands: on the left of what a decoder continues."""
    answers_at: tuple[NDArray[np.int64], ...] | None = None
    """Where in each example the tokens stand that are answers, one array [answers] each; None where an example is one answer."""

    answer_words: tuple[NDArray[np.int64], ...] | None = None
    """Which word of the example each of these answers is of, [answers] each."""
    about: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """What else a kind's `encode` says of each of them, for its `judge`: which example a window is of, where its tokens stand."""

    @staticmethod
    def encode(
        columns: Mapping[str, Sequence[Sequence[int]]],
        pad_token_id: int = 0,
        word_ids: Sequence[Sequence[int]] | None = None,
        about: Mapping[str, Sequence[Any]] | None = None,
    ) -> Rows:
        """The columns that a tokenizer gives, each one list of token ids for each example.

        Args:
            word_ids: the place of each token's word in its example, below 0 for special tokens: each word's first token is an
                answer then.
            about: what else there is of each, kept as it is.
        """
        arrays = {name: tuple(np.asarray(row, dtype=np.int64) for row in rows) for name, rows in columns.items()}
        if word_ids is None:
            return Rows(arrays, {"input_ids": pad_token_id}, about=about or {})
        ids = [np.asarray(row, dtype=np.int64) for row in word_ids]
        at = tuple(np.flatnonzero(word_starts(row)) for row in ids)
        words = tuple(row[places] for row, places in zip(ids, at, strict=True))
        return Rows(arrays, {"input_ids": pad_token_id}, answers_at=at, answer_words=words, about=about or {})

    @staticmethod
    def of_prompts(ids: Sequence[NDArray[np.int64]], pad_token_id: int = 0, *, side: Literal["right", "left"]) -> Rows:
        """What a generative model reads, as token ids [length] each, with a mask; what fills the gaps is masked."""
        rows = tuple(np.asarray(row, np.int64) for row in ids)
        columns = {"input_ids": rows, "attention_mask": tuple(map(np.ones_like, rows))}
        return Rows(columns, {"input_ids": pad_token_id}, side)

    def __len__(self) -> int:
        return len(self.columns["input_ids"])

    def chosen(self, numbers: Sequence[int]) -> Rows:
        """The examples with these numbers, in this order."""
        at, words = self.answers_at, self.answer_words
        return replace(
            self,
            columns={name: tuple(rows[one] for one in numbers) for name, rows in self.columns.items()},
            answers_at=None if at is None else tuple(at[one] for one in numbers),
            answer_words=None if words is None else tuple(words[one] for one in numbers),
            about={name: [told[one] for one in numbers] for name, told in self.about.items()},
        )

    def lengths(self) -> NDArray[np.int64]:
        """The number of tokens of each example, [examples]."""
        return np.array([len(row) for row in self.columns["input_ids"]], dtype=np.int64)

    def batch(self, numbers: Sequence[int] | NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """The examples with these numbers, padded to the longest of them: name -> [batch, length]."""
        width = max(len(self.columns["input_ids"][i]) for i in numbers)
        feeds = {}
        for name, rows in self.columns.items():
            values = np.full((len(numbers), width), self.padding.get(name, 0), dtype=np.int64)
            for line, number in enumerate(numbers):
                values[line, self.tokens(number, width)] = rows[number]
            feeds[name] = values
        return feeds

    def by_length(self, batch_size: int) -> Iterator[NDArray[np.int64]]:
        """The examples' numbers in batches of similar length, so that there is little padding; the same at every call."""
        order = np.argsort(self.lengths(), kind="stable")
        for start in range(0, len(order), batch_size):
            yield order[start : start + batch_size]

    def tokens(self, number: int, width: int) -> slice:
        """The positions of an example's own tokens in a batch of this width."""
        length = len(self.columns["input_ids"][number])
        return slice(0, length) if self.side == "right" else slice(width - length, width)

    def filled(self, batch: int, length: int, start: int = 0) -> dict[str, NDArray[np.int64]]:
        """A batch of full rows without padding: the examples' own tokens, from number `start` on, one after another.

        Returns:
            Name -> [batch, length]; every position is attended to and belongs to the first segment.
        """
        tokens: list[NDArray[np.int64]] = []
        number, missing = start, batch * length
        while missing > 0:
            row = self.columns["input_ids"][number % len(self)][:length]
            tokens.append(row)
            missing -= len(row)
            number += 1
        ids = np.concatenate(tokens)[: batch * length].reshape(batch, length)
        constant = {"attention_mask": 1}
        return {
            name: ids if name == "input_ids" else np.full((batch, length), constant.get(name, 0), dtype=np.int64)
            for name in self.columns
        }

    def arrays(self) -> dict[str, NDArray[np.int64]]:
        """The rows as flat arrays, for a file; `from_arrays` reverses it."""
        flat = {f"column/{name}": np.concatenate(rows) for name, rows in self.columns.items()}
        pads = {f"padding/{name}": np.array(value, dtype=np.int64) for name, value in self.padding.items()}
        found = {"lengths": self.lengths(), "is_left": np.array(self.side == "left"), **flat, **pads}
        if self.answers_at is not None:
            found["answers"] = np.array([len(one) for one in self.answers_at], dtype=np.int64)
            found["answers_at"] = np.concatenate(self.answers_at)
        return found

    @staticmethod
    def from_arrays(arrays: Mapping[str, Any]) -> Rows:
        """The rows that `arrays` wrote."""
        ends = np.cumsum(arrays["lengths"])[:-1]
        columns = {
            key.removeprefix("column/"): tuple(np.split(value, ends))
            for key, value in arrays.items()
            if key.startswith("column/")
        }
        padding = {
            key.removeprefix("padding/"): int(value) for key, value in arrays.items() if key.startswith("padding/")
        }
        at = None
        if "answers_at" in arrays:
            at = tuple(np.split(arrays["answers_at"], np.cumsum(arrays["answers"])[:-1]))
        return Rows(columns, padding, "left" if "is_left" in arrays and bool(arrays["is_left"]) else "right", at)


def encoded_rows(
    kind: Kind, examples: Mapping[str, Sequence[Any]], tokenizer: Any, max_length: int, counts: dict[str, int]
) -> Rows:
    """Examples as a model of a kind reads them.

    Args:
        examples: `text` and what else there is of each, column by column.
        counts: `truncated` and `longest` are kept up to date in it.

    Raises:
        CompressError: the tokenizer fails.
    """
    from compress.data.tokens import encoded

    columns = (kind.encode or encoded)(examples, tokenizer, max_length, counts)
    word_ids = columns.pop(WORD_IDS, None)
    read = {name: columns.pop(name) for name in tokenizer.model_input_names if name in columns}
    return Rows.encode(read, tokenizer.pad_token_id or 0, word_ids, columns)


def of_tokenized(tokenized: Any, tokenizer: Any, kind: Kind) -> Rows:
    """Rows of a kind that were tokenized before (`compress.data.loading.tokenize`), as a model reads them."""
    there = tokenized.column_names
    names = [name for name in tokenizer.model_input_names if name in there]
    word_ids = tokenized[WORD_IDS][:] if WORD_IDS in there else None
    others = () if kind.encode is None else set(there) - {*names, WORD_IDS}
    columns, about = ({name: tokenized[name][:] for name in some} for some in (names, others))
    return Rows.encode(columns, tokenizer.pad_token_id or 0, word_ids, about)


ONE = (Output(LOGITS),)


def predict_all(
    session: Session,
    rows: Rows,
    batch_size: int = 32,
    done: Callable[[int], None] | None = None,
    outputs: Sequence[Output] = ONE,
) -> dict[str, NDArray[np.float32]]:
    """What a model gives by the names of its outputs, in the rows' own order: one entry a row, a word or a token, as each
    output has it; [rows, ...], [words, ...] or [tokens of all rows, ...].

    With dynamic quantization an example's logits depend slightly on its batch: see `Rows.by_length`.

    Args:
        session: an open model.
        rows: at least one example.
        batch_size: examples in a batch, 1 or more.
        done: told how many examples each batch finished.
        outputs: those of the model's kind.

    Raises:
        CompressError: the model lacks one of several outputs.
    """
    if not len(rows):
        raise ValueError("there are no examples to predict")
    found: dict[str, list[Any]] = {one.name: [None] * len(rows) for one in outputs}
    for numbers in rows.by_length(batch_size):
        feeds = rows.batch(numbers)
        given = session.predict(feeds)
        width = feeds["input_ids"].shape[1]
        for output in outputs:
            part = given_by_name(given, output.name, len(outputs))
            for line, number in enumerate(numbers):
                found[output.name][number] = _of_row(part, line, rows, int(number), output, width)
        if done is not None:
            done(len(numbers))
    return {name: np.concatenate(parts).astype(np.float32, copy=False) for name, parts in found.items()}


def given_by_name(given: Outputs, name: str, count: int) -> NDArray[np.float32]:
    """One of a model's outputs; where its kind has a single one, a graph may call it otherwise.

    Raises:
        CompressError: it is not there.
    """
    if count == 1 and name not in given:
        return logits_of(given)
    if name not in given:
        raise CompressError(f"The model gives {', '.join(given)} and no '{name}'. Export it again.")
    return given[name]


def _of_row(
    part: NDArray[np.float32], line: int, rows: Rows, number: int, output: Output, width: int
) -> NDArray[np.float32]:
    if output.of == "token":
        return part[line, rows.tokens(number, width)]
    if output.of == "word":
        assert rows.answers_at is not None
        return part[line, rows.answers_at[number]]
    return part[line : line + 1]


def answers(outputs: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    """A batch's scores one after another: [batch, outputs] as they are; of [batch, tokens, outputs] those of all real tokens.

    Args:
        mask: the attention mask, [batch, tokens].
    """
    return outputs if outputs.ndim == 2 else outputs[np.asarray(mask, bool)]
