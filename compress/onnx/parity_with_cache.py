"""Compares generative graphs with their torch model or fp32 export, from the prompt through several decoded tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from compress.core.errors import CompressError
from compress.models.families.cache_name import cache_in, cache_name
from compress.onnx.export_with_cache import accepts_positions
from compress.onnx.parity import TOLERANCE, WAY_OUT, Parity
from compress.runtimes.sessions_with_cache import GenerationSessions

COMPARED = ("int8", "int4")
"""Precisions whose gap is told and not judged."""
CHUNKS = (1, 1, 2)  # tokens decoded at a time after the prompt: single ones, and two at once on a filled cache
Step = tuple[
    str, torch.Tensor, torch.Tensor
]  # what it is; its logits [batch, new, vocabulary]; real tokens [batch, new]


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
    if not prompts:
        raise CompressError("The comparison of an export with its source needs at least one encoded prompt.")
    if precision not in (*TOLERANCE, *COMPARED):
        raise CompressError(f"Unknown precision '{precision}' to compare. Known: {', '.join((*TOLERANCE, *COMPARED))}.")
    walk = _sequence_to_sequence if sessions.encoder is not None else _decoder
    gaps: dict[str, float] = {}
    scale, equal, compared = 0.0, 0, 0
    was_training = getattr(source, "training", False)
    if was_training:
        source.eval()
    try:
        with torch.no_grad():
            for shape, batch in [*(("batch 1", [prompt]) for prompt in prompts), ("padded", list(prompts))]:
                for (stage, wanted, real), (_, found, _) in walk(sessions, source, batch):
                    if found.shape != wanted.shape:
                        raise CompressError(
                            f"{sessions.decode.path} gives logits of {list(found.shape)} where its source gives "
                            f"{list(wanted.shape)}. Export it again."
                        )
                    left, right = wanted[real].float(), found[real].float()
                    gap = (left - right).abs().max()
                    # A NaN compares as nothing: it is the largest gap there can be.
                    name = f"{shape}, {stage}"
                    gaps[name] = max(gaps.get(name, 0.0), float(gap) if bool(gap.isfinite()) else float("inf"))
                    scale = max(scale, float(left.abs().max()))
                    if stage == "encoder":  # states, no logits
                        continue
                    equal += int((left.argmax(-1) == right.argmax(-1)).sum())
                    compared += len(left)
    finally:
        if was_training:
            source.train()
    tolerance = TOLERANCE[precision] * max(1.0, scale) if precision in TOLERANCE else None
    return Parity(precision, len(prompts), gaps, scale, tolerance, equal / compared, compared)


def check_generation(
    sessions: GenerationSessions, source: Any, prompts: Sequence[np.ndarray], *, precision: str = "fp32"
) -> Parity:
    """`compare_generation`, and a CompressError where a gap is beyond the tolerance (fewer than 16 bits have none)."""
    parity = compare_generation(sessions, source, prompts, precision=precision)
    if not parity.is_within_tolerance:
        shape, gap = max(parity.largest_gap.items(), key=lambda item: item[1])
        raise CompressError(
            f"{sessions.decode.path} is not its source: at '{shape}' a logit differs by {gap:.3g}, beyond the tolerance "
            f"of {parity.tolerance:.3g} for {precision}. {WAY_OUT[precision]}"
        )
    return parity


def _decoder(sessions: GenerationSessions, source: Any, prompts: list[np.ndarray]) -> list[tuple[Step, Step]]:
    ids, mask = _padded(prompts, left=True)
    counts = accepts_positions(source)
    steps: list[tuple[Step, Step]] = []
    cache, past = None, None
    for stage, size in (("prefill", ids.shape[1]), *(("decode", size) for size in CHUNKS)):
        if stage == "decode":
            # torch's best next token, and for a step of several the one after it in the vocabulary: any will do.
            best = steps[-1][0][1][:, -1].argmax(-1, keepdim=True)
            ids = (best + torch.arange(size)) % steps[-1][0][1].shape[-1]
            mask = torch.cat([mask, mask.new_ones(len(mask), size)], dim=-1)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -size:]
        known = {"position_ids": positions} if counts else {}
        done = source(input_ids=ids, attention_mask=mask, use_cache=True, **{cache_name(): cache}, **known)
        cache = cache_in(done)
        logits, past = sessions.step(ids, mask, past)
        real = mask[:, -size:].bool()
        steps.append(((stage, done.logits, real), (stage, logits, real)))
    return steps


def _sequence_to_sequence(
    sessions: GenerationSessions, source: Any, prompts: list[np.ndarray]
) -> list[tuple[Step, Step]]:
    ids, mask = _padded(prompts, left=False)
    states, cross = sessions.encode(ids, mask)
    encoded = source.get_encoder()(input_ids=ids, attention_mask=mask)
    steps = [(("encoder", encoded[0], mask.bool()), ("encoder", states, mask.bool()))]
    start = source.config.decoder_start_token_id
    start = source.config.bos_token_id if start is None else start
    tokens = torch.full((len(ids), 1), start if start is not None else 0)
    if len(prompts) > 1:
        tokens = torch.cat([tokens, ids[:, :2]], dim=-1)
    cache, past = None, None
    for stage, size in (("prefill", tokens.shape[1]), *(("decode", size) for size in CHUNKS)):
        if stage == "decode":
            best = steps[-1][0][1][:, -1].argmax(-1, keepdim=True)
            tokens = (best + torch.arange(size)) % steps[-1][0][1].shape[-1]
        done = source(
            encoder_outputs=encoded,
            attention_mask=mask,
            decoder_input_ids=tokens,
            use_cache=True,
            **{cache_name(): cache},
        )
        cache = cache_in(done)
        logits, past = sessions.step(tokens, mask, past, cross=cross)
        real = torch.ones_like(tokens, dtype=torch.bool)
        steps.append(((stage, done.logits, real), (stage, logits, real)))
    return steps


def _padded(prompts: list[np.ndarray], *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask, [prompts, longest]. What fills the gaps is masked, so any token does: 0 is in all tables."""
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(len(prompts), longest, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        place = slice(longest - len(prompt), longest) if left else slice(0, len(prompt))
        ids[row, place] = torch.from_numpy(np.asarray(prompt, np.int64))
        mask[row, place] = 1
    return ids, mask
