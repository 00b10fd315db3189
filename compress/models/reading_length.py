"""The number of tokens that a model reads: the limit of its positions and tokenizer, and its training length."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compress.core.artifact import Step

UNTRAINED = 128
"""Tokens of a text where no training step says otherwise: the training techniques' own default."""
BEHIND_PADDING = (
    *(
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "camembert",
        "data2vec-text",
        "xmod",
        "ibert",
    ),
    *("longformer", "luke", "mluke", "lilt", "markuplm", "layoutlmv3", "esm"),
)
"""Models that count positions from behind the padding index, so that their tables are longer by that."""
NO_LIMIT = 10**30
"""What transformers writes where nobody set a tokenizer's limit."""
SANE = 10**8
"""A tokenizer's limit from this value on means no limit."""


def positions(config: Any) -> int | None:
    """The tokens that a model has positions for; None where positions are relative and have no end (T5, DeBERTa, BLOOM).

    >>> from transformers import BertConfig, GPT2Config, RobertaConfig, T5Config
    >>> [positions(config) for config in (BertConfig(), RobertaConfig(max_position_embeddings=514), T5Config())]
    [512, 512, None]
    >>> positions(GPT2Config(n_positions=77))
    77
    """
    if config.model_type == "bloom" or getattr(config, "alibi", False):
        return None
    if getattr(config, "relative_attention", False) and not getattr(config, "position_biased_input", True):
        return None
    found = getattr(config, "max_position_embeddings", None)
    if not isinstance(found, int) or found < 1:
        return None
    if config.model_type == "mpnet":  # its padding index is 1, whatever the config says
        return max(found - 2, 1)
    if config.model_type in BEHIND_PADDING:
        return max(found - (config.pad_token_id or 0) - 1, 1)
    return found


def longest_input(its_tokenizer: Any, config: Any) -> int | None:
    """The most tokens that a model reads at once, by its positions and by its tokenizer; None where neither has a limit.

    A tokenizer's limit that is no number of tokens (1e30, 0.5, -1) is none.
    """
    said = its_tokenizer.model_max_length
    is_sane = isinstance(said, int | float) and math.isfinite(said) and 1 <= said < SANE
    known = [int(said) if is_sane else None, positions(config)]
    return min((one for one in known if one is not None), default=None)


def fitted(its_tokenizer: Any, config: Any) -> Any:
    """A tokenizer, changed in place to what the model beside it reads: its limit, and no second type of tokens where the
    model knows one alone (its table of types would have no row for a pair's second text)."""
    its_tokenizer.model_max_length = longest_input(its_tokenizer, config) or NO_LIMIT
    if getattr(config, "type_vocab_size", 2) < 2:
        names = its_tokenizer.model_input_names
        its_tokenizer.model_input_names = [name for name in names if name != "token_type_ids"]
    return its_tokenizer


def cut_at(wanted: int, its_tokenizer: Any, config: Any) -> int:
    """The length at which a text is truncated: the requested one, or the model's limit."""
    return min(wanted, longest_input(its_tokenizer, config) or wanted)


def trained_length(steps: Iterable[Step]) -> int:
    """The longest text that any of an artifact's training steps read, in tokens; `UNTRAINED` where none did.

    A recovery without epochs has a `max_length` too, and reads nothing.
    """
    lengths = [step.settings.get("max_length") for step in steps if step.settings.get("epochs") != 0]
    return max((int(one) for one in lengths if one is not None), default=UNTRAINED)
