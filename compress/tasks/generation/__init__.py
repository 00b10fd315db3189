"""Generative tasks: `resolve` a description, `loading.load` a split, then tokenize its rows.

The tasks themselves are files of `compress/tasks`, as the classifiers' are.
"""

from compress.tasks.generation.describing import find, known, resolve
from compress.tasks.generation.modelling import Blocks, Windows, blocks, scored_windows
from compress.tasks.generation.pairs import Pairs, Side, for_decoder, for_encoder_decoder
from compress.tasks.generation.scoring import lead_baseline, metrics

__all__ = [
    "Blocks",
    "Pairs",
    "Side",
    "Windows",
    "blocks",
    "find",
    "for_decoder",
    "for_encoder_decoder",
    "known",
    "lead_baseline",
    "metrics",
    "resolve",
    "scored_windows",
]
