"""Marian, OPUS-MT's translators: BART's layers, with sinusoidal positions and no norm behind the embeddings."""

from __future__ import annotations

from typing import Any

from compress.models.families.bart import encoder_decoder


def _why_not(config: Any) -> str:
    if config.decoder_vocab_size in (None, config.vocab_size):
        return ""
    return "it has separate vocabularies for input and output, and only models with a single vocabulary are supported"


ARCHITECTURE = encoder_decoder("marian", embeddings="", starts_from="padding", sinusoidal=True, why_not=_why_not)
