"""Config settings that change only how a model computes, and those that would interfere with tracing or hooks.

A feed-forward network in chunks (`chunk_size_feed_forward`) fixes a traced graph to its sample's length and shows each hook a
part of the text at a time; recomputed activations show hooks everything twice; tuples in the place of named outputs hide the
logits. A model that was opened computes plainly; its config keeps what the user set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PLAIN = {"chunk_size_feed_forward": 0, "gradient_checkpointing": False}
"""What modules take over from their config when they are made."""


def compute_plainly_(model: Any) -> Any:
    """The model, with those settings reset in its modules."""
    from transformers import PreTrainedConfig

    for module in model.modules():
        for name, value in PLAIN.items():
            if getattr(module, name, value) != value:
                setattr(module, name, value)
        # transformers' defaults, which a saved config leaves out. It saves no model that returns attentions unless its attention
        # is the slow one. T5's encoder and decoder have copies of the config.
        if isinstance(getattr(module, "config", None), PreTrainedConfig):
            module.config.return_dict, module.config.output_attentions = True, False
    return model


def attention_anywhere(raw: Mapping[str, Any]) -> dict[str, str]:
    """Arguments of `from_pretrained` where a config asks for a package's attention, as flash attention on the machine that the
    model was trained on: the same numbers by what torch itself has.

    >>> attention_anywhere({"_attn_implementation": "flash_attention_2"}), attention_anywhere({"attn_implementation": "sdpa"})
    ({'_attn_implementation': 'eager'}, {})
    """
    names = ("_attn_implementation", "attn_implementation")  # older and newer versions; the one that is there decides
    return {name: "eager" for name in names if raw.get(name) not in (None, "eager", "sdpa")}


def plain_settings_(config: Any) -> None:
    """The config of a model that is about to be traced: logits and nothing else come out."""
    for name in ("output_hidden_states", "output_attentions", "use_cache"):
        setattr(config, name, False)
    config.return_dict = True
