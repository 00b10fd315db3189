"""RoBERTa: BERT's layers, with positions that start after the padding index."""

from __future__ import annotations

from compress.architectures.architecture import Architecture

ARCHITECTURE = Architecture(model_types=("roberta",), layers="roberta.encoder.layer")
