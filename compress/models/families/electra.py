"""ELECTRA: BERT's layers, with embeddings that may be narrower."""

from __future__ import annotations

from compress.models.families.architecture import Architecture

ARCHITECTURE = Architecture(
    model_types=("electra",),
    layers="electra.encoder.layer",
    embeddings="electra.embeddings",
    embedding_projection="electra.embeddings_project",  # only where the two widths differ
    embedding_width="embedding_size",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    attention="attention.self",
    attention_output="attention.output.dense",
    ffn_in="intermediate.dense",
    ffn_out="output.dense",
    pooler="classifier.dense",
    classifier="classifier.out_proj",
)
