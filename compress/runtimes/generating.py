"""Generates and scores texts with an open generator of any runtime: the texts, the time of each token, log-probabilities."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.errors import CompressError
from compress.core.labels import NO_LABEL
from compress.models.decoding_settings import NEUTRAL, OF_CHANCE, ONLY_HOW, RULES
from compress.models.reading_length import positions
from compress.runtimes.runtime import Feeds


@dataclass(frozen=True)
class Decoding:
    """How a model generates: always deterministically."""

    beams: int = 1
    """1: greedy."""
    max_new_tokens: int = 128
    rules: Mapping[str, Any] = field(default_factory=dict)
    """Of `RULES`, those that are set; any other is as if no generation config said a thing."""


def rules(generation_config: Mapping[str, Any]) -> dict[str, Any]:
    """Of a `generation_config.json`'s content, the rules of decoding that change anything."""
    found = {name: generation_config[name] for name in RULES if generation_config.get(name) is not None}
    return {name: value for name, value in found.items() if value != NEUTRAL.get(name, 0)}


def generate(
    generator: Any,
    feeds: Feeds,
    decoding: Decoding,
    *,
    exactly: int | None = None,
    stamps: list[float] | None = None,
    processors: Sequence[Any] = (),
) -> list[NDArray[np.int64]]:
    """The tokens generated for each row: ids [tokens], including the end of text, without the prompt.

    Args:
        generator: what a runtime's `open_generator` gave.
        feeds: `input_ids` and `attention_mask`, [batch, length]; a decoder's are padded on the left.
        decoding: the rules.
        exactly: so many tokens, and no end of text before; by default up to the model's own end, or `max_new_tokens`.
        stamps: gets `time.perf_counter()` as each token is there.
        processors: transformers' `LogitsProcessor`s, which see each step's scores last.

    Raises:
        CompressError: transformers refuses the model's settings.
    """
    import torch
    from transformers import LogitsProcessorList, StoppingCriteriaList

    tensors = _tensors(generator, feeds)
    config = _config(generator, decoding, exactly)
    if stamps is None:  # else it is timed, and does nothing but generate
        processors = [*processors, _numbers()]
    clock = StoppingCriteriaList([] if stamps is None else [_clock(stamps)])
    own = generator.generation_config
    # `generate()` reads the model's own for whatever a config given to it leaves out.
    generator.generation_config = config
    try:
        with torch.inference_mode():
            found = generator.generate(
                **tensors, stopping_criteria=clock, logits_processor=LogitsProcessorList(processors)
            )
    except ValueError as error:  # transformers' answer to settings that do not go together, or lack a token
        reason = str(error).strip().split("\n", 1)[0].rstrip(".")[:300]
        raise CompressError(
            f"This {generator.config.model_type} cannot generate with its generation config: {reason}. Correct it."
        ) from error
    finally:
        generator.generation_config = own
    # The decoder of an encoder-decoder starts from one token.
    begin = 1 if generator.config.is_encoder_decoder else tensors["input_ids"].shape[1]
    return [_up_to_end(row, _ends(generator)) for row in found[:, begin:].cpu().numpy().astype(np.int64)]


