"""Student-generated outputs as a batch: the texts generated for a batch's sources or prompts become the labels."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from compress.core.labels import NO_LABEL
from compress.data.collate import collate_prompts
from compress.models.decoding_settings import NEUTRAL, OF_CHANCE, ONLY_HOW, RULES
from compress.models.forward import STATES, read_of
from compress.models.load import quiet


def sampled(model: Any, batch: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """A batch whose labels are drawn from the model, token by token, at temperature 1.

    A decoder's prompt is what stands before the first label; where all tokens are labels (blocks of text) it is their first
    half. No row gets more tokens than the longest of the batch's references has. The global random state stays as it was.

    Args:
        model: the bare student; without gradients and dropout while it writes, afterwards in the mode it was in.
        batch: `input_ids`, `attention_mask` and `labels` [batch, tokens], padded on the right.
        seed: of the sample.

    Returns:
        The three again, on the same device, labels -100 behind a row's end; and the encoder's states where the batch had them.
    """
    labels = batch["labels"]
    was_training, device, own_config = model.training, labels.device, model.generation_config
    model.eval()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad(), quiet():
            torch.manual_seed(seed)
            if model.config.is_encoder_decoder:
                config = _config_(model, int((labels != NO_LABEL).sum(1).max()))
                written = model.generate(**read_of(batch))[:, 1:]
                kept = {name: batch[name] for name in ("input_ids", "attention_mask", STATES) if name in batch}
                return {**kept, "labels": written.masked_fill(_behind_end(written, config), NO_LABEL)}
            return _continued(model, batch)
    finally:
        model.train(was_training)
        model.generation_config = own_config


def _continued(model: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
    device = batch["labels"].device
    ids, counted = batch["input_ids"].cpu().numpy(), (batch["labels"] != NO_LABEL).cpu().numpy()
    lengths = batch["attention_mask"].sum(1).cpu().numpy()
    starts = np.where(counted[:, 0], lengths // 2, counted.argmax(1)).clip(1)
    config = _config_(model, int((lengths - starts).max()))
    rows: list[Mapping[str, Any]] = [
        {"input_ids": row.tolist(), "prompt": int(start)} for row, start in zip(ids, starts, strict=True)
    ]
    prompts = {name: value.to(device) for name, value in collate_prompts(rows, _Padding(config.pad_token_id)).items()}
    written = model.generate(**prompts)[:, prompts["input_ids"].shape[1] :]
    ended = _behind_end(written, config).cpu().numpy()
    width = int((starts + (~ended).sum(1)).max())
    found = {
        "input_ids": np.full((len(ids), width), config.pad_token_id),
        "attention_mask": np.zeros((len(ids), width), np.int64),
        "labels": np.full((len(ids), width), NO_LABEL),
    }
    for line, (start, new) in enumerate(zip(starts, written.cpu().numpy(), strict=True)):
        own = new[~ended[line]]
        end = start + len(own)
        found["input_ids"][line, :end] = [*ids[line, :start], *own]
        found["attention_mask"][line, :end] = 1
        found["labels"][line, start:end] = own
    return {name: torch.from_numpy(value).to(device) for name, value in found.items()}


class _Padding:
    """What `collate_prompts` asks of a tokenizer."""

    def __init__(self, token: int) -> None:
        self.pad_token_id = self.eos_token_id = token


def _config_(model: Any, new_tokens: int) -> Any:
    """Gives the model a generation config for plain sampling: no beams, no rules, all tokens possible.

    It stands in the place of the model's own, which `generate()` would read for what a config given to it leaves out.
    """
    config = copy.deepcopy(model.generation_config)
    for name in RULES:
        setattr(config, name, NEUTRAL.get(name))
    for name in (*OF_CHANCE, *ONLY_HOW):
        setattr(config, name, None)
    config.do_sample, config.num_beams, config.temperature, config.top_k, config.top_p = True, 1, 1.0, 0, 1.0
    config.forced_eos_token_id = None  # a row that is cut off has not ended
    config.max_new_tokens, config.max_length, config.return_dict_in_generate = new_tokens, None, False
    ends = _ends(config)
    if config.pad_token_id is None:
        config.pad_token_id = ends[0] if ends else 0
    model.generation_config = config
    return config


def _ends(config: Any) -> list[int]:
    said = config.eos_token_id
    return [] if said is None else np.atleast_1d(np.asarray(said)).tolist()


def _behind_end(written: Any, config: Any) -> Any:
    """The positions after a row's first end of text, [batch, tokens], boolean."""
    ends = torch.isin(written, torch.tensor(_ends(config), device=written.device, dtype=written.dtype))
    return (ends.cumsum(1) - ends.long()) > 0
