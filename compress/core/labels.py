"""What marks a place that has no label."""

from __future__ import annotations

NO_LABEL = -100
"""The label of a row or a token that counts in no loss and no score; torch's `ignore_index`."""
