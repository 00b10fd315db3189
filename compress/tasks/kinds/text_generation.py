"""Text that continues a text: causal language modelling, by a decoder."""

from __future__ import annotations

from compress.tasks.kinds.kind import Kind
from compress.tasks.kinds.laws import TOKENS

KIND = Kind(
    name="text-generation",
    laws={"language_modelling": TOKENS},
    heads=("ForCausalLM", "LMHeadModel"),
    auto_class="AutoModelForCausalLM",
    in_words="causal language models",
    generates=True,
    has_references=False,
)
