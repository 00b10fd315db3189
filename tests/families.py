"""The one registry of test families: a tiny config of each, and the traits that set it apart. Every test takes its list here.

To add a family, write its file in `compress/models/families/` and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

Trait = Literal["fusible", "grouped", "fused", "tied", "windowed", "sinusoidal", "attention of its own", "no file"]
"""fusible: its attention becomes ONNX Runtime's own operator in an export (encoders).
grouped: several heads of queries read one head of keys and values.
fused: queries, keys and values are made by one matrix.
tied: its output head is its table of embeddings.
windowed: attention that looks back a few tokens only, in some layers.
sinusoidal: positions are sines, which are neither trained nor saved.
attention of its own: transformers offers no other implementation of it.
no file: `compress/models/families/` does not describe it; it opens, exports and is quantized."""


@dataclass(frozen=True)
class Family:
    """A `model_type` with a config so small that a model of it is made in a moment."""

    kind: Literal["encoder", "seq2seq", "decoder"]
    config: Mapping[str, Any]
    """Without the number of layers."""
    traits: frozenset[Trait] = frozenset()
    is_like: str = ""
    """The family that it is to the letter: what holds for that one is not tested again."""
    seed: int = 1
    """Of random weights by which what a `strong_generator` writes differs from input to input."""
    layers: tuple[str, ...] = ()
    """What its config calls the number of layers, and `widths` all widths; both empty where the family's file says so."""
    widths: tuple[str, ...] = ()


BERT = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 128}
BART = {
    "d_model": 32,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 128,
}
LLAMA = {
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
}


def of(kind: Any, config: Mapping[str, Any], *traits: Trait, **others: Any) -> Family:
    """A family of a kind."""
    return Family(kind, config, frozenset(traits), **others)


FAMILIES: dict[str, Family] = {
    "bert": of("encoder", BERT, "fusible"),
    "distilbert": of("encoder", {"dim": 64, "n_heads": 4, "hidden_dim": 128}, "fusible"),
    "roberta": of("encoder", {**BERT, "type_vocab_size": 1}, "fusible"),
    "xlm-roberta": of("encoder", {**BERT, "type_vocab_size": 1}, "fusible", is_like="roberta"),
    "camembert": of("encoder", {**BERT, "type_vocab_size": 1}, "fusible", is_like="roberta"),
    "electra": of("encoder", {**BERT, "embedding_size": 32}, "fusible"),
    "albert": of("encoder", {**BERT, "embedding_size": 32}, "fusible"),
    "mpnet": of("encoder", BERT, "fusible", "attention of its own"),
    "deberta-v2": of(
        "encoder",
        {
            **BERT,
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_buckets": 16,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "max_relative_positions": -1,
            "position_biased_input": False,
        },
        "attention of its own",
    ),
    "modernbert": of("encoder", {**BERT, "global_attn_every_n_layers": 3, "local_attention": 8}, "fused", "windowed"),
    "t5": of(
        "seq2seq",
        {
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 64,
            "num_heads": 4,
            "feed_forward_proj": "gated-gelu",
            "relative_attention_num_buckets": 16,
            "relative_attention_max_distance": 40,
        },
        "tied",
        "attention of its own",
    ),
    "bart": of("seq2seq", BART, "tied"),
    "mbart": of("seq2seq", BART, "tied"),
    "marian": of("seq2seq", BART, "tied", "sinusoidal", seed=10),
    "pegasus": of("seq2seq", BART, "tied", "sinusoidal", seed=2),
    "gpt2": of("decoder", {"n_embd": 32, "n_head": 4, "n_positions": 128}, "tied", "fused"),
    "llama": of("decoder", LLAMA, "grouped"),
    "qwen2": of(
        "decoder",
        {**LLAMA, "use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1},
        "grouped",
        "windowed",
    ),
    "qwen3": of("decoder", {**LLAMA, "head_dim": 16}, "grouped"),
    "gemma3_text": of(
        "decoder",
        {**LLAMA, "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 6, "sliding_window_pattern": 2},
        "grouped",
        "tied",
        "windowed",
    ),
    "phi3": of("decoder", {**LLAMA, "sliding_window": 10}, "grouped", "fused", "windowed"),
    "bloom": of(
        "decoder",
        {"hidden_size": 32, "n_head": 4},
        "tied",
        "fused",
        "no file",
        layers=("n_layer",),
        widths=("hidden_size",),
    ),
}


def of_kind(*kinds: str) -> tuple[str, ...]:
    """The names of all families of a kind, but for those like another and those that no file describes."""
    return tuple(
        name for name, one in FAMILIES.items() if one.kind in kinds and not one.is_like and "no file" not in one.traits
    )


ENCODERS, SEQ2SEQ, DECODERS = of_kind("encoder"), of_kind("seq2seq"), of_kind("decoder")
GENERATIVE = SEQ2SEQ + DECODERS
EXPORTABLE = (*GENERATIVE, *(name for name, one in FAMILIES.items() if "no file" in one.traits))
"""Generative models of all families and those of no file."""
LIKE_ROBERTA = tuple(name for name, one in FAMILIES.items() if one.is_like == "roberta")
ONE_OF_EACH = ("bart", "gpt2")
"""A sequence-to-sequence model and a decoder, for a method that is tested with one family of each."""


def having(trait: Trait, names: tuple[str, ...] = tuple(FAMILIES)) -> tuple[str, ...]:
    """Those of some families with a trait."""
    return tuple(name for name in names if trait in FAMILIES[name].traits)


def slow_but(*fast: str, names: tuple[str, ...] = EXPORTABLE) -> list[Any]:
    """Parameters of a test: all names, each marked slow but for a few."""
    return [pytest.param(name, marks=() if name in fast else pytest.mark.slow) for name in names]


def is_seq2seq(name: str) -> bool:
    """Whether it has an encoder and a decoder."""
    return name in SEQ2SEQ


def embeddings_of(model: Any) -> Any:
    """The module whose output is hidden state 0: what the first layer reads."""
    from compress.models.families.families import family
    from compress.models.layers import projects_embeddings

    architecture = family(model.config)
    return model.get_submodule(
        architecture.embedding_projection if projects_embeddings(model) else architecture.embeddings
    )


def config(name: str, *, layers: int = 0, times: int = 1) -> dict[str, Any]:
    """The tiny config of a family; unknown ones have Llama's.

    Args:
        layers: how many, of each stack; as transformers has them where it is 0.
        times: so many times as wide, so that its matrices are worth quantizing.
    """
    from compress.models.families.families import architectures

    one = FAMILIES.get(name, FAMILIES["llama"])
    depth, widths = set(one.layers), set(one.widths)
    for stack in () if depth else architectures()[name if name in FAMILIES else "llama"].stacks:
        depth.add(stack.layer_count)
        widths |= {stack.hidden_width, stack.ffn_width, stack.head_width}
    made = {key: value * times if key in widths else value for key, value in one.config.items()}
    return made | (dict.fromkeys(sorted(depth), layers) if layers else {})
