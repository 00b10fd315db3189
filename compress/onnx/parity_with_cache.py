"""Compares generative graphs with their torch model or fp32 export, from the prompt through several decoded tokens.

What is measured and refused is in `compress.onnx.parity`; this file fills a cache on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from compress.models.families.cache_name import cache_in, cache_name
from compress.onnx.export_with_cache import accepts_positions
from compress.onnx.parity import Parity, Step, measured, refuse_gap, refuse_shape
from compress.runtimes.rows import Rows
from compress.runtimes.sessions_with_cache import GenerationSessions

CHUNKS = (1, 1, 2)  # tokens decoded at a time after the prompt: single ones, and two at once on a filled cache


def compare_generation(
    sessions: GenerationSessions, source: Any, prompts: Sequence[np.ndarray], *, precision: str = "fp32"
) -> Parity:
    """The gap between the graphs' logits and those of their `source`, on encoded `prompts` [length] each: a torch model, or
    what is called as one (`compress.runtimes.onnx_generation`).

    For a sequence-to-sequence model the prompts are what its encoder reads. Shapes: `batch 1`, each prompt as it is;
    `padded`, all in one batch (on the left for a decoder), where padding itself is not compared. In each, `prefill` is
    the prompt (for an encoder-decoder, the encoder and the start token; in the padded batch with two tokens after it),
    and `decode` the tokens that torch finds best after it, some one by one and some at once, with the cache.

    Each side keeps its own cache. equal_predictions is the share of compared tokens with the same best next one.
    """
    was_training = getattr(source, "training", False)
    if was_training:
        source.eval()
    try:
        with torch.no_grad():
            return measured(_all_steps(sessions, source, prompts), len(prompts), precision, by_token=True)
    finally:
        if was_training:
            source.train()


def check_generation(
    sessions: GenerationSessions, source: Any, prompts: Sequence[np.ndarray], *, precision: str = "fp32"
) -> Parity:
    """`compare_generation`, and a CompressError where a gap is beyond the tolerance (fewer than 16 bits have none)."""
    return refuse_gap(compare_generation(sessions, source, prompts, precision=precision), sessions.decode.path)


def _all_steps(sessions: GenerationSessions, source: Any, prompts: Sequence[np.ndarray]) -> Iterator[Step]:
    for shape, batch in [*(("batch 1", [prompt]) for prompt in prompts), ("padded", list(prompts))]:
        for stage, wanted, found, real in _decoded(sessions, source, batch):
            refuse_shape(sessions.decode.path, "logits", found.shape, wanted.shape)
            theirs, mine = (one[real].float().numpy() for one in (wanted, found))
            same = None if stage == "encoder" else theirs.argmax(-1) == mine.argmax(-1)  # states, no logits
            yield Step(f"{shape}, {stage}", theirs, mine, same)


def _decoded(
    sessions: GenerationSessions, source: Any, prompts: list[np.ndarray]
) -> Iterator[tuple[str, torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Each step of decoding: what it is, the source's logits and the graphs' [batch, new, vocabulary], and which tokens are
    real [batch, new]."""
    has_encoder = sessions.encoder is not None
    rows = Rows.of_prompts(prompts, side="right" if has_encoder else "left")
    tokens, mask = map(torch.from_numpy, rows.batch(range(len(rows))).values())
    read: dict[str, Any] = {}
    more: dict[str, Any] = {}
    if has_encoder:
        states, more["cross"] = sessions.encode(tokens, mask)
        read["encoder_outputs"] = encoded = source.get_encoder()(input_ids=tokens, attention_mask=mask)
        yield "encoder", encoded[0], states, mask.bool()
        start = source.config.decoder_start_token_id
        start = source.config.bos_token_id if start is None else start
        begun = torch.full((len(tokens), 1), start if start is not None else 0)
        tokens = torch.cat([begun, tokens[:, :2]], dim=-1) if len(prompts) > 1 else begun
    counts = not has_encoder and accepts_positions(source)
    cache, past, wanted = None, None, None
    for size in (None, *CHUNKS):
        if size is not None and wanted is not None:
            # torch's best next token, and for a step of several the one after it in the vocabulary: any will do.
            best = wanted[:, -1].argmax(-1, keepdim=True)
            tokens = (best + torch.arange(size)) % wanted.shape[-1]
            if not has_encoder:
                mask = torch.cat([mask, mask.new_ones(len(mask), size)], dim=-1)
        if counts:
            read["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        read["decoder_input_ids" if has_encoder else "input_ids"] = tokens
        done = source(**read, attention_mask=mask, use_cache=True, **{cache_name(): cache})
        cache, wanted = cache_in(done), done.logits
        found, past = sessions.step(tokens, mask, past, **more)
        real = torch.ones_like(tokens) if has_encoder else mask[:, -tokens.shape[1] :]
        yield "prefill" if size is None else "decode", wanted, found, real.bool()
