"""Opens a technique's result once, as later commands would, before it is announced as finished."""

from __future__ import annotations

from compress.core.artifact import Artifact
from compress.core.errors import CompressError


def open_once(artifact: Artifact, name: str) -> None:
    """Open the model and the tokenizer of an artifact in its work folder, and let go of them.

    Args:
        name: the artifact's, for the message.

    Raises:
        CompressError: they cannot be opened, so that the step has failed.
    """
    try:
        if artifact.format == "onnx":
            _open_graphs(artifact)
        elif artifact.format == "openvino":
            from compress.models.load import tokenizer
            from compress.runtimes.openvino_ import RUNTIME
            from compress.runtimes.runtime import Serving

            tokenizer(artifact.folder)
            RUNTIME.opened(artifact, Serving())
        else:
            from compress.models.load import check_opens

            check_opens(artifact.folder)
    except CompressError as error:
        raise CompressError(f"{name} was made, but cannot be opened, so it is not finished: {error}") from error


def _open_graphs(artifact: Artifact) -> None:
    from compress.models import load as models
    from compress.runtimes.sessions import open_session
    from compress.runtimes.sessions_with_cache import open_generation

    models.tokenizer(artifact.folder)
    parts = {part: artifact.folder / file for part, file in artifact.parts.items()}
    if set(parts) == {"model"}:
        open_session(parts["model"], threads=1)
    else:
        open_generation(parts, threads=1)
