"""Encoded examples of unequal lengths: kept as arrays, cut into padded batches, and predicted in their own order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from compress.data.word_pieces import word_starts
from compress.runtimes.runtime import Session, logits_of


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

    @staticmethod
    def encode(
        columns: Mapping[str, Sequence[Sequence[int]]],
        pad_token_id: int = 0,
        word_ids: Sequence[Sequence[int]] | None = None,
    ) -> Rows:
        """The columns that a tokenizer gives, each one list of token ids for each example.

        Args:
            word_ids: the place of each token's word in its example, below 0 for special tokens: each word's first token is an
                answer then.
        """
        arrays = {name: tuple(np.asarray(row, dtype=np.int64) for row in rows) for name, rows in columns.items()}
        if word_ids is None:
            return Rows(arrays, {"input_ids": pad_token_id})
        ids = [np.asarray(row, dtype=np.int64) for row in word_ids]
        at = tuple(np.flatnonzero(word_starts(row)) for row in ids)
        words = tuple(row[places] for row, places in zip(ids, at, strict=True))
        return Rows(arrays, {"input_ids": pad_token_id}, answers_at=at, answer_words=words)

    def __len__(self) -> int:
        return len(self.columns["input_ids"])

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
                length = len(rows[number])
                values[line, slice(0, length) if self.side == "right" else slice(width - length, width)] = rows[number]
            feeds[name] = values
        return feeds

    def by_length(self, batch_size: int) -> Iterator[NDArray[np.int64]]:
        """The examples' numbers in batches of like length, so that little is computed on padding; the same at every call."""
        order = np.argsort(self.lengths(), kind="stable")
        for start in range(0, len(order), batch_size):
            yield order[start : start + batch_size]

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
        """All of it as flat arrays, for a file; `from_arrays` gives an equal value."""
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


def predict_all(
    session: Session, rows: Rows, batch_size: int = 32, done: Callable[[int], None] | None = None
) -> NDArray[np.float32]:
    """The scores of every answer, [answers, outputs], in the rows' own order: one answer an example, or those of its tokens.

    With dynamic quantization an example's logits depend slightly on its batch: see `Rows.by_length`.

    Args:
        session: an open model.
        rows: at least one example.
        batch_size: examples in a batch, 1 or more.
        done: told how many examples each batch finished.
    """
    if not len(rows):
        raise ValueError("there are no examples to predict")
    found: list[Any] = [None] * len(rows)
    for numbers in rows.by_length(batch_size):
        part = logits_of(session.predict(rows.batch(numbers)))
        for line, number in enumerate(numbers):
            found[number] = part[line : line + 1] if rows.answers_at is None else part[line, rows.answers_at[number]]
        if done is not None:
            done(len(numbers))
    return np.concatenate(found).astype(np.float32, copy=False)


def answers(outputs: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    """A batch's scores one after another: [batch, outputs] as they are; of [batch, tokens, outputs] those of all real tokens.

    Args:
        mask: the attention mask, [batch, tokens].
    """
    return outputs if outputs.ndim == 2 else outputs[np.asarray(mask, bool)]
