"""ALBERT: one set of weights, applied as often as the config says."""

from __future__ import annotations

from compress.models.families.architecture import Architecture

ARCHITECTURE = Architecture(
    model_types=("albert",),
    layers="albert.encoder.albert_layer_groups",
    embeddings="albert.embeddings",
    embedding_projection="albert.encoder.embedding_hidden_mapping_in",
    embedding_width="embedding_size",
    query="albert_layers.0.attention.query",  # every published ALBERT has one layer in a group
    key="albert_layers.0.attention.key",
    value="albert_layers.0.attention.value",
    attention="albert_layers.0.attention",
    attention_output="albert_layers.0.attention.dense",
    ffn_in="albert_layers.0.ffn",
    ffn_out="albert_layers.0.ffn_output",
    pooler="albert.pooler",
    classifier="classifier",
    shares_layers=True,
)
