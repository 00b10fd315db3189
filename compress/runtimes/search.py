"""Greedy and beam search over an export's graphs: the tokens of transformers' `generate()`, in half of its time.

transformers still reads the settings, makes the processors of the scores and runs the encoder. Only its loop over tokens is
replaced, since most of its time goes into preparing a torch model's arguments again at each token. Whatever
`why_transformers` names is left to transformers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import EosTokenCriteria, MaxLengthCriteria, NoRepeatNGramLogitsProcessor

from compress.runtimes.bound_decoder import BoundDecoder

FAR = np.float32(-1e9)
"""The score, or what is added to one, of what must not be chosen."""
READ = ("attention_mask", "position_ids", "encoder_outputs", "logits_to_keep", "use_cache")
"""The arguments, beside an empty cache, that a search understands."""


def why_transformers(settings: Any, given: Mapping[str, Any], *, is_decoder: bool) -> str | None:
    """Why these settings and arguments are left to transformers' own loop; None where the loops here give its tokens.

    Args:
        settings: the `GenerationConfig`, as `generate()` has prepared it.
        given: what its loop gets beside the tokens, the processors and the stopping criteria, without the cache.
        is_decoder: and not an encoder-decoder.
    """
    if settings.do_sample:
        return "tokens are sampled (do_sample)"
    if settings.return_dict_in_generate:
        return "more than tokens is returned (return_dict_in_generate)"
    if not settings.use_cache:
        return "each step reads all tokens again (use_cache)"
    if settings.prefill_chunk_size is not None:
        return "the prompt is read in pieces (prefill_chunk_size)"
    unread = [name for name, value in given.items() if name not in READ and value is not None and value is not False]
    if unread:
        return f"generate() was given {unread[0]}"
    if is_decoder and given.get("logits_to_keep") != 1:
        return "other logits are asked for (logits_to_keep)"
    if not is_decoder and getattr(given.get("encoder_outputs"), "cross", None) is None:
        return "the encoder's outputs are those of another model (encoder_outputs)"
    return None


def greedy(decoder: BoundDecoder, ids: torch.Tensor, processors: Sequence[Any], stops: Stops) -> torch.Tensor:
    """The tokens `ids` [rows, length] with those that follow, [rows, longer]: the most likely at each step.

    As transformers' `_sample` without sampling: once a row has ended it is padded.
    """
    going = np.ones(len(ids), bool)
    logits = decoder.step(ids.numpy())
    while True:
        tokens = _processed(processors, ids, logits).numpy().argmax(-1)
        if stops.ends is not None:
            tokens = np.where(going, tokens, stops.padding)
        ids = torch.cat([ids, torch.from_numpy(tokens)[:, None]], dim=-1)
        going &= ~stops.reached(ids, tokens)
        if not going.any():
            return ids
        logits = decoder.step(tokens[:, None])


def beams(
    decoder: BoundDecoder, ids: torch.Tensor, processors: Sequence[Any], stops: Stops, settings: Any
) -> torch.Tensor:
    """The best `num_return_sequences` texts of each input, [inputs * returned, longest], padded.

    As transformers' `_beam_search`, to the order of its sums in float32: `ids` [inputs * beams, length] has each input
    `num_beams` times; the best continuations of all an input's beams are kept, and those that end are compared by their
    score divided by length ** `length_penalty`.
    """
    count, begin = settings.num_beams, ids.shape[1]
    inputs = len(ids) // count
    # So many that `count` of them go on if each beam's best are ends.
    kept = max(2, 1 + (0 if settings._eos_token_tensor is None else len(settings._eos_token_tensor))) * count
    running = np.zeros((inputs, count), np.float32)
    running[:, 1:] = FAR  # all beams of an input are still the same
    texts = Finished(ids.numpy().reshape(inputs, count, begin), settings)
    first = np.arange(inputs)[:, None]
    logits = decoder.step(ids.numpy())
    while True:
        scores = _processed(processors, ids, torch.log_softmax(logits, dim=-1))
        vocabulary = scores.shape[-1]
        scores = scores.reshape(inputs, count, -1) + torch.from_numpy(running)[:, :, None]
        best, places = (found.numpy() for found in torch.topk(scores.reshape(inputs, -1), kept))
        beam, token = np.divmod(places, vocabulary)
        source = beam + first * count
        longer = np.concatenate([ids.numpy()[source], token[:, :, None]], axis=2)  # [inputs, kept, length + 1]
        flat = longer.reshape(-1, longer.shape[2])
        ends = stops.reached(torch.from_numpy(flat), flat[:, -1]).reshape(inputs, kept)

        on = best + ends.astype(np.float32) * FAR
        chosen = _top(on, count)
        ids = torch.from_numpy(longer[first, chosen].reshape(-1, longer.shape[2]))
        running = on[first, chosen]
        texts.add(longer, best, ends)
        if ends.all() or not texts.can_improve(running, longer.shape[2]):
            return texts.best()
        decoder.reorder(source[first, chosen].reshape(-1))
        logits = decoder.step(ids[:, -1:].numpy())


class Finished:
    """The best texts of each input that have ended so far, as many as beams."""

    def __init__(self, ids: NDArray[np.int64], settings: Any) -> None:
        """`ids`: the tokens to start from, [inputs, beams, length]."""
        inputs, count, _ = ids.shape
        self._settings = settings
        self._texts: list[list[NDArray[np.int64]]] = [list(rows) for rows in ids]
        self._begin = ids.shape[2]
        self._scores = np.full((inputs, count), FAR)
        self._ended = np.zeros((inputs, count), bool)
        self._open = np.ones((inputs, 1), bool)  # whether a better text may still be found

    def add(self, texts: NDArray[np.int64], scores: NDArray[np.float32], ends: NDArray[np.bool_]) -> None:
        """Keep the best of these and those before.

        Args:
            texts: [inputs, kept, length], the best first.
            scores: the sum of its tokens' scores, [inputs, kept].
            ends: whether it has ended, [inputs, kept]; of these only the first `num_beams` count.
        """
        count = self._scores.shape[1]
        ended = ends & (np.arange(ends.shape[1]) < count)
        scores = scores / np.float32((texts.shape[2] - self._begin) ** self._settings.length_penalty)
        # One after another: each sum is rounded.
        full = self._ended.all(axis=1, keepdims=True) & (self._settings.early_stopping is True)
        for closed in (full, ~self._open, ~ended):
            scores = scores + closed.astype(np.float32) * FAR
        merged = np.concatenate([self._scores, scores], axis=1)
        chosen = _top(merged, count)
        first = np.arange(len(merged))[:, None]
        self._scores = merged[first, chosen]
        self._ended = np.concatenate([self._ended, ended], axis=1)[first, chosen]
        self._texts = [
            [row[at] if at < count else new[at - count] for at in order]
            for row, new, order in zip(self._texts, texts, chosen.tolist(), strict=True)
        ]

    def can_improve(self, running: NDArray[np.float32], length: int) -> bool:
        """Whether any input's texts that go on may become better than those that have ended.

        Args:
            running: the sum of the tokens' scores of those that go on, [inputs, beams], the best first.
            length: their tokens.
        """
        early, penalty = self._settings.early_stopping, self._settings.length_penalty
        if early == "never" and penalty > 0.0:
            length = self._settings.max_length
        possible = running[:, :1] / np.float32((length - self._begin) ** penalty)
        worst = np.where(self._ended, self._scores.min(axis=1, keepdims=True), FAR)
        self._open &= (possible > worst).any(axis=1, keepdims=True)
        return bool(self._open.any()) and not (early is True and bool(self._ended.all()))

    def best(self) -> torch.Tensor:
        """[inputs * num_return_sequences, longest]."""
        rows = [text for texts in self._texts for text in texts[: self._settings.num_return_sequences]]
        found = np.full((len(rows), max(map(len, rows))), self._filling())
        for line, text in enumerate(rows):
            found[line, : len(text)] = text
        return torch.from_numpy(found)

    def _filling(self) -> int:
        padding, ends = self._settings._pad_token_tensor, self._settings._eos_token_tensor
        if ends is None:
            return -1
        return int(padding) if padding else int(ends[0])  # as transformers: the end in place of padding 0


def _top(scores: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """The places of the greatest scores, [rows, count], by torch: where two are equal, transformers takes torch's."""
    found: NDArray[np.int64] = torch.topk(torch.from_numpy(scores), count)[1].numpy()
    return found


