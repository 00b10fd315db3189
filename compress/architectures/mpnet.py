"""MPNet: BERT's layers, with one relative position bias for all of them."""

from __future__ import annotations

from compress.architectures.architecture import Architecture

ARCHITECTURE = Architecture(model_types=("mpnet",), layers="mpnet.encoder.layer")
