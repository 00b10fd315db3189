"""The teacher's distributions of the next token: whole, or its k likeliest tokens and the rest as one bucket.

A vocabulary has tens of thousands of tokens, and nearly all of the teacher's mass lies on a few. Both distributions are
coarsened alike: the k tokens stay, all others are added up. A divergence of the coarsened two is never above that of the whole
ones (the log-sum inequality: f-divergences do not grow when outcomes are merged; Cover & Thomas, "Elements of Information
Theory", theorem 2.7.1), so what is lost is at least 0, and it can be measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from compress.core.labels import NO_LABEL
from compress.models.output_head import logits_at

LOWEST = -60.0
"""A log-probability below which there is nothing to learn: of a bucket that is empty it would be minus infinity."""


PARTS = ("log_probabilities", "ids", "rest")
STATES = "encoder_states"
"""What a batch has the states of an encoder that stands still under, [batch, source tokens, width]."""
PREFIX = "teacher.next."
"""What the names begin with that a batch has a teacher's distributions under."""


@dataclass(frozen=True)
class NextTokens:
    """A teacher's softened distribution after each of some tokens."""

    log_probabilities: Tensor
    """[..., k], the likeliest first, or of all tokens in their order, [..., vocabulary], where `ids` is None."""
    ids: Tensor | None = None
    """Which tokens those are, [..., k], int64."""
    rest: Tensor | None = None
    """The log of what all other tokens have together, [...]."""

    def at(self, mask: Tensor) -> NextTokens:
        """Those of the tokens where a boolean mask of the leading dimensions is true, [true ones, ...]."""
        some = (None if one is None else one[mask] for one in (self.ids, self.rest))
        return NextTokens(self.log_probabilities[mask], *some)


def whole(logits: Tensor, temperature: float) -> NextTokens:
    """All of a teacher's softened distribution: `softmax(logits / T)`, in fp32, without a gradient."""
    return NextTokens(F.log_softmax(_fp32(logits.detach()) / temperature, dim=-1))


def top_k(logits: Tensor, k: int, temperature: float) -> NextTokens:
    """The k likeliest tokens of a teacher's softened distribution, and the log of the others' mass.

    The rest's mass is summed, not taken as one minus the sum of the k, which would leave rounding errors where it is small.

    Args:
        logits: [..., vocabulary].
        k: how many tokens; no more than there are.
        temperature: T, above 0. It belongs to the result: the rest's mass at another one cannot be known from it.
    """
    log = whole(logits, temperature).log_probabilities
    kept, ids = log.topk(min(k, log.shape[-1]), dim=-1)
    return NextTokens(kept, ids, _of_others(log, ids).clamp(min=LOWEST))


def alike(student: Tensor, teacher: NextTokens, temperature: float) -> tuple[Tensor, Tensor]:
    """The student's and the teacher's log-probabilities of the same outcomes: all tokens, or the k and the rest.

    Args:
        student: logits, [..., vocabulary].
        teacher: its distributions at the same temperature.

    Returns:
        Two tensors, [..., vocabulary] or [..., k + 1], in fp32.
    """
    softened = _fp32(student) / temperature
    if teacher.ids is None or teacher.rest is None:
        return F.log_softmax(softened, dim=-1), teacher.log_probabilities
    kept = softened.gather(-1, teacher.ids)
    found = torch.cat([kept, _of_others(softened, teacher.ids)[..., None]], dim=-1)
    # The logsumexp of these outcomes is that of the whole vocabulary, which is so read only once.
    ours = found - torch.logsumexp(found, dim=-1, keepdim=True)
    theirs = torch.cat([_fp32(teacher.log_probabilities), _fp32(teacher.rest)[..., None]], dim=-1)
    return ours.clamp(min=LOWEST), theirs


def mass(teacher: NextTokens) -> Tensor:
    """How much of the teacher's distribution its k tokens have, [...]: a share."""
    return _fp32(teacher.log_probabilities).exp().sum(-1)


def in_batch(batch: Mapping[str, Any], tokens: int) -> NextTokens:
    """The distributions that a batch brings, at the places of its predictions.

    Args:
        batch: with `PARTS` under `PREFIX`, at each label, [batch, label tokens, ...].
        tokens: how many places `logits_and_labels` has: of a decoder one less than labels.
    """
    log_probabilities, ids, rest = (batch[f"{PREFIX}{name}"][:, -tokens:] for name in PARTS)
    return NextTokens(log_probabilities, ids.long(), rest)


def logits_and_labels(model: Any, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """What a generative model predicts for a batch, and what stands there: at the same places.

    Args:
        model: an encoder-decoder or a decoder.
        batch: `input_ids` and `attention_mask` [batch, tokens], `labels` [batch, tokens], -100 where nothing is counted;
            padded on the right.

    Returns:
        Logits [batch, tokens, vocabulary], and labels [batch, tokens]. A decoder's have a token less, since its logits at a
        token are for the next one.
    """
    inputs, labels = _asked(model, batch, {name: batch[name] for name in ("input_ids", "attention_mask")})
    return model(**inputs).logits[:, : labels.shape[1]], labels


def counted_logits(
    model: Any, batch: Mapping[str, Any], *, inside: Any = None, states: bool = False
) -> tuple[Tensor, Tensor]:
    """`logits_and_labels` where a label counts: no other logits are computed.

    Args:
        inside: the bare model, where `model` is a wrapper of it.
        states: whether the batch's `STATES`, where it has them, are those of this model's encoder.

    Returns:
        Logits row after row, [labels that count, vocabulary], and all labels [batch, tokens].
    """
    bare = model if inside is None else inside
    read = read_of(batch) if states else {name: batch[name] for name in ("input_ids", "attention_mask")}
    inputs, labels = _asked(bare, batch, read)
    counted = labels != NO_LABEL
    places = counted if bare.config.is_encoder_decoder else F.pad(counted, (0, 1))  # its last token foretells none
    return logits_at(model, inputs, places, inside=inside), labels


def _asked(bare: Any, batch: Mapping[str, Any], read: Mapping[str, Any]) -> tuple[dict[str, Any], Tensor]:
    """What a model is called with, and the labels at the places of its logits."""
    labels: Tensor = batch["labels"]
    if not bare.config.is_encoder_decoder:
        return {**read, "use_cache": False}, labels[:, 1:]
    # Without the labels themselves, since the model would compute its own loss of them beside ours.
    written = bare.prepare_decoder_input_ids_from_labels(labels=labels)
    return {**read, "decoder_input_ids": written, "use_cache": False}, labels


def read_of(batch: Mapping[str, Any]) -> dict[str, Any]:
    """What a model reads of a batch's sources: the states of its encoder where the batch brings them, else token ids."""
    from transformers.modeling_outputs import BaseModelOutput

    read = {"attention_mask": batch["attention_mask"]}
    if STATES in batch:
        return {"encoder_outputs": BaseModelOutput(last_hidden_state=_fp32(batch[STATES])), **read}
    return {"input_ids": batch["input_ids"], **read}


def _of_others(values: Tensor, ids: Tensor) -> Tensor:
    """The logsumexp over all tokens but those, [...]."""
    return torch.logsumexp(values.scatter(-1, ids, -torch.inf), dim=-1)


def _fp32(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
