"""BERT: post-norm layers below one encoder."""

from __future__ import annotations

from compress.architectures.architecture import Architecture

ARCHITECTURE = Architecture(model_types=("bert",), layers="bert.encoder.layer")
