"""GPT-2: a pre-norm decoder of `Conv1D` modules, query, key and value made by one of them."""

from __future__ import annotations

from compress.models.families.architecture import Architecture

ARCHITECTURE = Architecture(
    model_types=("gpt2",),
    layers="transformer.h",
    embeddings="transformer.drop",  # behind the sum of tokens and positions
    query="attn.c_attn",
    key="attn.c_attn",
    value="attn.c_attn",
    attention="attn",
    attention_output="attn.c_proj",
    ffn_in="mlp.c_fc",
    ffn_out="mlp.c_proj",
    attention_heads="num_heads",
    attention_width="split_size",
    fused_qkv=True,
    pre_norm=True,
    layer_count="n_layer",
    head_count="n_head",
    hidden_width="n_embd",
    ffn_width="n_inner",  # None means 4 times the hidden width
    scales_scores=lambda config: bool(config.scale_attn_weights),
)
