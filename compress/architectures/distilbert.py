"""DistilBERT: BERT's layers under other names, without token types and pooler."""

from __future__ import annotations

from compress.architectures.architecture import Architecture

ARCHITECTURE = Architecture(model_types=("distilbert",), layers="distilbert.transformer.layer", layer_count="n_layers")
