"""Marian, OPUS-MT's translators: BART's layers, with sinusoidal positions and no norm behind the embeddings."""

from __future__ import annotations

from compress.models.families.bart import encoder_decoder

ARCHITECTURE = encoder_decoder("marian", embeddings="", starts_from="padding")
