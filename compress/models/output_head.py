"""Applies a generative model's output layer only at positions whose prediction counts.

It is the widest matrix of a small model, and in a batch of references of unlike length most places are padding: their logits
would be computed, widened to fp32 and differentiated for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def logits_at(model: Any, inputs: Mapping[str, Any], places: Tensor, *, inside: Any = None) -> Tensor:
    """The logits that a generative model gives at some places, row after row, [places, vocabulary].

    Args:
        model: called with `inputs`; an encoder-decoder or a decoder.
        inputs: what it reads.
        places: true where logits are wanted, [batch, tokens], boolean.
        inside: the bare model, where `model` is a wrapper of it.
    """
    head = (model if inside is None else inside).get_output_embeddings()
    if head is None or isinstance(model, torch.nn.DataParallel):  # which calls it with a part of the batch at a time
        return model(**inputs).logits[places]
    pick = head.register_forward_pre_hook(lambda module, given: (given[0][places], *given[1:]), prepend=True)
    try:
        return model(**inputs).logits
    finally:
        pick.remove()
