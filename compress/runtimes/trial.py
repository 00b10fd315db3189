"""Opens an artifact once, as whoever serves it will, before it is announced as finished."""

from __future__ import annotations

from compress import catalogue, models
from compress.artifact import Artifact
from compress.errors import CompressError
from compress.runtimes.runtime import Serving


def check_opens(artifact: Artifact) -> None:
    """Open an artifact's model and tokenizer; graphs that this machine has no kernels for are left unopened.

    Raises:
        CompressError: it cannot be opened.
    """
    try:
        if artifact.format == "torch":
            models.check_opens(artifact.folder)
            return
        models.tokenizer(artifact.folder)
        runtime = next(
            found
            for name in catalogue.names("runtimes")
            if artifact.format in (found := catalogue.find("runtimes", name)).formats
        )
        if runtime.why_not(artifact, "cpu") is None and artifact.facts.get("provider", "cpu") == "cpu":
            opener = runtime.open if "model" in artifact.parts else runtime.open_generator
            opener(artifact, Serving())
    except CompressError as error:
        raise CompressError(f"What was made does not open, so it is not announced as finished: {error}") from error
