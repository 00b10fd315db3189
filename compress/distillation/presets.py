"""Published recipes by name: settings of `compress distill` that the user's own override."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Sanh et al. 2019: soft targets, the labels, and the cosine of the last hidden states, 5 : 2 : 1.
    "distilbert": {
        "alpha": 0.714,
        "temperature": 2.0,
        "hidden_weight": 0.143,
        "hidden_loss": "cosine",
        "layer_map": "last",
    },
    # Jiao et al. 2020: embeddings, hidden states and attention scores of uniformly mapped layers first, then the
    # teacher's predictions alone at temperature 1. They take 20 epochs for the first stage, on augmented data.
    "tinybert": {
        "alpha": 1.0,
        "temperature": 1.0,
        "hidden_weight": 1.0,
        "attention_weight": 1.0,
        "embedding_weight": 1.0,
        "intermediate_epochs": 3.0,
    },
    # Wang et al. 2021 (MiniLMv2): the last layer's relations first, which they do before any task is known.
    "minilm": {"relation_weight": 1.0, "relation_map": "last", "intermediate_epochs": 1.0},
    # Sun et al. 2019 (PKD): beside the predictions, the first token's normalized states of uniformly mapped layers.
    "patient": {"alpha": 0.5, "temperature": 5.0, "hidden_weight": 10.0, "hidden_loss": "patient"},
}
"""By name; each is one line in a pipeline: `distill: {layers: 3, preset: tinybert}`."""
