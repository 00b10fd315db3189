"""Settings of a model's config that change only how it computes, and what would be in the way of tracing or watching it.

A feed-forward network in chunks (`chunk_size_feed_forward`) fixes a traced graph to its sample's length and shows each hook a
part of the text at a time; recomputed activations show hooks everything twice; tuples in the place of named outputs hide the
logits. A model that was opened computes plainly; its config keeps what the user set.
"""

from __future__ import annotations

from typing import Any

PLAIN = {"chunk_size_feed_forward": 0, "gradient_checkpointing": False}
"""What modules take over from their config when they are made."""


def compute_plainly_(model: Any) -> Any:
    """The model, whose modules no longer compute as those settings say."""
    for module in model.modules():
        for name, value in PLAIN.items():
            if getattr(module, name, value) != value:
                setattr(module, name, value)
    # transformers' defaults, which a saved config leaves out. It saves no model that returns attentions unless its attention is
    # the slow one.
    model.config.return_dict, model.config.output_attentions = True, False
    return model


def plain_settings_(config: Any) -> None:
    """The config of a model that is about to be traced: logits and nothing else come out."""
    for name in ("output_hidden_states", "output_attentions", "use_cache"):
        setattr(config, name, False)
    config.return_dict = True
