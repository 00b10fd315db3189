"""Agreement of a quantized torch checkpoint with its fp32 source on real rows.

Each of the two is opened as every later command opens it, one after the other, so that never both are in memory: so it is
separate from the comparison of graphs, in which both are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.artifact import Artifact
from compress.core.labels import NO_LABEL
from compress.data import comparison_rows
from compress.models import load as models
from compress.models.kinds import law_in
from compress.models.reading_length import positions
from compress.quantization import agreement
from compress.quantization.agreement import Agreement
from compress.runtimes.generating import Decoding, generate, scores
from compress.runtimes.pytorch import open_generator, open_session
from compress.runtimes.runtime import Serving, logits_of
from compress.tasks.task import DescribedTask

WRITTEN = 32
"""Tokens of an encoder-decoder's text at most, at each of which the two are compared."""


def with_source(folder: Path, precision: str, source: Artifact, task: DescribedTask | None) -> Agreement:
    """The agreement of the checkpoint in a folder, in a precision, with its source in fp32.

    Of a generative model both are asked for the best token at each of the same places: those of a decoder's prompt, or of
    the text that an encoder-decoder's source writes.

    Raises:
        CompressError: one of the two cannot be opened, or the task's data cannot be read.
    """
    made, whole = replace(source, folder=folder, precision=precision), replace(source, precision="fp32")
    its_tokenizer, config = models.tokenizer(source.folder), models.config(source.folder)
    if not models.generates(source.folder):
        rows, where = comparison_rows.rows(its_tokenizer, config, task, agreement.ROWS)
        theirs = _answers(whole, rows)
        return agreement.of_answers(_answers(made, rows), theirs, where, law_in(source.folder))
    rows, where = comparison_rows.rows(its_tokenizer, config, task, generates=True)
    prompts = [row["input_ids"][None] for row in rows]
    feeds = [{"input_ids": one, "attention_mask": np.ones_like(one)} for one in prompts]
    generator = open_generator(whole, _serving())
    labels = [_places(generator, one) for one in feeds]
    theirs = _best(generator, feeds, labels)
    del generator
    equal = _best(open_generator(made, _serving()), feeds, labels) == theirs
    return Agreement("tokens", float(equal.mean()), len(equal), where)


def _answers(artifact: Artifact, rows: Sequence[dict[str, np.ndarray]]) -> NDArray[Any]:
    """A classifier's logits, [rows, labels], each row by itself as it is served."""
    session = open_session(artifact, _serving())
    return agreement.answers_alone(lambda feeds: logits_of(session.predict(feeds)), rows)


def _serving() -> Serving:
    import torch

    return Serving(threads=torch.get_num_threads())


def _places(generator: Any, feeds: dict[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """The tokens in whose place the best one is asked for, [1, tokens]; a decoder's first is predicted from nothing."""
    if not generator.config.is_encoder_decoder:
        return np.concatenate([np.full((1, 1), NO_LABEL), feeds["input_ids"][:, 1:]], axis=1)
    room = min(WRITTEN, (positions(generator.config) or WRITTEN + 1) - 1)
    return generate(generator, feeds, Decoding(max_new_tokens=room))[0][None]


def _best(model: Any, feeds: Sequence[dict[str, NDArray[np.int64]]], labels: Sequence[NDArray[np.int64]]) -> Any:
    found = [scores(model, one, wanted)[1] for one, wanted in zip(feeds, labels, strict=True)]
    return np.concatenate([best[wanted != NO_LABEL] for best, wanted in zip(found, labels, strict=True)])
