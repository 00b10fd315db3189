"""Cuts a model's embeddings and output head to some of its tokens, and renumbers the token ids in its configs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

ENDINGS = ("_token_id", "_token_ids")
LISTS = ("suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "sequence_bias")
"""Settings that name tokens, beside those that end in `_token_id`."""


def named_ids(model: Any) -> set[int]:
    """The token ids that a model's configs name and its embeddings have."""
    rows = model.get_input_embeddings().weight.shape[0]
    found: set[int] = set()
    for config in _configs(model):
        for _, value in _of_tokens(config):
            _renumbered(value, {}, found)
    return {one for one in found if 0 <= one < rows}


def keep_tokens_(model: Any, ids: Sequence[int]) -> None:
    """Keeps the embeddings of some tokens, and the rows of the output head, in this order, in place.

    (transformers' `resize_token_embeddings` keeps the first rows, and of an encoder-decoder whose tables are not tied one table.)

    Args:
        ids: former ids; their places are the new ones. All of `named_ids` are among them.
    """
    new = {one: place for place, one in enumerate(ids)}
    index = torch.tensor(ids, device=model.get_input_embeddings().weight.device)
    cut: dict[int, torch.nn.Parameter] = {}  # what is tied stays tied
    for module, name in _tables(model):
        whole = getattr(module, name)
        if id(whole) not in cut:
            cut[id(whole)] = torch.nn.Parameter(whole.detach()[index], requires_grad=whole.requires_grad)
        setattr(module, name, cut[id(whole)])
        if isinstance(module, torch.nn.Embedding):
            module.num_embeddings = len(ids)
            module.padding_idx = None if module.padding_idx is None else new.get(module.padding_idx)
        else:
            module.out_features = len(ids)
    bias = getattr(model, "final_logits_bias", None)  # BART's, [1, tokens]
    if bias is not None:
        model.register_buffer("final_logits_bias", bias[:, index])
    for config in _configs(model):
        for name, value in list(_of_tokens(config)):
            setattr(config, name, _renumbered(value, new, set()))
    model.config.get_text_config().vocab_size = len(ids)
    if hasattr(model.config, "decoder_vocab_size"):  # Marian's
        model.config.decoder_vocab_size = len(ids)


def _tables(model: Any) -> Iterator[tuple[torch.nn.Module, str]]:
    """The parameters with a row for each token: of the embeddings, of each side of an encoder-decoder, and of the output head."""
    sides = ("get_encoder", "get_decoder") if model.config.is_encoder_decoder else ()
    modules = [model.get_input_embeddings(), *(getattr(model, side)().get_input_embeddings() for side in sides)]
    modules += [getattr(model.base_model, "shared", None), model.get_output_embeddings()]  # Marian's has a third table
    for module in {id(one): one for one in modules if one is not None}.values():
        for name in ("weight", "bias"):
            if getattr(module, name, None) is not None:
                yield module, name


def _configs(model: Any) -> Iterator[Any]:
    """The model's config, those within it, and its generation config."""
    from transformers import PretrainedConfig

    waiting = [model.config]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += [value for value in vars(one).values() if isinstance(value, PretrainedConfig)]
    if getattr(model, "generation_config", None) is not None:
        yield model.generation_config


def _of_tokens(config: Any) -> Iterator[tuple[str, Any]]:
    for name, value in vars(config).items():
        if value is not None and (name.endswith(ENDINGS) or name in LISTS):
            yield name, value


def _renumbered(value: Any, new: Mapping[int, int], found: set[int]) -> Any:
    """A token id, or ids in lists, tuples and keys, with their new numbers; `found` gets the former ones."""
    if isinstance(value, int) and not isinstance(value, bool):
        found.add(value)
        return new.get(value, value)
    if isinstance(value, Mapping):
        return {_renumbered(one, new, found): factor for one, factor in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_renumbered(one, new, found) for one in value)
    return value
