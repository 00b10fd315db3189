"""Generative tasks: `resolve` a description, `loading.load` a split, then tokenize its rows.

The tasks themselves are files of `compress/tasks`, as the classifiers' are.
"""

from compress.core import catalogue
from compress.data.description import find, resolve
from compress.data.seq2seq_pairs import Pairs, Side, for_decoder, for_encoder_decoder
from compress.data.text_blocks import Blocks, Windows, blocks, scored_windows
from compress.tasks.scoring import lead_baseline, metrics


def known() -> tuple[str, ...]:
    """The names of the generative tasks that ship."""
    return tuple(name for name in catalogue.names("tasks") if find(name).is_generative)


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
