"""What techniques need to know about a model family: the paths of its modules, and the config names of its sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class CrossAttention:
    """Where the parts of a decoder layer's attention to the encoder's states are, each within the layer."""

    query: str
    key: str
    value: str
    attention: str
    attention_output: str


@dataclass(frozen=True)
class Architecture:
    """Where the parts of one stack of layers are: an encoder, or a decoder.

    An encoder-decoder is the description of its encoder with that of its `decoder` in it. Paths are those of the whole
    model's `named_modules()`, so they begin with the family's prefix (`bert.`); those of the parts of a layer begin below
    the layer's module. A linear module may be one of GPT-2's `Conv1D`.
    """

    model_types: tuple[str, ...]
    """The `model_type` of the configs that are of this family."""
    layers: str
    """The path of the list of layers."""
    embeddings: str
    """The path of the embeddings: their output is hidden state 0, unless the model has an `embedding_projection`. Nothing where
    no module's output is (Marian)."""
    query: str
    """Within a layer: the linear module that makes the attention's queries, [batch, tokens, heads * head size].

    DeBERTa calls it a second time in each layer, for its relative positions: the first call is that of the tokens."""
    key: str
    """Within a layer: the one of the keys."""
    value: str
    """Within a layer: the one of the values."""
    attention_output: str
    """Within a layer: the linear module that mixes the heads' outputs."""
    attention: str
    """Within a layer: the module that cuts queries, keys and values into heads."""
    ffn_in: str
    """Within a layer: the linear module that makes the feed-forward neurons."""
    ffn_out: str
    """Within a layer: the linear module that reads them."""
    pooler: str = ""
    """The path of the linear module before the classifier; its outputs are no hidden states, if as many."""
    classifier: str = ""
    """The path of a classifier's linear module that gives the logits; generative models have none."""

    decoder: Architecture | None = None
    """Of an encoder-decoder: its other stack."""
    cross: CrossAttention | None = None
    """Of a decoder that reads an encoder's states: how."""
    variant: Callable[[Any], Architecture] | None = None
    """(config) -> the architecture of this very model, where a family has several."""

    fused_qkv: bool = False
    """Whether query, key and value are one module, whose output is the three of them one after another (ModernBERT, GPT-2)."""
    gated_ffn: bool = False
    """Whether `ffn_in` makes each neuron's value and, in a second half, its gate (GLU: Dauphin et al. 2017)."""
    ffn_gate: str = ""
    """Within a layer: the linear module that makes the neurons' gates, where it is one of its own (T5 1.1, Llama)."""
    pre_norm: bool = False
    """Whether norms stand before attention and feed-forward network, and what these give is added to what came in."""
    norm_before_sum: bool = False
    """Whether a further norm stands between what they give and that sum (Gemma 3)."""
    rotary: bool = False
    """Whether positions turn pairs of a head's dimensions (RoPE), so that a head is kept whole or not at all."""
    embedding_projection: str = ""
    """The path of the linear module between narrower embeddings and the layers, where a model has one."""
    position_query: str = ""
    """Within a layer: queries of relative positions, where a model has a module of its own for them (DeBERTa)."""
    position_key: str = ""
    """Within a layer: keys of relative positions, likewise."""
    pooler_norm: str = ""
    """The path of the norm between pooler and classifier, where a family has one."""
    head_tables: tuple[str, ...] = ()
    """Names of parameters shared by all layers whose last axis is the heads (MPNet's relative position bias)."""
    head_bias: str = ""
    """What `attention` calls the argument that brings it what came of those: [1, heads, queries, keys]."""
    made_head_bias: Callable[[Any, Any], Any] | None = None
    """Where the first layer's attention makes it itself, and each returns it second for the next one (T5): (attention, the
    call's arguments by name) -> the bias of all the table's heads."""
    attention_heads: str = "num_attention_heads"
    """The attribute of `attention` that holds its number of heads; nothing where it reads that off its tensors."""
    attention_width: str = "all_head_size"
    """The attribute of `attention` that holds heads * head size, likewise."""
    attention_reads_config: bool = False
    """Whether `attention` reads its number of heads off the model's config at each call (Phi-3)."""

    starts_from: Literal["padding", "beginning", "end"] = "beginning"
    """Of an encoder-decoder: the token that its decoder starts from. mBART's is trained to start from a target's last one."""

    layer_count: str = "num_hidden_layers"
    """The config's name for the number of layers."""
    head_count: str = "num_attention_heads"
    """The config's name for the number of heads."""
    key_value_head_count: str = ""
    """The config's name for the number of heads of keys and values, each read by several of queries (grouped-query
    attention: Ainslie et al. 2023). Such a group is what is kept or goes."""
    head_width: str = ""
    """The config's name for the width of a head, where it need not be hidden width / heads."""
    hidden_width: str = "hidden_size"
    """The config's name for the width of the hidden states."""
    ffn_width: str = "intermediate_size"
    """The config's name for the number of feed-forward neurons."""
    embedding_width: str = ""
    """The config's name for the width of the embeddings, where they may be narrower than the hidden states."""
    also_hidden_width: tuple[str, ...] = ()
    """Further names in the config for the width of the hidden states."""

    shares_layers: bool = False
    """Whether all layers are one set of weights applied again and again (ALBERT)."""
    first_layer_differs: bool = False
    """Whether the first layer is built otherwise than the rest, so that a student should keep it (ModernBERT)."""
    layer_config: Callable[[Any, Sequence[int]], dict[str, Any]] = lambda config, kept: {}
    """(config, kept layers) -> further settings of the config that are lists by layer."""

    scales_scores: Callable[[Any], bool] = lambda config: True
    """(config) -> whether attention scores are divided by the root of the head size; T5's are `Q K^T` as they are."""
    scales_embeddings: Callable[[Any], bool] = lambda config: False
    """(config) -> whether embeddings are multiplied by the root of the hidden width."""
    scales_head: Callable[[Any], bool] = lambda config: False
    """(config) -> whether what the output head reads is divided by the root of the hidden width (T5)."""
    norms_add_one: bool = False
    """Whether norms multiply by 1 + weight (Gemma)."""
    sinusoidal: bool = False
    """Whether positions are sines computed from the hidden width, not weights (Marian, Pegasus)."""

    why_not: Callable[[Any], str] = lambda config: ""
    """(config) -> why such a model cannot be worked with, in words that go on after a colon; nothing where it can."""

    @property
    def stacks(self) -> tuple[Architecture, ...]:
        """Itself, and its decoder if it has one."""
        return (self,) if self.decoder is None else (self, self.decoder)


def own_layer_types(config: Any, kept: Sequence[int]) -> dict[str, Any]:
    """A `layer_config`: each kept layer keeps its own type of attention, whatever its new place."""
    return {"layer_types": [config.layer_types[index] for index in kept]}
