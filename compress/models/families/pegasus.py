"""Pegasus: BART's layers, with norms before their parts, sinusoidal positions and no norm behind the embeddings."""

from __future__ import annotations

from compress.models.families.bart import encoder_decoder

ARCHITECTURE = encoder_decoder("pegasus", pre_norm=True, embeddings="", starts_from="padding", sinusoidal=True)
