"""The keys of a batch besides the model's inputs: labels, answered tokens, and others that a kind of task defines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NO_LABEL = -100
"""The label of a row or a token that counts in no loss and no score; torch's `ignore_index`."""

LABELS = "labels"
"""A batch's name for them."""
ANSWERED = "answered"
"""A batch's name for the tokens that are answers, [batch, tokens]; there only where a row has several answers."""
TARGETS = (LABELS, ANSWERED)
"""What of a batch is no input of the model."""
ABOUT = "about."
"""What the names begin with of what else a kind's `collate` says of its answers (which group a row is of, say), [batch, ...]."""


def inputs_of(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a batch that the model reads."""
    return {name: value for name, value in batch.items() if name not in TARGETS and not name.startswith(ABOUT)}
