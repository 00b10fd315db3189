"""Marian, OPUS-MT's translators: BART's layers, with sinusoidal positions and no norm behind the embeddings."""

from __future__ import annotations

from typing import Any

from compress.models.families.bart import encoder_decoder


def _why_not(config: Any) -> str:
    if config.decoder_vocab_size in (None, config.vocab_size):
        return ""
    return "it reads by one vocabulary and writes by another, and only models with a single one are handled"


ARCHITECTURE = encoder_decoder("marian", embeddings="", starts_from="padding", why_not=_why_not)
