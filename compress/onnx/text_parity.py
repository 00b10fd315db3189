"""Compares the texts that an ONNX export and its torch model generate with the model's own settings.

Equal logits are not enough: a cache that `generate()` hands over under another name, or a setting that one side does not know,
makes another text of the same graphs. It is separate from `parity`, since what it compares are the scores of two `generate()`
calls by the tokens before them, and not two outputs of one input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.errors import CompressError
from compress.onnx.parity import TOLERANCE
from compress.runtimes.generating import Decoding, generate, room, rules
from compress.runtimes.rows import Rows

PROMPTS, TOKENS = 4, 16
"""A few are enough to tell a loop that goes wrong, which it does at the second token."""

Step = dict[tuple[int, ...], NDArray[np.float64]]
"""By all tokens before it: the scores of the next one, with the settings applied."""


@dataclass(frozen=True)
class TextParity:
    """prompts, and those for which both wrote the same tokens; the largest difference of a token's score after the same
    tokens, and the largest one allowed. Texts may differ where two tokens are that close."""

    prompts: int
    same_texts: int
    tokens: int
    largest_gap: float
    tolerance: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def check_texts(generator: Any, model: Any, prompts: Sequence[NDArray[np.int64]]) -> TextParity:
    """Generate from some prompts on both sides, in one padded batch.

    Args:
        generator: the export, see `compress.runtimes.onnx_generation`.
        model: the torch model it was made from.
        prompts: encoded, [length] each; the first ones are taken.

    Raises:
        CompressError: after the same tokens a next one has another score than torch gives it, or is forbidden on one side alone.
    """
    writes = bool(model.config.is_encoder_decoder)
    most = room(model)
    tokens = TOKENS if most is None else max(1, min(TOKENS, most - 1 if writes else most // 2))
    some = [row if most is None else row[: most if writes else most - tokens] for row in prompts[:PROMPTS]]
    feeds = Rows.of_prompts(some, side="right" if writes else "left").batch(range(len(some)))
    settings = model.generation_config.to_dict()
    decoding = Decoding(settings.get("num_beams") or 1, tokens, rules(settings))
    was_training = model.training
    model.eval()
    try:
        by_torch: list[Step] = []
        by_onnx: list[Step] = []
        wanted = generate(model, feeds, decoding, processors=[_recorder(by_torch)])
        found = generate(generator, feeds, decoding, processors=[_recorder(by_onnx)])
    finally:
        model.train(was_training)
    gap, scale = _compared(by_torch, by_onnx)
    same = sum(np.array_equal(left, right) for left, right in zip(wanted, found, strict=True))
    parity = TextParity(len(some), same, max(map(len, wanted)), gap, TOLERANCE["fp32"] * max(1.0, scale))
    if gap > parity.tolerance:
        raise CompressError(
            f"The ONNX export of this {type(model).__name__} does not write what the model writes: after the same tokens, "
            f"the score of a next one differs by {gap:.3g}, beyond the tolerance of {parity.tolerance:.3g} (the same texts for "
            f"{same} of {len(some)} prompts). Serve it with torch, and please report the model's family."
        )
    return parity


def _compared(by_torch: Sequence[Step], by_onnx: Sequence[Step]) -> tuple[float, float]:
    """The largest difference of a score where both sides had written the same before, and the largest score.

    Both sides start alike, and choose by the same rules: as long as scores agree, they part only where two are as good.
    """
    largest, scale = 0.0, 0.0
    for left, right in zip(by_torch, by_onnx, strict=False):
        for before in left.keys() & right.keys():
            wanted, found = left[before], right[before]
            allowed = np.isfinite(wanted)
            scale = max(scale, float(np.abs(wanted[allowed]).max(initial=0.0)))
            if (allowed != np.isfinite(found)).any():
                return float("inf"), scale
            largest = max(largest, float(np.abs(wanted[allowed] - found[allowed]).max(initial=0.0)))
    return largest, scale


def _recorder(steps: list[Step]) -> Any:
    """Notes each step's scores, after all settings were applied to them, and changes nothing."""
    from transformers import LogitsProcessor

    class Recorder(LogitsProcessor):
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            values = scores.double().cpu().numpy()
            steps.append({tuple(row): values[line] for line, row in enumerate(input_ids.tolist())})
            return scores

    return Recorder()
