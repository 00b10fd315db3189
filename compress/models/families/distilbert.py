"""DistilBERT: BERT's layers under other names, without token types and pooler."""

from __future__ import annotations

from compress.models.families.architecture import Architecture

ARCHITECTURE = Architecture(
    model_types=("distilbert",),
    layers="distilbert.transformer.layer",
    embeddings="distilbert.embeddings",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    attention="attention",
    attention_output="attention.out_lin",
    ffn_in="ffn.lin1",
    ffn_out="ffn.lin2",
    attention_heads="n_heads",
    attention_width="",
    pooler="pre_classifier",
    classifier="classifier",
    layer_count="n_layers",
    head_count="n_heads",
    hidden_width="dim",
    ffn_width="hidden_dim",
)
