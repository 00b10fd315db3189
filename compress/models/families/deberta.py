"""DeBERTa-v2 and v3: disentangled attention, with one table of relative positions for all layers."""

from __future__ import annotations

from compress.models.families.architecture import Architecture

ARCHITECTURE = Architecture(
    model_types=("deberta-v2",),
    layers="deberta.encoder.layer",
    embeddings="deberta.embeddings",  # these project within themselves where their width differs
    query="attention.self.query_proj",
    key="attention.self.key_proj",
    value="attention.self.value_proj",
    attention="attention.self",
    attention_output="attention.output.dense",
    ffn_in="intermediate.dense",
    ffn_out="output.dense",
    pooler="pooler.dense",
    classifier="classifier",
    position_query="attention.self.pos_query_proj",  # v3 has neither: it shares the content's (share_att_key)
    position_key="attention.self.pos_key_proj",
    embedding_width="embedding_size",
    also_hidden_width=("pooler_hidden_size",),
)
