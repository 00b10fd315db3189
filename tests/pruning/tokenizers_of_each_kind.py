"""A small trained tokenizer of each kind that splits unknown words, and texts to split."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from compress.models.train_tokenizer import trained
from tests.tiny import VOCABULARY

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
SOUNDS = "ba be bi bo ka ke ki ko la le li lo ma me mi mo na ne ni no sta stra ing er ly un re ß é 漢 字"
SYLLABLES = SOUNDS.split()


def texts(count: int, seed: int = 0) -> list[str]:
    """Sentences of words that are made of a few syllables, some of them often."""
    chance = random.Random(seed)
    words = ["".join(chance.choices(SYLLABLES, k=chance.randint(1, 4))) for _ in range(150)]
    often = [words[min(int(chance.expovariate(0.03)), 149)] for _ in range(count * 8)]
    return [" ".join(often[start : start + 8]).capitalize() + "." for start in range(0, len(often), 8)]


def anything(count: int, seed: int = 1) -> list[str]:
    """Texts of known and unknown words and signs, in no order."""
    chance = random.Random(seed)
    parts = [*SYLLABLES, *SYLLABLES, " ", " ", "  ", "z", "Q", "☃", "7", "-", ",", "\n", "<s>", "#", "▁", "Ġ", "</w>"]
    return ["".join(chance.choices(parts, k=chance.randint(0, 25))) for _ in range(count)]


def word_piece(size: int = 300) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    inner = Tokenizer(models.WordPiece(unk_token="<unk>"))
    inner.normalizer, inner.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece()
    return _fast(inner, trainers.WordPieceTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False))


def byte_level(size: int = 480) -> Any:
    return trained([*texts(200), VOCABULARY], size, opens=True)


def sentence_piece_bpe(size: int = 300) -> Any:
    """As Llama's: characters without a piece are split into bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bytes_ = [f"<0x{number:02X}>" for number in range(256)]
    inner = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Metaspace()])
    special = [*SPECIAL, *bytes_]
    found = _fast(inner, trainers.BpeTrainer(vocab_size=size + 256, special_tokens=special, show_progress=False))
    return _not_added(found, bytes_)


def word_ends_bpe(size: int = 300) -> Any:
    """As GPT's first: the last piece of a word ends with `</w>`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    inner = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.WhitespaceSplit(), decoders.BPEDecoder()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIAL, end_of_word_suffix="</w>", show_progress=False
    )
    return _fast(inner, trainer)


def unigram(size: int = 300) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    inner = Tokenizer(models.Unigram())
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    return _fast(inner, trainer)


KINDS: dict[str, Callable[..., Any]] = {
    one.__name__: one for one in (word_piece, byte_level, sentence_piece_bpe, word_ends_bpe, unigram)
}


def _fast(inner: Any, trainer: Any) -> Any:
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    inner.train_from_iterator([*texts(200), VOCABULARY], trainer)
    marks = [(mark, inner.token_to_id(mark)) for mark in ("<s>", "</s>")]
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=marks
    )
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=inner, clean_up_tokenization_spaces=False, **names)


def _not_added(its_tokenizer: Any, pieces: list[str]) -> Any:
    """The same, where some special tokens are plain pieces."""
    import json

    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    state = json.loads(its_tokenizer.backend_tokenizer.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] not in pieces]
    names = its_tokenizer.special_tokens_map
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(state)), **names)
