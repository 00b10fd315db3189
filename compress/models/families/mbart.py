"""mBART and mBART-50: BART's layers, with norms before their parts."""

from __future__ import annotations

from compress.models.families.bart import encoder_decoder

ARCHITECTURE = encoder_decoder("mbart", pre_norm=True, starts_from="end")
