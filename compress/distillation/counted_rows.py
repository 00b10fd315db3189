"""Tokenized rows, with what caches of teachers' outputs count and hash of them: each once, when it is first asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from compress.core.labels import NO_LABEL
from compress.data.collate import answer_starts, row_lengths, step_lengths


@dataclass(frozen=True)
class CountedRows:
    """Tokenized rows as a teacher reads them."""

    rows: Any

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def read(self) -> np.ndarray:
        """How many tokens of each row are read, [rows]."""
        return row_lengths(self.rows)

    @cached_property
    def cost(self) -> np.ndarray:
        """How many tokens of each row are read and written, [rows]."""
        return step_lengths(self.rows)

    @cached_property
    def answer_starts(self) -> np.ndarray:
        """Where each row's answers begin, and the end of the last one's, [rows + 1]."""
        return answer_starts(self.rows)

    @cached_property
    def hash_of_inputs(self) -> str:
        """Of what a classifier reads of the rows, in their order."""
        names = [name for name in ("input_ids", "token_type_ids") if name in self.rows.column_names]
        found = np.empty(len(self), dtype=np.uint64)
        place = 0
        for batch in self.rows.iter(1000):
            for columns in zip(*(batch[name] for name in names), strict=True):
                value = hashlib.blake2b(digest_size=8)
                for ids in columns:
                    value.update(np.asarray(ids, dtype=np.int32).tobytes())
                found[place] = int.from_bytes(value.digest(), "little")
                place += 1
        return hashlib.sha256(found.tobytes()).hexdigest()

    @property
    def predicted(self) -> np.ndarray:
        """How many tokens of each row a generative model predicts that count, [rows]."""
        return self._texts[0]

    @property
    def hash_of_texts(self) -> str:
        """Of all that a generative model reads and writes, in the rows' order."""
        return self._texts[1]

    @cached_property
    def _texts(self) -> tuple[np.ndarray, str]:
        """Counts and hash in one pass. Without `labels` the rows' `input_ids` are the labels."""
        counts = np.empty(len(self), np.int64)
        content = hashlib.sha256()
        is_decoders = "labels" not in self.rows.column_names or "prompt" in self.rows.column_names
        place = 0
        for batch in self.rows.iter(1000):
            for ids, labels in zip(batch["input_ids"], batch.get("labels", batch["input_ids"]), strict=True):
                for one in (ids, labels):
                    content.update(np.asarray([len(one), *one], np.int32).tobytes())
                counts[place] = sum(token != NO_LABEL for token in labels[1 if is_decoders else 0 :])
                place += 1
        return counts, content.hexdigest()


def starts(counts: np.ndarray) -> np.ndarray:
    """Where each row's entries begin, and the end of the last one's, [rows + 1]."""
    return np.concatenate([[0], np.cumsum(counts)])
