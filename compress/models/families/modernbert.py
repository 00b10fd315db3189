"""ModernBERT: pre-norm layers that alternate between global and local attention."""

from __future__ import annotations

from compress.models.families.architecture import Architecture, own_layer_types

ARCHITECTURE = Architecture(
    model_types=("modernbert",),
    layers="model.layers",
    embeddings="model.embeddings",
    query="attn.Wqkv",
    key="attn.Wqkv",
    value="attn.Wqkv",
    attention="attn",
    attention_output="attn.Wo",
    ffn_in="mlp.Wi",
    ffn_out="mlp.Wo",
    attention_heads="",  # its number of heads is what its tensors hold
    attention_width="",
    pooler="head.dense",
    classifier="classifier",
    pooler_norm="head.norm",
    fused_qkv=True,
    gated_ffn=True,
    pre_norm=True,
    rotary=True,
    first_layer_differs=True,  # its first layer has no norm before its attention, the embeddings' norm takes its place
    layer_config=own_layer_types,
)
