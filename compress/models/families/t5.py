"""T5, its 1.1 and FLAN: pre-norm encoder and decoder, whose first layers hold a table of relative positions for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from compress.models.families.architecture import Architecture, CrossAttention
from compress.models.families.cache_name import cache_name


def _position_bias(attention: Any, call: Mapping[str, Any]) -> Any:
    """What the first layer's attention makes of its table, [1, heads of the table, queries, keys]."""
    states, past = call["hidden_states"], call.get(cache_name())
    seen = 0 if past is None else past.get_seq_length(attention.layer_idx)
    queries = states.shape[1]
    return attention.compute_bias(queries, seen + queries, device=states.device, past_seen_tokens=seen)


def _cached_layers(side: str, config: Any, kept: Sequence[int]) -> dict[str, Any]:
    """transformers (5.23) makes the decoder's cache with as many layers as the encoder has, which fails where these are fewer,
    unless a setting of this name says otherwise (`PreTrainedConfig.get_text_config`)."""
    return {"decoder_layers": len(kept) if side == "decoder" else config.num_decoder_layers}


def _stack(side: str, ffn: int, config: Any, **decoder: Any) -> Architecture:
    """One of the two: its feed-forward network is the layer's part `ffn`."""
    gated = getattr(config, "is_gated_act", False)
    return Architecture(
        model_types=("t5",),
        layers=f"{side}.block",
        embeddings=f"{side}.embed_tokens",
        query="layer.0.SelfAttention.q",
        key="layer.0.SelfAttention.k",
        value="layer.0.SelfAttention.v",
        attention="layer.0.SelfAttention",
        attention_output="layer.0.SelfAttention.o",
        ffn_in=f"layer.{ffn}.DenseReluDense.{'wi_1' if gated else 'wi'}",
        ffn_gate=f"layer.{ffn}.DenseReluDense.wi_0" if gated else "",
        ffn_out=f"layer.{ffn}.DenseReluDense.wo",
        attention_heads="n_heads",
        attention_width="inner_dim",
        pre_norm=True,
        head_tables=(f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight",),
        head_bias="position_bias",
        starts_from="padding",
        made_head_bias=_position_bias,
        layer_count="num_layers" if side == "encoder" else "num_decoder_layers",
        head_count="num_heads",
        head_width="d_kv",
        hidden_width="d_model",
        ffn_width="d_ff",
        layer_config=partial(_cached_layers, side),
        scales_scores=lambda config: False,
        scales_head=lambda config: bool(config.scale_decoder_outputs),
        **decoder,
    )


def _both(config: Any) -> Architecture:
    cross = CrossAttention(
        query="layer.1.EncDecAttention.q",
        key="layer.1.EncDecAttention.k",
        value="layer.1.EncDecAttention.v",
        attention="layer.1.EncDecAttention",
        attention_output="layer.1.EncDecAttention.o",
    )
    return _stack("encoder", 1, config, decoder=_stack("decoder", 2, config, cross=cross), variant=_both)


ARCHITECTURE = _both(None)
