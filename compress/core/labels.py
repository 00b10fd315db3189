"""What marks a place that has no label."""

from __future__ import annotations

NO_LABEL = -100
"""The label of a row or a token that counts in no loss and no score; torch's `ignore_index`."""

LABELS = "labels"
"""A batch's name for them."""
ANSWERED = "answered"
"""A batch's name for the tokens that are answers, [batch, tokens]; there only where a row has several answers."""
TARGETS = (LABELS, ANSWERED)
"""What of a batch is no input of the model."""
