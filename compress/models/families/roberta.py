"""RoBERTa, and XLM-RoBERTa and CamemBERT, which are RoBERTa with other vocabularies: BERT's layers, with positions that start
after the padding index."""

from __future__ import annotations

from compress.models.families.architecture import Architecture

ARCHITECTURE = Architecture(
    model_types=("roberta", "xlm-roberta", "camembert"),
    layers="roberta.encoder.layer",
    embeddings="roberta.embeddings",
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
