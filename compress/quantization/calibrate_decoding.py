"""Runs a generative export on calibration prompts, as it is used, while observers watch what is in one of its graphs.

A decoder's activations are those of the tokens it has written itself, one after another with a cache: prompts alone, or
references all at once, would show others. So the fp32 graphs generate, and each step is seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from compress.core.errors import CompressError
from compress.quantization.graphs.static import Drive, See
from compress.runtimes.onnx_generation import open_generator_in
from compress.runtimes.runtime import Serving
from compress.runtimes.sessions_with_cache import ENCODER, TensorSession

BATCH = 16


def decoding(
    graphs: Mapping[str, Path],
    part: str,
    folder: Path,
    prompts: Sequence[np.ndarray],
    *,
    new_tokens: int,
    padding: int,
    threads: int = 1,
) -> Drive:
    """What `compress.quantization.graphs.static.calibrate_by` needs to calibrate one part of a generative export.

    Greedy decoding by the model's own rules, in batches of prompts of like length. Padding, and what follows a row's end in
    a batch, is not seen.

    Args:
        graphs: the fp32 export, by part.
        part: the one that is watched.
        folder: holds its config and generation config.
        prompts: encoded, [length] each: what the encoder reads, or a decoder.
        new_tokens: the most that is written for each.
        padding: the token for what a batch has too much; after the end of text models write it.

    Raises:
        CompressError: there is no prompt.
    """
    if not prompts:
        raise CompressError("The calibration set gave no prompt. Give at least one row.")

    def drive(watching: Path, names: tuple[str, ...], see: See) -> None:
        parts = {one: str(path.resolve()) for one, path in {**graphs, part: watching}.items()}
        generator = open_generator_in(folder, parts, Serving(threads=threads))
        opened = generator.graphs
        watched = _Watched(getattr(opened, part), names, see, padding)
        generator.graphs = replace(opened, **{part: watched})
        on_left = opened.encoder is None
        for ids, mask in _batches(prompts, padding, left=on_left):
            if part == ENCODER:
                watched.run({"input_ids": ids, "attention_mask": mask})
                continue
            generator.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=new_tokens,
                num_beams=1,
                do_sample=False,
                pad_token_id=padding,
            )

    return drive


def every_value(
    graphs: Mapping[str, Path], part: str, folder: Path, prompts: Sequence[np.ndarray], *, new_tokens: int
) -> Drive:
    """The same for values of any shape: one prompt after the other, so that there is no padding among what is seen."""

    def drive(watching: Path, names: tuple[str, ...], see: See) -> None:
        parts = {one: str(path.resolve()) for one, path in {**graphs, part: watching}.items()}
        generator = open_generator_in(folder, parts, Serving())
        opened = generator.graphs
        watched = _WatchedWhole(getattr(opened, part), names, see)
        generator.graphs = replace(opened, **{part: watched})
        for prompt in prompts:
            ids = torch.from_numpy(np.asarray(prompt, np.int64))[None]
            mask = torch.ones_like(ids)
            if part == ENCODER:
                watched.run({"input_ids": ids, "attention_mask": mask})
            else:
                generator.generate(
                    input_ids=ids, attention_mask=mask, max_new_tokens=new_tokens, num_beams=1, do_sample=False
                )

    return drive


class _WatchedWhole(TensorSession):
    """A session that shows some of what its graph computed, as it is."""

    def __init__(self, opened: TensorSession, names: tuple[str, ...], see: See) -> None:
        self.__dict__.update(opened.__dict__)
        self._names, self._see = names, see

    def run(self, feeds: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        found = super().run(feeds)
        for name in self._names:
            self._see(name, found[name].numpy())
        return found


class _Watched(TensorSession):
    """A session that shows some of what its graph computed."""

    def __init__(self, opened: TensorSession, names: tuple[str, ...], see: See, padding: int) -> None:
        self.__dict__.update(opened.__dict__)
        self._names, self._see, self._padding = names, see, padding

    def run(self, feeds: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        found = super().run(feeds)
        real = self._real(feeds)
        for name in self._names:
            values, rows = found[name], real
            if values.shape[1] != rows.shape[1]:  # of the tokens whose logits are wanted
                rows = rows[:, feeds["logits_to_keep"]]
            self._see(name, values[rows].numpy())
        return found

    def _real(self, feeds: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Which tokens are neither padding nor behind the end of their row, [batch, new]."""
        ids = feeds["input_ids"]
        real = torch.ones_like(ids, dtype=torch.bool)
        if "attention_mask" in self.inputs:
            real = feeds["attention_mask"][:, -ids.shape[1] :].bool()
        past = next((tensor.shape[2] for name, tensor in feeds.items() if name.startswith("past.")), 0)
        return real & (ids != self._padding) if past else real  # T5 starts from its padding


def _batches(prompts: Sequence[np.ndarray], padding: int, *, left: bool) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Token ids and mask, [batch, longest], of prompts of like length."""
    order = sorted(prompts, key=len)
    for start in range(0, len(order), BATCH):
        some = order[start : start + BATCH]
        longest = max(map(len, some))
        ids = torch.full((len(some), longest), padding)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(some):
            place = slice(longest - len(prompt), longest) if left else slice(0, len(prompt))
            ids[row, place], mask[row, place] = torch.from_numpy(prompt), 1
        yield ids, mask
