"""Qwen2 and Qwen2.5: Llama's layers, each with its own type of attention: to all tokens before, or to those of a window."""

from __future__ import annotations

from dataclasses import replace

from compress.models.families import llama
from compress.models.families.architecture import own_layer_types

ARCHITECTURE = replace(llama.ARCHITECTURE, model_types=("qwen2",), layer_config=own_layer_types)
