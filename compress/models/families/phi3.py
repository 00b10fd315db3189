"""Phi-3 and Phi-4-mini: Llama's layers, with one matrix for queries, keys and values, and one for neurons and their gates."""

from __future__ import annotations

from dataclasses import replace

from compress.models.families import llama

ARCHITECTURE = replace(
    llama.ARCHITECTURE,
    model_types=("phi3",),
    query="self_attn.qkv_proj",
    key="self_attn.qkv_proj",
    value="self_attn.qkv_proj",
    fused_qkv=True,
    ffn_in="mlp.gate_up_proj",
    ffn_gate="",
    gated_ffn=True,
    attention_heads="num_key_value_heads",
    attention_reads_config=True,
)
