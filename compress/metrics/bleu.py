"""BLEU by sacrebleu: the precision of n-grams of up to four words, times a brevity penalty, 0..1.

Papineni et al., "BLEU: a method for automatic evaluation of machine translation", ACL 2002; Post, "A call for clarity in
reporting BLEU scores", WMT 2018. A score of the whole set, in hundredths of sacrebleu's own numbers.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any

from compress.core.errors import CompressError
from compress.metrics.metric import Metric, Statistics, TaskFacts, as_table, paired

COLUMNS = (
    "output_length",
    "reference_length",
    *(f"right_{n}_grams" for n in (1, 2, 3, 4)),
    *(f"all_{n}_grams" for n in (1, 2, 3, 4)),
)
TOKENIZED_BY_LANGUAGE = {"chinese": "zh", "japanese": "ja", "korean": "ko"}
"""Languages without spaces between words, or nearly so, for which sacrebleu has a tokenizer; all others get `13a`."""
RUN_ON = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
"""Scripts without spaces between words: the tokenizer `13a` takes a whole sentence in one of them for a single word."""


def bleu(target_language: str = "") -> Metric:
    """BLEU with the tokenizer that sacrebleu takes for a language.

    Args:
        target_language: its English name or its code (`Japanese`, `ja`); empty where it is not known.
    """
    name = target_language.strip().lower()
    language = TOKENIZED_BY_LANGUAGE.get(name, name.replace("_", "-").split("-")[0])

    def statistics(outputs: Sequence[str], references: Sequence[str]) -> Statistics:
        return as_table(segments(_scorer(language), outputs, references), COLUMNS)

    def of_sums(sums: Statistics) -> float:
        if not sums[1]:
            return math.nan  # there is no word in any reference
        return float(_scorer(language)._compute_score_from_stats([int(one) for one in sums]).score) / 100

    return Metric(
        name="bleu",
        title="BLEU",
        kinds=("summarization", "translation"),
        statistics=statistics,
        of_sums=of_sums,
        signature=lambda: signature(_scorer(language)),
        reads_letter=lambda letter: language in TOKENIZED_BY_LANGUAGE.values() or not _runs_on(letter),
        other_scripts="or name both `languages` of a translation (BLEU splits Chinese, Japanese and Korean)",
        made_for=_into_its_language,
    )


def _into_its_language(task: TaskFacts) -> Metric:
    languages = task.generation.languages if task.generation is not None else ()
    return bleu(languages[1] if languages else "")


def _runs_on(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith(RUN_ON)


def segments(scorer: Any, outputs: Sequence[str], references: Sequence[str]) -> list[list[float]]:
    """The counts that sacrebleu adds up, example by example, with one reference each.

    Its public functions give these counts for BLEU only. Its own paired tests (`sacrebleu.significance`) take them here.
    """
    together = paired(outputs, references)
    found: list[list[float]] = scorer._extract_corpus_statistics(
        [output for output, _ in together], [[reference for _, reference in together]]
    )
    return found


def signature(scorer: Any) -> str:
    """sacrebleu's, for one reference an example."""
    scorer.num_refs = 1  # it knows after the first score only
    return str(scorer.get_signature())


@cache
def _scorer(language: str) -> Any:
    from sacrebleu.metrics import BLEU

    try:
        return BLEU(trg_lang=language, force=True)  # no warning about outputs that end in " ."
    except (ImportError, RuntimeError) as error:
        raise CompressError(
            f"BLEU of {language} needs a tokenizer that is not installed. Install it: `pip install 'sacrebleu[{language}]'`."
        ) from error


METRIC = bleu()
