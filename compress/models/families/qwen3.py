"""Qwen3: Qwen2's layers, with a norm of each head's queries and keys, the same for all heads."""

from __future__ import annotations

from dataclasses import replace

from compress.models.families import qwen2

ARCHITECTURE = replace(qwen2.ARCHITECTURE, model_types=("qwen3",))
