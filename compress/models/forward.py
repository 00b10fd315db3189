"""Runs a model on a batch: its layers alone, or for its answers, a generative model's where the labels count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from compress.core.labels import NO_LABEL, inputs_of
from compress.models.families.families import family
from compress.models.kinds import kind_of_model
from compress.models.output_head import logits_at
from compress.tasks.kinds.answers import Answers
from compress.tasks.kinds.losses import in_fp32

STATES = "encoder_states"
"""What a batch has the states of an encoder that stands still under, [batch, source tokens, width]."""


def logits_and_labels(model: Any, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """A generative model's logits for a batch, and the labels at the same positions.

    Args:
        model: an encoder-decoder or a decoder.
        batch: `input_ids` and `attention_mask` [batch, tokens], `labels` [batch, tokens], -100 where nothing is counted;
            padded on the right.

    Returns:
        Logits [batch, tokens, vocabulary], and labels [batch, tokens]. A decoder's have a token less, since its logits at a
        token are for the next one.
    """
    inputs, labels = _arguments(model, batch, {name: batch[name] for name in ("input_ids", "attention_mask")})
    return model(**inputs).logits[:, : labels.shape[1]], labels


def run_layers(model: Any, batch: Mapping[str, Any]) -> None:
    """One pass of a model for the hooks on its layers; the logits of a generative model are not computed.

    Args:
        batch: on the model's device; of a generative model as `logits_and_labels` takes it.
    """
    if kind_of_model(model).generates:
        inputs, places = arguments_and_places(model, batch)
        logits_at(model, inputs, torch.zeros_like(places))
    else:
        # Without a cache: a decoder's would come to its layers' hooks among their arguments.
        model(**inputs_of(batch), **({} if family(model.config).classifier else {"use_cache": False}))


def answers(model: Any, batch: Mapping[str, Any], *, inside: Any = None, states: bool = False) -> Answers:
    """The answers of a model to a batch, see `Kind.answers`; of a generative one its scores of all tokens wherever a label
    counts: no other logits are computed.

    Args:
        batch: what the kind's `collate` makes.
        inside: the bare model, where `model` is a wrapper of it.
        states: whether the batch's `STATES`, where it has them, are those of this model's encoder.
    """
    bare = model if inside is None else inside
    kind = kind_of_model(bare)
    if not kind.generates:
        given = kind.named(model(**inputs_of(batch)))
        found = kind.answers(given, batch)
        return found if kind.batch_loss is None else replace(found, batch_loss=kind.batch_loss(given, batch))
    read = read_of(batch) if states else {name: batch[name] for name in ("input_ids", "attention_mask")}
    inputs, labels = _arguments(bare, batch, read)
    counted = labels != NO_LABEL
    logits = logits_at(model, inputs, _places(bare, counted), inside=inside)
    return Answers(logits, labels[counted], counted.nonzero()[:, 0])


def arguments_and_places(model: Any, batch: Mapping[str, Any]) -> tuple[dict[str, Any], Tensor]:
    """A generative model's arguments for a batch, and at which of the tokens that its decoder reads a label counts.

    Args:
        batch: as `logits_and_labels` takes it.

    Returns:
        The arguments by name, and true where the logits count, [batch, tokens], boolean.
    """
    inputs, labels = _arguments(model, batch, {name: batch[name] for name in ("input_ids", "attention_mask")})
    return inputs, _places(model, labels != NO_LABEL)


def _places(bare: Any, counted: Tensor) -> Tensor:
    """Where a label counts, by token: a decoder's last token predicts none."""
    return counted if bare.config.is_encoder_decoder else F.pad(counted, (0, 1))


def _arguments(bare: Any, batch: Mapping[str, Any], read: Mapping[str, Any]) -> tuple[dict[str, Any], Tensor]:
    """A model's arguments, and the labels at the positions of its logits."""
    labels: Tensor = batch["labels"]
    if not bare.config.is_encoder_decoder:
        return {**read, "use_cache": False}, labels[:, 1:]
    # Without the labels themselves, since the model would compute its own loss of them beside ours.
    written = bare.prepare_decoder_input_ids_from_labels(labels=labels)
    return {**read, "decoder_input_ids": written, "use_cache": False}, labels


def read_of(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The encoder inputs of a batch: cached encoder states if it has them, else token ids."""
    from transformers.modeling_outputs import BaseModelOutput

    read = {"attention_mask": batch["attention_mask"]}
    if STATES in batch:
        return {"encoder_outputs": BaseModelOutput(last_hidden_state=in_fp32(batch[STATES])), **read}
    return {"input_ids": batch["input_ids"], **read}
