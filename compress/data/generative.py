"""Generative tasks: `resolve` a description, `loading.load` a split, then tokenize its rows.

The tasks themselves are files of `compress/tasks`, as the classifiers' are.
"""

from compress.data.generative_description import find, known, resolve
from compress.data.seq2seq_pairs import Pairs, Side, for_decoder, for_encoder_decoder
from compress.data.text_blocks import Blocks, Windows, blocks, scored_windows
from compress.tasks.scoring import lead_baseline, metrics

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