@dataclass(frozen=True)
class Stops:
    """When a text ends.

    ends: the tokens that end one, if any does. padding: what follows an end. longest: tokens, with the prompt. others:
    further criteria of transformers.
    """

    ends: NDArray[np.int64] | None
    padding: int
    longest: int | None
    others: Sequence[Any]

    @classmethod
    def of(cls, criteria: Sequence[Any], settings: Any) -> Stops:
        """What `generate()` has prepared."""
        ends = [one.eos_token_id.numpy() for one in criteria if type(one) is EosTokenCriteria]
        lengths = [one.max_length for one in criteria if type(one) is MaxLengthCriteria]
        others = [one for one in criteria if type(one) not in (EosTokenCriteria, MaxLengthCriteria)]
        padding = settings._pad_token_tensor
        return cls(
            np.concatenate(ends) if ends else None,
            0 if padding is None else int(padding),
            min(lengths, default=None),
            others,
        )

    def reached(self, ids: torch.Tensor, last: NDArray[np.int64]) -> NDArray[np.bool_]:
        """By row of `ids` [rows, length], whether it ends with its `last` token [rows]."""
        if self.longest is not None and ids.shape[1] >= self.longest:
            ended = np.ones(len(ids), bool)
        elif self.ends is None:
            ended = np.zeros(len(ids), bool)
        else:
            ended = (last[:, None] == self.ends).any(axis=1)
        for criterion in self.others:
            ended = ended | criterion(ids, None).numpy()
        return ended


def _processed(processors: Sequence[Any], ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """The scores [rows, vocabulary] of the tokens that may follow `ids` [rows, length]; `scores` may be changed in place."""
    for processor in processors:  # transformers' list of them reads each one's signature at each call
        if type(processor) is NoRepeatNGramLogitsProcessor:
            _forbid_repeats(ids.numpy(), scores.numpy(), processor.ngram_size)
        else:
            scores = processor(ids, scores)
    return scores


def _forbid_repeats(ids: NDArray[np.int64], scores: NDArray[np.float32], size: int) -> None:
    """As transformers' processor, which goes through the whole vocabulary several times: no run of `size` tokens twice."""
    last = ids.shape[1] - size + 1  # where a run begins that the next token completes
    if last < 0:
        return
    same = np.ones((len(ids), last), bool)
    for place in range(size - 1):
        same &= ids[:, place : last + place] == ids[:, last + place, None]
    rows, places = same.nonzero()
    if len(rows):
        tokens = ids[rows, places + size - 1]
        known = tokens < scores.shape[1]  # a table of embeddings may be longer than the head
        scores[rows[known], tokens[known]] = -np.inf
