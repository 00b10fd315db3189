"""What a technique made is opened once, as every later command would open it, before it is announced as finished."""

from __future__ import annotations

import importlib.util

from compress.artifact import Artifact
from compress.errors import CompressError


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
        else:
            _open_checkpoint(artifact)
    except CompressError as error:
        raise CompressError(f"{name} was made, but cannot be opened, so it is not finished: {error}") from error


def _open_graphs(artifact: Artifact) -> None:
    from compress import models
    from compress.onnx.generation_sessions import open_generation
    from compress.onnx.sessions import open_session

    models.tokenizer(artifact.folder)
    parts = {part: artifact.folder / file for part, file in artifact.parts.items()}
    if set(parts) == {"model"}:
        open_session(parts["model"], threads=1)
    else:
        open_generation(parts, threads=1)


def _open_checkpoint(artifact: Artifact) -> None:
    from transformers import AutoModel

    from compress import models, pretrained

    models.tokenizer(artifact.folder)
    raw = pretrained.raw_config(artifact.folder)
    stored = raw.get("quantization_config") or {}
    if stored.get("quant_method") == "gptq" and not all(
        importlib.util.find_spec(one) for one in ("gptqmodel", "optimum")
    ):
        return  # nothing else opens these, and making one does not take those packages
    has_head = any("SequenceClassification" in name for name in raw.get("architectures") or ())
    if models.kind_of(artifact.folder) == "classifier" and not has_head:  # a base, brought in to be fine-tuned
        with pretrained.told_in_words(artifact.folder):
            pretrained.opened(artifact.folder, AutoModel)
    else:
        models.load(artifact)
