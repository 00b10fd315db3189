"""Classifiers that read their answer off one token of the text: encoders off the first, decoders (GPT-2, Llama, Qwen2) off the
last one, encoder-decoders (BART, T5) off the last end of text.

Which tokens the last two are depends on the padding. transformers looks for them in ways that cannot be traced (an
encoder-decoder's), or refuses a batch (a decoder whose config names no padding token); they are found here so that each row of a
batch gets the answer it gets alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from compress.core.errors import CompressError
from compress.models.families.families import family
from compress.models.kinds import kind_of_model
from compress.tasks.kinds.kind import Kind

TRACED = "output."
"""What the names of a traceable module's outputs begin with: a graph names inner values by what makes them, `embedding` say."""


def reads_first_token(model: Any) -> bool:
    """Whether only the first token's last hidden state is read: by an encoder that classifies texts and does not average over all
    tokens (ModernBERT's `classifier_pooling: mean`). All others need the last layer's output at other tokens."""
    averages = getattr(model.config, "classifier_pooling", "cls") == "mean"
    return bool(family(model.config).classifier) and _classifies_rows(model) and not averages


def reads_last_token(model: Any) -> bool:
    """Whether it is a decoder that classifies texts by the last token that is no padding."""
    return hasattr(model, "score") and not model.config.is_encoder_decoder and _classifies_rows(model)


def _classifies_rows(model: Any) -> bool:
    """Whether it has one answer for each text; models that classify tokens have one for each word."""
    return all(one.of == "row" for one in kind_of_model(model).outputs)


def reads_end_of_text(model: Any) -> bool:
    """Whether it is an encoder-decoder that classifies by its decoder's state at the last end of text."""
    return bool(model.config.is_encoder_decoder) and hasattr(model, "classification_head")


def outputs(model: Any, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a model gives by the names of its kind's outputs, each [batch, ...], see `compress.tasks.kinds.kind.Output`.

    Where the model takes single rows only, each is read alone, without its padding.

    Raises:
        CompressError: an encoder-decoder gets rows that it cannot read together, as one with an end of text in its midst.
    """
    kind = kind_of_model(model)
    if not (reads_last_token(model) and model.config.pad_token_id is None and len(feeds["input_ids"]) > 1):
        try:
            return _named(kind, model(**feeds))
        except ValueError as error:
            reason = str(error).split("\n", 1)[0].rstrip(".")
            raise CompressError(f"{type(model).__name__} cannot read these rows in one batch: {reason}.") from error
    found = [
        _named(kind, model(**{name: value[row : row + 1, mask] for name, value in feeds.items()}))
        for row, mask in enumerate(feeds["attention_mask"].bool())
    ]
    return {name: torch.cat([one[name] for one in found]) for name in found[0]}


def _named(kind: Kind, found: Mapping[str, Any]) -> dict[str, Tensor]:
    """The kind's outputs; every tensor of a model that has none of them, as a base or one of a kind that is not handled."""
    if any(one.name in found for one in kind.outputs):
        return kind.named(found)
    return {name: value for name, value in found.items() if isinstance(value, Tensor)}


class _Outputs(nn.Module):
    """A model with only its kind's outputs."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.kind = kind_of_model(model)

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        return {f"{TRACED}{name}": value for name, value in self.kind.named(self.model(**inputs)).items()}


class _OffLastToken(nn.Module):
    """If the config has no padding token, the mask marks padding."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        body = getattr(self.model, self.model.base_model_prefix)
        states = body(input_ids, attention_mask=attention_mask, use_cache=False).last_hidden_state
        return {f"{TRACED}logits": self.model.score(_at_last(states, attention_mask))}


class _OffEndOfText(nn.Module):
    """Of several ends of text the last one is read, as transformers does."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        body = getattr(self.model, self.model.base_model_prefix)
        begun = {"decoder_input_ids": self.model._shift_right(input_ids)} if hasattr(self.model, "_shift_right") else {}
        states = body(input_ids, attention_mask=attention_mask, use_cache=False, **begun).last_hidden_state
        ends = input_ids == self.model.config.eos_token_id
        return {f"{TRACED}logits": self.model.classification_head(_at_last(states, ends))}


def traceable(model: Any) -> nn.Module:
    """A module that holds a model as `model`, takes what it takes, and gives its kind's outputs alone, named behind `TRACED`."""
    if reads_end_of_text(model):
        return _OffEndOfText(model)
    if reads_last_token(model) and model.config.pad_token_id is None:
        return _OffLastToken(model)
    return _Outputs(model)


def _at_last(states: Tensor, chosen: Tensor) -> Tensor:
    """Of states [batch, tokens, width] those at each row's last chosen token, [batch, width]."""
    places = torch.arange(states.shape[1], device=states.device)
    last = (places * chosen.to(places.dtype)).argmax(-1)
    return states[torch.arange(states.shape[0], device=states.device), last]
