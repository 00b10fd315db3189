"""transformers' name of the KV cache argument: `past_key_values` up to version 5.23, `cache` from 5.24 on.

Under the wrong name a cache is not an error but is left out, and a decoder then reads each token as if it were the first.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any


@cache
def cache_name() -> str:
    """The name of the argument of a model's forward pass, and of the field of its output."""
    from transformers.modeling_outputs import CausalLMOutputWithPast

    names = {field.name for field in fields(CausalLMOutputWithPast)}
    return "cache" if "cache" in names else "past_key_values"


def cache_in(output: Any) -> Any:
    """The cache in what a model gave."""
    return getattr(output, cache_name())
