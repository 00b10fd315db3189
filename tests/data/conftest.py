"""Tokenizers of the three kinds that matter here, made from a few sentences."""

from __future__ import annotations

from typing import Any

import pytest

SENTENCES = [
    "Ada: I will bring the boat tomorrow.",
    "Bob: The boat? It sank in the storm!\nAda: Then we take the old ship.",
    "Ada and Bob take the old ship, since the boat sank.",
    "summarize: TL;DR: a text that ends",
]


@pytest.fixture(scope="session")
def like_t5() -> Any:
    """Nothing before a text, `</s>` after it."""
    return _words("$A </s>", [("</s>", 1)], pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


@pytest.fixture(scope="session")
def like_bert() -> Any:
    """`[CLS]` before a text and `[SEP]` after it, no end of text: a BART made from a BERT has such a one."""
    names = {"pad_token": "<pad>", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "<unk>"}
    return _words("[CLS] $A [SEP]", [("[CLS]", 3), ("[SEP]", 4)], **names)


@pytest.fixture(scope="session")
def like_gpt2() -> Any:
    """Bytes; no mark is put anywhere, and nothing is for padding."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(vocab_size=330, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False),
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<|end|>", eos_token="<|end|>")


def _words(single: str, special: list[tuple[str, int]], **names: str) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    splitter = pre_tokenizers.Whitespace()
    words = dict.fromkeys(word for sentence in SENTENCES for word, _ in splitter.pre_tokenize_str(sentence))
    marks = ("<pad>", "</s>", "<unk>", "[CLS]", "[SEP]", "|")
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys([*marks, *words]))}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = splitter
    backend.post_processor = processors.TemplateProcessing(single=single, special_tokens=special)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names)
