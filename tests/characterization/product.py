"""All that the tests of unchanged behaviour take from the product: what is moved or renamed is followed here alone."""

from __future__ import annotations

from click.testing import CliRunner

from compress.cli import compress
from compress.core.artifact import Artifact
from compress.core.errors import CompressError

__all__ = ["Artifact", "CompressError", "run"]


def run(*arguments: str) -> str:
    """What a command prints on standard output.

    Raises:
        CompressError: as the command does, before the command line turns it into a line.
    """
    with_errors = CliRunner(catch_exceptions=False).invoke(compress, list(arguments), standalone_mode=False)
    return with_errors.stdout
