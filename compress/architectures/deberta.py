"""DeBERTa-v2 and v3: disentangled attention, with one table of relative positions for all layers."""

from __future__ import annotations

from compress.architectures.architecture import Architecture

ARCHITECTURE = Architecture(model_types=("deberta-v2",), layers="deberta.encoder.layer")
