"""Llama: a pre-norm decoder with rotary positions, gated neurons, and heads of queries in groups."""

from __future__ import annotations

from compress.models.families.architecture import Architecture

ARCHITECTURE = Architecture(
    model_types=("llama",),
    layers="model.layers",
    embeddings="model.embed_tokens",
    query="self_attn.q_proj",
    key="self_attn.k_proj",
    value="self_attn.v_proj",
    attention="self_attn",
    attention_output="self_attn.o_proj",
    ffn_in="mlp.up_proj",
    ffn_gate="mlp.gate_proj",
    ffn_out="mlp.down_proj",
    attention_heads="",  # its numbers of heads are what its tensors hold
    attention_width="",
    pre_norm=True,
    rotary=True,
    key_value_head_count="num_key_value_heads",
    head_width="head_dim",
)
