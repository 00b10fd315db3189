"""Answers for texts by an artifact, torch or ONNX alike: a label with its probabilities, or a score."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from compress.artifact import Artifact
from compress.errors import CompressError


def predictions(artifact: Artifact, texts: Sequence[str], pair: str | None = None) -> Iterator[dict[str, Any]]:
    """For each text `{"label", "probabilities"}`, or `{"score"}` where the model has a single output.

    Args:
        pair: the second text, for a model of pairs of texts.

    Raises:
        CompressError: a text is empty, or no runtime here opens the artifact.
    """
    from compress import catalogue
    from compress.models import tokenizer
    from compress.runtimes.rows import Rows, predict_all
    from compress.runtimes.runtime import Serving

    if not texts or not all(text.strip() for text in texts):
        raise CompressError("One of the texts is empty. Give something to read.")
    runtimes = [catalogue.find("runtimes", name) for name in catalogue.names("runtimes")]
    runtime = next(one for one in runtimes if artifact.format in one.formats)
    reason = runtime.why_not(artifact, "cpu")
    if reason:
        raise CompressError(f"{artifact.folder} cannot be run here: {reason}.")
    artifact.check_files()
    config = json.loads((artifact.folder / "config.json").read_text(encoding="utf-8"))
    raw = config.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
    names = [str(raw[key]) for key in sorted(raw, key=int)]
    its_tokenizer = tokenizer(artifact.folder)
    encoded = dict(its_tokenizer(list(texts), [pair] * len(texts) if pair else None, truncation=True))
    rows = Rows.encode(encoded, its_tokenizer.pad_token_id or 0)
    logits = predict_all(runtime.open(artifact, Serving()), rows)
    for row in logits.astype(np.float64):
        if len(row) == 1:
            yield {"score": float(row[0])}
        else:
            odds = np.exp(row - row.max())
            odds /= odds.sum()
            yield {
                "label": names[int(odds.argmax())],
                "probabilities": dict(zip(names, map(float, odds), strict=True)),
            }
