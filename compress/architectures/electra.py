"""ELECTRA: BERT's layers, with embeddings that may be narrower."""

from __future__ import annotations

from compress.architectures.architecture import Architecture

ARCHITECTURE = Architecture(model_types=("electra",), layers="electra.encoder.layer")
