"""Replaces words by predictions of a masked language model (Jiao et al. 2020, algorithm 1).

All the chosen words of a text are masked at once, each by one mask, and each is filled by one of the most likely words that the
tokenizer writes as one token, drawn by its probability.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from compress.core.errors import CompressError
from compress.core.progress import bar
from compress.distillation.augmentation.words import Draft, parts
from compress.models import load as models
from compress.models.opening import opened
from compress.models.reading_length import longest_input
from compress.training.train import wants_bf16

CANDIDATES = 15
"""TinyBERT's K (section 4.2 there)."""
BATCH = 64
CHUNK = 64 * BATCH
"""So many copies are sorted by length together."""


class NoHead(CompressError):  # noqa: N818 - a reason to do without the model, not a mistake
    """The checkpoint has no trained masked-language-model head."""


@dataclass(frozen=True)
class MaskedWords:
    """A masked language model, and the words among its tokens."""

    model: Any
    tokenizer: Any
    ids: torch.Tensor
    """[words], the ids of the tokens that are whole words."""
    words: tuple[str, ...]
    """Those words."""

    @staticmethod
    def load(folder: Path) -> MaskedWords:
        """The masked language model in a folder.

        Raises:
            NoHead: it has none, or its weights are not those of a trained one.
            CompressError: the folder holds no model that can be read.
        """
        its_tokenizer = models.tokenizer(folder)
        model = _model(folder)
        if its_tokenizer.mask_token is None:
            raise NoHead(f"{folder} has a tokenizer without a mask token")
        ids, words = _whole_words(its_tokenizer, model.config.vocab_size)
        if len(words) <= CANDIDATES:
            raise NoHead(f"{folder} has a tokenizer with {len(words)} whole words")
        return MaskedWords(model, its_tokenizer, ids, words)

    def replacements(self, drafts: Iterable[Draft], total: int | None = None) -> Iterator[tuple[str | None, ...]]:
        """For each draft, in order, a word for each of its places.

        None where the text is too long for the model to see that place.
        """
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model.to(device)
        remaining = iter(drafts)
        with (
            torch.inference_mode(),
            torch.autocast(device, torch.bfloat16, enabled=wants_bf16("auto")),
            bar("masked words", total) as running,
        ):
            while chunk := list(itertools.islice(remaining, CHUNK)):
                found: dict[int, tuple[str | None, ...]] = {}
                order = sorted(range(len(chunk)), key=lambda place: -len(chunk[place].texts[chunk[place].which]))
                for start in range(0, len(order), BATCH):
                    batch = order[start : start + BATCH]
                    found.update(zip(batch, self._filled([chunk[place] for place in batch], device), strict=True))
                    running.advance(len(batch))
                yield from (found[place] for place in range(len(chunk)))

    def _filled(self, drafts: Sequence[Draft], device: str) -> Iterator[tuple[str | None, ...]]:
        mask = self.tokenizer.mask_token
        texts = [_masked(draft, mask) for draft in drafts]
        longest = longest_input(self.tokenizer, self.model.config)
        cut = {"truncation": longest is not None, "max_length": longest}
        inputs = self.tokenizer(texts, return_tensors="pt", padding=True, **cut)
        is_mask = inputs["input_ids"] == self.tokenizer.mask_token_id
        with _only_at(self.model, is_mask.to(device)):
            logits = self.model(**inputs.to(device)).logits
        if logits.ndim == 3:
            logits = logits[is_mask.to(device)]
        # Up to four spellings of the word itself are among the most likely (film, Film, FILM), and are passed over.
        top = logits.float()[:, self.ids.to(device)].topk(min(CANDIDATES + 4, len(self.words)))
        rows = iter(zip(top.values.softmax(-1).tolist(), top.indices.tolist(), strict=True))
        for draft, text, seen in zip(drafts, texts, is_mask.sum(1).tolist(), strict=True):
            predicted = list(itertools.islice(rows, seen))
            if text.count(mask) != len(draft.places):
                yield (None,) * len(draft.places)  # the text has a mask token of its own
                continue
            words, chance = draft.words, draft.chance()
            chosen: list[str | None] = []
            for place, (odds, choices) in zip(draft.places, predicted, strict=False):
                original = parts(words[place])[1].casefold()
                others = [(self.words[one], odd) for one, odd in zip(choices, odds, strict=True)]
                others = [(word, odd) for word, odd in others if word.casefold() != original][:CANDIDATES]
                weights = [odd + 1e-12 for _, odd in others]  # they may all be 0 where the word itself was certain
                chosen.append(chance.choices([word for word, _ in others], weights)[0])
            yield (*chosen, *[None] * (len(draft.places) - len(chosen)))


def _masked(draft: Draft, mask: str) -> str:
    words = draft.words
    for place in draft.places:
        before, _, after = parts(words[place])
        words[place] = before + mask + after
    return " ".join(words)


def _model(folder: Path) -> Any:
    from transformers import MODEL_FOR_MASKED_LM_MAPPING, AutoModelForMaskedLM

    models.checkpoint_artifact(folder, folder.name)  # says what is wrong with the folder
    if type(models.config(folder)) not in MODEL_FOR_MASKED_LM_MAPPING:
        raise NoHead(f"{folder} is of a type without a masked language model")
    found = opened(folder, AutoModelForMaskedLM)
    lacking = sorted({*found.missing, *found.reshaped})
    if lacking:
        raise NoHead(f"{folder} has no trained masked-language-model head ({lacking[0]} is missing)")
    return found.model


def _whole_words(its_tokenizer: Any, size: int) -> tuple[torch.Tensor, tuple[str, ...]]:
    """The tokens that are a word of letters behind a space: a piece that goes on a word is another token there.

    So it needs no knowledge of how WordPiece (`##`), byte-level BPE and SentencePiece mark their pieces.
    """
    special = set(its_tokenizer.all_special_tokens)
    surfaces = {
        number: its_tokenizer.convert_tokens_to_string([token]).strip()
        for token, number in its_tokenizer.get_vocab().items()
        if token not in special and number < size
    }
    surfaces = {number: surfaces[number] for number in sorted(surfaces) if surfaces[number].isalpha()}
    before = its_tokenizer("a", add_special_tokens=False)["input_ids"]
    behind = its_tokenizer([f"a {surface}" for surface in surfaces.values()], add_special_tokens=False)["input_ids"]
    found = [number for number, ids in zip(surfaces, behind, strict=True) if ids == [*before, number]]
    return torch.tensor(found, dtype=torch.long), tuple(surfaces[number] for number in found)


@contextmanager
def _only_at(model: Any, where: torch.Tensor) -> Iterator[None]:
    """Compute the logits at some positions only, if the head's last layer can be found: it is most of the work."""
    head = model.get_output_embeddings()
    if head is None:
        yield
        return
    handle = head.register_forward_pre_hook(lambda _, inputs: (inputs[0][where],))
    try:
        yield
    finally:
        handle.remove()
