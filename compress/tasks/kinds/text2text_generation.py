"""A text for a text: summarization and translation, by an encoder-decoder or a decoder with a prompt."""

from __future__ import annotations

from compress.tasks.kinds.kind import Kind
from compress.tasks.kinds.laws import TOKENS

KIND = Kind(
    name="text2text-generation",
    laws={"summarization": TOKENS, "translation": TOKENS},
    heads=("ForConditionalGeneration", "MTModel"),
    auto_class="AutoModelForSeq2SeqLM",
    in_words="sequence-to-sequence",
    generates=True,
    has_encoder=True,
)
