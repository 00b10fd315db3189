"""Answers for texts by an artifact, torch or ONNX alike: a label with its probabilities, a score, or a text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from compress.artifact import Artifact
from compress.errors import CompressError


def predictions(
    artifact: Artifact,
    texts: Sequence[str],
    pair: str | None = None,
    *,
    beams: int | None = None,
    new_tokens: int | None = None,
) -> Iterator[dict[str, Any]]:
    """For each text `{"label", "probabilities"}`, `{"score"}` where the model has a single output, or `{"output"}`, what a
    model writes that writes text.

    Args:
        pair: the second text, for a model of pairs of texts.
        beams: of the search, 1 for greedy; by default what the model's generation config says. Of models that write.
        new_tokens: how many are written at most; by default what task or generation config says. Of models that write.

    Raises:
        CompressError: a text is empty, no runtime here opens the artifact, it does not write so much, or a setting is not
            of its kind.
    """
    from compress import catalogue, labels
    from compress.models import kind_of, tokenizer
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
    if kind_of(artifact.folder) != "classifier":
        if pair:
            raise CompressError(f"{artifact.folder} writes text for one text at a time. Leave out --pair.")
        yield from _written(artifact, texts, runtime, beams, new_tokens)
        return
    if beams or new_tokens:
        raise CompressError(
            f"{artifact.folder} is a classifier and writes nothing. Leave out --beams and --new-tokens."
        )
    config = json.loads((artifact.folder / "config.json").read_text(encoding="utf-8"))
    names = labels.of_config(config, artifact.folder)
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


NEW_TOKENS = 64
"""How much is written where neither the task nor the model says."""


def _written(
    artifact: Artifact, texts: Sequence[str], runtime: Any, beams: int | None, new_tokens: int | None
) -> Iterator[dict[str, Any]]:
    """By the model's own rules of decoding, one text after another."""
    from compress import prompts
    from compress.models import tokenizer
    from compress.runtimes.generating import Decoding, generate, room, rules
    from compress.runtimes.runtime import Serving
    from compress.tasks import loading

    task = loading.resolve(dict(artifact.task))[0] if artifact.task else None
    its_tokenizer, generator = tokenizer(artifact.folder), runtime.open_generator(artifact, Serving())
    said = generator.generation_config.to_dict()
    most = room(generator)
    if new_tokens and most is not None and new_tokens >= most:
        raise CompressError(f"{artifact.folder} has room for {most} tokens. Ask for fewer with --new-tokens.")
    length = new_tokens or _length(task, said)
    if most is not None and not new_tokens:
        length = min(length, most if generator.config.is_encoder_decoder else most // 2)
    reads = None if most is None or generator.config.is_encoder_decoder else most - length
    decoding = Decoding(beams=beams or said.get("num_beams") or 1, max_new_tokens=length, rules=rules(said))
    for ids in prompts.of_texts(texts, task, its_tokenizer, generator.config, tokens=reads):
        feeds = {"input_ids": ids[None], "attention_mask": np.ones_like(ids)[None]}
        (found,) = generate(generator, feeds, decoding)
        yield {"output": its_tokenizer.decode(found, skip_special_tokens=True).strip()}


def _length(task: Any, said: Any) -> int:
    if task is not None and task.generation is not None and task.kind != "language_modelling":
        return int(task.generation.max_target)
    return int(said.get("max_new_tokens") or NEW_TOKENS)
