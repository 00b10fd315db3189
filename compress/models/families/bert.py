"""BERT: post-norm layers below one encoder."""

from __future__ import annotations

from compress.models.families.architecture import Architecture

ARCHITECTURE = Architecture(
    model_types=("bert",),
    layers="bert.encoder.layer",
    embeddings="bert.embeddings",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    attention="attention.self",
    attention_output="attention.output.dense",
    ffn_in="intermediate.dense",
    ffn_out="output.dense",
    pooler="bert.pooler.dense",
    classifier="classifier",
)
