"""MPNet: BERT's layers, with one relative position bias for all of them."""

from __future__ import annotations

from compress.models.families.architecture import Architecture

ARCHITECTURE = Architecture(
    model_types=("mpnet",),
    layers="mpnet.encoder.layer",
    embeddings="mpnet.embeddings",
    query="attention.attn.q",
    key="attention.attn.k",
    value="attention.attn.v",
    attention="attention.attn",
    attention_output="attention.attn.o",
    ffn_in="intermediate.dense",
    ffn_out="output.dense",
    pooler="classifier.dense",
    classifier="classifier.out_proj",
    head_tables=("mpnet.encoder.relative_attention_bias.weight",),
    head_bias="position_bias",
)
