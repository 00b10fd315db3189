"""BART: BERT's post-norm layers as an encoder, and as a decoder with cross-attention."""

from __future__ import annotations

from typing import Any

from compress.models.families.architecture import Architecture, CrossAttention

CROSS = CrossAttention(
    query="encoder_attn.q_proj",
    key="encoder_attn.k_proj",
    value="encoder_attn.v_proj",
    attention="encoder_attn",
    attention_output="encoder_attn.out_proj",
)


def encoder_decoder(model_type: str, **differences: Any) -> Architecture:
    """Encoder and decoder of BART, or of a family that differs from it in a few fields, which both its stacks share."""
    decoder = _stack(model_type, "decoder", cross=CROSS, **differences)
    return _stack(model_type, "encoder", decoder=decoder, **differences)


def _stack(model_type: str, side: str, **others: Any) -> Architecture:
    return Architecture(
        model_types=(model_type,),
        layers=f"model.{side}.layers",
        query="self_attn.q_proj",
        key="self_attn.k_proj",
        value="self_attn.v_proj",
        attention="self_attn",
        attention_output="self_attn.out_proj",
        ffn_in="fc1",
        ffn_out="fc2",
        attention_heads="num_heads",
        attention_width="",
        layer_count=f"{side}_layers",
        head_count=f"{side}_attention_heads",
        hidden_width="d_model",
        ffn_width=f"{side}_ffn_dim",
        scales_embeddings=lambda config: bool(config.scale_embedding),
        **{"embeddings": f"model.{side}.layernorm_embedding", **others},
    )


ARCHITECTURE = encoder_decoder("bart")
