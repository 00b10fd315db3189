"""Generative tasks: one file each with a `TASK`; `resolve` a description, `loading.load` a split, then tokenize its rows.

They are not in the catalogue yet, which lists what a pipeline can use: the program trains and evaluates classifiers only so far.
"""

from compress.tasks.generation.describing import KNOWN, find, resolve
from compress.tasks.generation.modelling import Blocks, Windows, blocks, scored_windows
from compress.tasks.generation.pairs import Pairs, Side, for_decoder, for_encoder_decoder
from compress.tasks.generation.scoring import lead_baseline, metrics

__all__ = [
    "KNOWN",
    "Blocks",
    "Pairs",
    "Side",
    "Windows",
    "blocks",
    "find",
    "for_decoder",
    "for_encoder_decoder",
    "lead_baseline",
    "metrics",
    "resolve",
    "scored_windows",
]
