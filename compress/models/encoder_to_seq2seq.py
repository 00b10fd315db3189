"""Makes a generative model: from a config with random weights, or from an encoder.

A BERT-like encoder becomes a BART, whose layers have the same structure: attention and feed-forward network with a norm after
each. Its encoder is the encoder; its decoder's layers are copies of the encoder's, and their cross-attention is initialized
from their self-attention (Rothe et al. 2020, "Leveraging Pre-trained Checkpoints for Sequence Generation Tasks",
section 2; there cross-attention is random).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError
from compress.models import generators
from compress.models.families.families import architectures
from compress.models.layers import evenly_spaced
from compress.models.opening import opened
from compress.models.pretrained import config as config_in
from compress.models.pretrained import first_line
from compress.models.tokenizing import tokenizer
from compress.models.train_tokenizer import END, PADDING, START, trained

VOCABULARY = 4000
"""The size of a vocabulary where neither the config nor a setting says one."""
LIKE_BERT = {
    "self_attn.q_proj": "attention.self.query",
    "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value",
    "self_attn.out_proj": "attention.output.dense",
    "self_attn_layer_norm": "attention.output.LayerNorm",
    "fc1": "intermediate.dense",
    "fc2": "output.dense",
    "final_layer_norm": "output.LayerNorm",
}
"""A BART layer's modules, and an encoder layer's that they are copied from."""
LIKE_DISTILBERT = {
    "self_attn.q_proj": "attention.q_lin",
    "self_attn.k_proj": "attention.k_lin",
    "self_attn.v_proj": "attention.v_lin",
    "self_attn.out_proj": "attention.out_lin",
    "self_attn_layer_norm": "sa_layer_norm",
    "fc1": "ffn.lin1",
    "fc2": "ffn.lin2",
    "final_layer_norm": "output_layer_norm",
}
LAYERS = {
    "bert": ("encoder.layer", LIKE_BERT),
    "roberta": ("encoder.layer", LIKE_BERT),
    "xlm-roberta": ("encoder.layer", LIKE_BERT),
    "camembert": ("encoder.layer", LIKE_BERT),
    "electra": ("encoder.layer", LIKE_BERT),
    "distilbert": ("transformer.layer", LIKE_DISTILBERT),
}
"""By model type: where the base model's layers are, and what their parts are called."""
POSITIONS_FROM_PADDING = ("roberta", "xlm-roberta", "camembert")
"""They count positions from behind the padding index, as BART counts them from 2."""


def from_config(
    file: Path, texts: Iterable[str], scratch: Path, *, vocabulary: int | None, seed: int
) -> tuple[Any, Any]:
    """A model with random weights for a `config.json`, and a tokenizer trained on the texts.

    Args:
        file: the config of an encoder-decoder or a decoder. Ids of special tokens in it are replaced by the tokenizer's.
        texts: of the training split.
        scratch: where the config is written as it is used.
        vocabulary: the tokenizer's size; the config's `vocab_size` when None, and 4000 where that has none.
        seed: of the weights.

    Raises:
        CompressError: the file is no such config.
    """
    import torch

    raw = _raw(file)
    opens = not is_encoder_decoder(file)
    its_tokenizer = trained(texts, vocabulary or raw.get("vocab_size") or VOCABULARY, opens=opens)
    padding, end, start = its_tokenizer.convert_tokens_to_ids([PADDING, END, START])
    raw |= {"vocab_size": len(its_tokenizer), "pad_token_id": padding, "eos_token_id": end, "bos_token_id": start}
    if not opens:
        starts = {"padding": padding, "beginning": start, "end": end}
        raw["decoder_start_token_id"] = starts[_starts_from(raw["model_type"])]
        raw |= {"forced_bos_token_id": None, "forced_eos_token_id": None}
    used = scratch / f"config-{os.getpid()}.json"  # of several processes each writes its own
    used.parent.mkdir(parents=True, exist_ok=True)
    used.write_text(json.dumps(raw))
    torch.manual_seed(seed)
    return generators.from_config(used), its_tokenizer


def _starts_from(model_type: str) -> str:
    """Which token the decoder starts from; of a family that no file describes, a beginning of text, but for T5's kin."""
    known = architectures().get(model_type)
    return known.starts_from if known is not None else "padding" if "t5" in model_type else "beginning"


def is_encoder_decoder(file: Path) -> bool:
    """Whether a `config.json` is that of a model with two stacks.

    Raises:
        CompressError: it is no config of a model that transformers knows.
    """
    from transformers import AutoConfig

    try:
        return bool(AutoConfig.for_model(**_raw(file)).is_encoder_decoder)
    except CompressError:
        raise
    except Exception as error:
        raise CompressError(f"{file} is not the config of a generative model ({first_line(error)}).") from error


