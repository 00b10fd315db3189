"""Gemma 3, its text models: Llama's layers with a norm behind each part too, most of them with a window of attention."""

from __future__ import annotations

from dataclasses import replace

from compress.models.families import qwen3

ARCHITECTURE = replace(
    qwen3.ARCHITECTURE,
    model_types=("gemma3_text",),
    norm_before_sum=True,
    norms_add_one=True,
    scales_embeddings=lambda config: True,
)