def scores(generator: Any, feeds: Feeds, labels: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The natural log-probability of each label, and the most likely token at its position.

    Args:
        generator: what a runtime's `open_generator` gave.
        feeds: `input_ids` and `attention_mask`, [batch, length], padded on the right.
        labels: [batch, tokens], -100 where there is none to score. Those of a decoder are of the length of `input_ids`,
            the label at a position is the token there (the first of a row cannot be predicted, and must
            be -100); those of an encoder-decoder are what its decoder shall write.

    Returns:
        Two arrays [batch, tokens]; 0 and -100 where there is no label.
    """
    import torch

    writes = bool(generator.config.is_encoder_decoder)
    if not writes and (labels[:, 0] != NO_LABEL).any():
        raise ValueError("The first token of a row cannot be predicted: its label must be -100.")
    if writes:
        feeds = {**feeds, "decoder_input_ids": _shifted(labels, _start(generator), _padding(generator))}
    ahead = logits(generator, feeds)
    wanted = torch.from_numpy(labels).to(ahead.device)
    if not writes:
        ahead, wanted = ahead[:, :-1], wanted[:, 1:]
    likelihoods = np.zeros(labels.shape, np.float64)
    predicted = np.full(labels.shape, NO_LABEL, np.int64)
    for line in range(len(labels)):
        places = wanted[line] != NO_LABEL
        rows, right = ahead[line][places].float(), wanted[line][places]
        at = np.flatnonzero(labels[line] != NO_LABEL)
        # Of float32 logits the logarithm is good to 1e-6; what is added up is float64.
        found = torch.log_softmax(rows, dim=-1).gather(1, right[:, None])[:, 0]
        likelihoods[line, at] = found.double().cpu().numpy()
        predicted[line, at] = rows.argmax(dim=-1).cpu().numpy()
    return likelihoods, predicted


def logits(generator: Any, feeds: Feeds) -> Any:
    """The model's logits for whole rows as a torch tensor, [batch, tokens, vocabulary], on its device.

    Args:
        generator: what a runtime's `open_generator` gave.
        feeds: `input_ids` and `attention_mask`, and `decoder_input_ids` for an encoder-decoder, [batch, length].
    """
    import torch

    with torch.inference_mode():
        return generator(**_tensors(generator, feeds), use_cache=False).logits


def say_errors_only() -> None:
    """transformers remarks on each call that a config says more of decoding than is used."""
    from transformers.utils import logging

    logging.set_verbosity_error()


def room(generator: Any) -> int | None:
    """How many tokens it reads and writes at most; None where its config knows no limit."""
    return positions(generator.config)


def check_room(generator: Any, length: int, new_tokens: int) -> None:
    """Raises a CompressError if prompt and new tokens exceed the model's positions."""
    most = room(generator)
    writes = bool(generator.config.is_encoder_decoder)
    if most is not None and (max(length, new_tokens) if writes else length + new_tokens) > most:
        raise CompressError(f"it has positions for {most} tokens, not {length} and {new_tokens} new ones")


def _config(generator: Any, decoding: Decoding, exactly: int | None) -> Any:
    config = copy.copy(generator.generation_config)  # `generate()` makes a deep one
    for name in RULES:
        setattr(config, name, decoding.rules.get(name, NEUTRAL.get(name)))
    for name in (*OF_CHANCE, *ONLY_HOW):
        setattr(config, name, None)
    config.use_cache = True
    config.do_sample, config.num_beams, config.num_return_sequences = False, decoding.beams, 1
    config.max_length = None  # with the prompt
    config.max_new_tokens = exactly or decoding.max_new_tokens
    if exactly is not None:
        config.min_new_tokens, config.min_length = exactly, None
    config.pad_token_id = _padding(generator)
    config.return_dict_in_generate = False
    return config


def _numbers() -> Any:
    """Stops at NaN scores: greedy search would continue with an arbitrary token."""
    from transformers import LogitsProcessor

    class Numbers(LogitsProcessor):  # type: ignore[misc, unused-ignore]  # transformers types it as Any in some versions
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            if math.isnan(scores.max()):  # the greatest is NaN where any is
                raise CompressError(
                    "The model's scores of the next token are NaN: its weights are damaged, or its precision is too small "
                    "for it. Make the artifact again."
                )
            return scores

    return Numbers()


def _clock(stamps: list[float]) -> Any:
    """Records the time of each token, and never stops."""
    import torch
    from transformers import StoppingCriteria

    class Clock(StoppingCriteria):
        def __call__(self, input_ids: Any, scores: Any, **unused: Any) -> Any:
            if input_ids.is_cuda:
                torch.cuda.synchronize()
            stamps.append(time.perf_counter())
            return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

    return Clock()


def _tensors(generator: Any, feeds: Feeds) -> dict[str, Any]:
    import torch

    names = ("input_ids", "attention_mask", "decoder_input_ids")
    return {
        name: torch.from_numpy(np.ascontiguousarray(feeds[name])).to(generator.device)
        for name in names
        if name in feeds
    }


def _up_to_end(row: NDArray[np.int64], ends: Sequence[int]) -> NDArray[np.int64]:
    """Without what fills a row after its end."""
    at = np.flatnonzero(np.isin(row, ends))
    return row[: at[0] + 1] if at.size else row


def _ends(generator: Any) -> list[int]:
    said = generator.generation_config.eos_token_id
    return [] if said is None else list(np.atleast_1d(np.asarray(said)).tolist())


def _padding(generator: Any) -> int:
    said = generator.generation_config.pad_token_id
    if said is None:
        said = next(iter(_ends(generator)), 0)  # masked, any token will do
    return int(np.atleast_1d(np.asarray(said))[0])


def _start(generator: Any) -> int:
    said = generator.generation_config.decoder_start_token_id
    said = getattr(generator.config, "decoder_start_token_id", None) if said is None else said
    if said is None:
        raise CompressError("The model's config names no token that its decoder starts from (decoder_start_token_id).")
    return int(said)


def _shifted(labels: NDArray[np.int64], start: int, padding: int) -> NDArray[np.int64]:
    """The decoder's inputs for these labels: the start token, then all labels except the last."""
    ids = np.where(labels == NO_LABEL, padding, labels)
    return np.concatenate([np.full((len(ids), 1), start, np.int64), ids[:, :-1]], axis=1)