def from_encoder(folder: Path, *, decoder_layers: int | None = None) -> tuple[Any, Any]:
    """A BART initialized from a BERT-like encoder, in evaluation mode, and the encoder's tokenizer. No weight is random.

    Its encoder gives the encoder's own hidden states but for one thing: BART's norms add 1e-5 to the variance, BERT's 1e-12.

    Args:
        folder: of the encoder; a head on it is left out.
        decoder_layers: copies of that many of the encoder's layers, evenly spaced, the last among them; half of them
            when None.

    Raises:
        CompressError: the model is not one whose layers are BART's, or has fewer of them.
    """
    import torch
    from transformers import AutoModel, BartForConditionalGeneration

    theirs = config_in(folder)
    _check(theirs, folder)
    total = theirs.num_hidden_layers
    count = decoder_layers or max(total // 2, 1)
    if count > total:
        raise CompressError(f"The encoder in {folder} has {total} layers; --decoder-layers {count} are more than that.")
    found = opened(folder, AutoModel, dtype=torch.float32)
    if found.missing or found.reshaped:
        lacking = sorted({*found.missing, *found.reshaped})
        # The pooler of an encoder that was trained without one is not part of what is copied.
        if any("pooler" not in name for name in lacking):
            raise CompressError(f"The weights in {folder} lack the encoder's {lacking[0]}. Save the model again.")
    encoder = found.model
    its_tokenizer = tokenizer(folder)
    path, names = LAYERS[theirs.model_type]
    layers = encoder.get_submodule(path)
    table = _positions(encoder)
    model = BartForConditionalGeneration(_config(theirs, its_tokenizer, count, len(table))).eval()
    with torch.no_grad():
        model.model.shared.weight.copy_(encoder.get_input_embeddings().weight)
        for side in (model.model.encoder, model.model.decoder):
            side.embed_positions.weight.zero_()
            side.embed_positions.weight[side.embed_positions.offset :] = table
            side.layernorm_embedding.load_state_dict(encoder.embeddings.LayerNorm.state_dict())
        _copy(layers, model.model.encoder.layers, names)
        chosen = [layers[place] for place in evenly_spaced(total, count)]
        _copy(chosen, model.model.decoder.layers, names)
        across = {ours.replace("self_attn", "encoder_attn"): own for ours, own in names.items() if "self_attn" in ours}
        _copy(chosen, model.model.decoder.layers, across)
        model.final_logits_bias.zero_()
    model.tie_weights()
    return model, its_tokenizer


def _check(theirs: Any, folder: Path) -> None:
    if theirs.model_type not in LAYERS:
        known = ", ".join(LAYERS)
        raise CompressError(
            f"A summarizer can be initialized from an encoder with BERT's layers ({known}), but {folder} holds a "
            f"{theirs.model_type}. Start from one of these, or from an encoder-decoder."
        )
    kind = getattr(theirs, "position_embedding_type", None) or "absolute"
    if kind != "absolute":
        raise CompressError(f"The encoder in {folder} has positions of the kind '{kind}', which BART does not support.")
    if getattr(theirs, "embedding_size", theirs.hidden_size) != theirs.hidden_size:
        raise CompressError(
            f"The encoder in {folder} has embeddings narrower than its layers, which BART does not support."
        )
    if getattr(theirs, "layer_widths", None):
        raise CompressError(f"The encoder in {folder} has layers of different widths. Start from an unpruned model.")


def _positions(encoder: Any) -> Any:
    """What is added to a token's embedding at each position, token type 0 in it, [positions, width]."""
    embeddings = encoder.embeddings
    table = embeddings.position_embeddings.weight
    if encoder.config.model_type in POSITIONS_FROM_PADDING:
        table = table[encoder.config.pad_token_id + 1 :]
    types = getattr(embeddings, "token_type_embeddings", None)
    return table if types is None else table + types.weight[0]


def _config(theirs: Any, its_tokenizer: Any, decoder_layers: int, positions: int) -> Any:
    from transformers import BartConfig

    # DistilBERT has names of its own for some of these, which its config translates but for two.
    ffn = getattr(theirs, "intermediate_size", None) or theirs.hidden_dim
    activation = getattr(theirs, "hidden_act", None) or theirs.activation
    start, end, padding = its_tokenizer.cls_token_id, its_tokenizer.sep_token_id, its_tokenizer.pad_token_id
    return BartConfig(
        vocab_size=theirs.vocab_size,
        d_model=theirs.hidden_size,
        max_position_embeddings=positions,
        encoder_layers=theirs.num_hidden_layers,
        decoder_layers=decoder_layers,
        encoder_attention_heads=theirs.num_attention_heads,
        decoder_attention_heads=theirs.num_attention_heads,
        encoder_ffn_dim=ffn,
        decoder_ffn_dim=ffn,
        activation_function=activation,
        scale_embedding=False,
        # Two or three passes over the rows do not need it, and it takes a quarter of a CPU's time.
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        pad_token_id=padding,
        bos_token_id=start,
        eos_token_id=end,
        decoder_start_token_id=start,
        forced_eos_token_id=None,
    )


def _copy(source: Iterable[Any], target: Iterable[Any], names: Mapping[str, str]) -> None:
    for theirs, ours in zip(source, target, strict=True):
        for own, other in names.items():
            ours.get_submodule(own).load_state_dict(theirs.get_submodule(other).state_dict())


def _raw(file: Path) -> dict[str, Any]:
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CompressError(f"{file} cannot be read ({first_line(error)}).") from error
    if not isinstance(raw, dict) or "model_type" not in raw:
        raise CompressError(f"{file} names no model_type, so it is not a transformers config.")
    return raw
