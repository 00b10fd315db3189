"""Trains a tokenizer on a task's own texts, for a model trained from scratch: byte-level BPE, so that no text is unknown.

The same texts give the same file, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from compress.core.errors import CompressError

PADDING, END, START = "<pad>", "</s>", "<s>"
SPECIAL = (PADDING, END, START)
"""Their ids are 0, 1 and 2."""
LEAST = 256 + len(SPECIAL)
"""Every byte is a token."""


def trained(texts: Iterable[str], size: int, *, opens: bool) -> Any:
    """A byte-level BPE tokenizer (Sennrich et al. 2016; on bytes: Radford et al. 2019, section 2.2), as transformers uses it.

    What it reads it can give back unchanged.

    Args:
        texts: what its merges are counted on.
        size: of the vocabulary, with the special tokens; few texts may give fewer.
        opens: for a decoder, whose texts begin with `<s>`; those of an encoder-decoder end with `</s>`.

    Raises:
        CompressError: the size does not hold all bytes.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    if size < LEAST:
        raise CompressError(f"A vocabulary of {size} does not contain all bytes. Set --vocab-size to {LEAST} or more.")
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    marks = [(mark, inner.token_to_id(mark)) for mark in (START, END)]
    single = f"{START} $A" if opens else f"$A {END}"
    inner.post_processor = processors.TemplateProcessing(single=single, special_tokens=marks)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token=PADDING,
        eos_token=END,
        bos_token=START,
        clean_up_tokenization_spaces=False,
    )
