"""Text that continues a text: causal language modelling, by a decoder.

It has no trivial baseline: a perplexity belongs to a tokenizer, so that of counted tokens would be another one for each model.
"""

from __future__ import annotations

from compress.tasks.kinds.kind import Kind
from compress.tasks.kinds.laws import TOKENS
from compress.tasks.kinds.template import GENERATION, Template

KIND = Kind(
    name="text-generation",
    laws={"language_modelling": TOKENS},
    heads=("ForCausalLM", "LMHeadModel"),
    auto_class="AutoModelForCausalLM",
    in_words="causal language models",
    templates={
        "language_modelling": Template(
            noun="language modelling",
            metrics=("perplexity",),
            keys=(*GENERATION, "documents", "separate"),
            needed=("data",),
            text="source",
            label="",
            pairs=False,
            usual_columns=("text", ""),
            aliases=("text_generation",),
        )
    },
    generates=True,
    has_references=False,
)
