"""All that the tests of unchanged behaviour take from the product: what is moved or renamed is followed here alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from click.testing import CliRunner

from compress.cli import compress
from compress.core import catalogue
from compress.core.artifact import Artifact
from compress.core.errors import CompressError

__all__ = ["Artifact", "CompressError", "losses_of_steps", "metric_names", "run", "score"]


def run(*arguments: str) -> str:
    """What a command prints on standard output.

    Raises:
        CompressError: as the command does, before the command line turns it into a line.
    """
    try:
        return CliRunner(catch_exceptions=False).invoke(compress, list(arguments), standalone_mode=False).stdout
    finally:
        logging.getLogger("compress").handlers = []  # it writes to the runner's stream, which is closed


@contextmanager
def losses_of_steps() -> Iterator[list[float]]:
    """The loss of each training step while this lasts, unrounded: what Hugging Face's Trainer is given."""
    from transformers import Trainer

    found: list[float] = []
    step = Trainer.training_step

    def watched(self: Any, *args: Any, **named: Any) -> Any:
        loss = step(self, *args, **named)
        found.append(float(loss))
        return loss

    Trainer.training_step = watched  # type: ignore[method-assign]  # watched for this test
    try:
        yield found
    finally:
        Trainer.training_step = step  # type: ignore[method-assign]  # watched for this test


def metric_names() -> tuple[str, ...]:
    """All metrics there are."""
    return catalogue.names("metrics")


def score(metric: str, predictions: Sequence[Any], references: Sequence[Any]) -> float:
    """A metric's score of predictions, as it is measured."""
    return float(catalogue.find("metrics", metric).score(predictions, references))
