"""A text for a text: summarization and translation, by an encoder-decoder or a decoder with a prompt."""

from __future__ import annotations

from compress.tasks.kinds.kind import Kind
from compress.tasks.kinds.laws import TOKENS
from compress.tasks.kinds.template import PAIRS, SOURCE, Template
from compress.tasks.kinds.trivial import Trivial, lead_three, source

SUMMARIZATION_METRICS = ("rouge_l", "rouge1", "rouge2", "rouge_lsum")
NEEDED = ("data", "source", "target")

KIND = Kind(
    name="text2text-generation",
    laws={"summarization": TOKENS, "translation": TOKENS},
    heads=("ForConditionalGeneration", "MTModel"),
    auto_class="AutoModelForSeq2SeqLM",
    in_words="sequence-to-sequence",
    templates={
        "summarization": Template(
            noun="a summarization",
            metrics=SUMMARIZATION_METRICS,
            keys=PAIRS,
            needed=NEEDED,
            text="source",
            label="target",
            pairs=False,
            t5_prefix="summarize: ",
            prompt=f"{SOURCE}\n\nTL;DR:",  # GPT-2's, Radford et al. 2019, section 3.6
        ),
        "translation": Template(
            noun="a translation",
            metrics=("bleu", "chrf"),
            keys=(*PAIRS, "languages"),
            needed=NEEDED,
            text="source",
            label="target",
            pairs=False,
            t5_prefix="translate {0} to {1}: ",
            prompt=f"{SOURCE}\n\nTranslation:",
            prompt_of_languages=f"{{0}}: {SOURCE}\n{{1}}:",
        ),
    },
    trivial={
        "summarization": (Trivial("lead-3", "the beginning of each text", lead_three, learns=False),),
        "translation": (Trivial("source", "each text as it is, not translated", source, learns=False),),
    },
    answer_columns={"summarization": "output", "translation": "output"},
    generates=True,
    has_encoder=True,
)
