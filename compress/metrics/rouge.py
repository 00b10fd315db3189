"""ROUGE by Google's `rouge-score`: F1 of each example's overlap with its reference, with Porter's stemmer, and the mean.

Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004. `rouge-score` was made to give the values of the original
Perl ROUGE-1.5.5, and is what papers report. Its tokens are runs of a-z and 0-9 in lower case: a text in another script has none.
Where no reference has a token, there is no score.

ROUGE-Lsum compares sentence by sentence, and a new line ends a sentence, as in the original. `rouge-score` can also look for
sentences itself; that needs data that NLTK downloads, so it is not used, and for texts of one line ROUGE-Lsum is ROUGE-L.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from importlib import metadata
from typing import Any

from compress.metrics.metric import Metric, Statistics, as_table, paired, ratio_of

COLUMNS = ("f1", "examples", "references_with_words")


def rouge(name: str, title: str, kind: str) -> Metric:
    """The metric of one of rouge-score's kinds: `rouge1` to `rouge9`, `rougeL` or `rougeLsum`."""

    def statistics(outputs: Sequence[str], references: Sequence[str]) -> Statistics:
        found = zip(scores(kind, outputs, references), references, strict=True)
        return as_table([(one[2], 1.0, float(_has_words(reference))) for one, reference in found], COLUMNS)

    return Metric(
        name=name,
        title=title,
        kinds=("summarization", "translation"),
        statistics=statistics,
        of_sums=_of_sums,
        signature=lambda: signature(kind),
        is_mean=True,
        reads_letter=_has_words,
    )


def _of_sums(sums: Statistics) -> float:
    """The mean; NaN where no reference has a word. Rows that were measured before that was counted have two columns."""
    return math.nan if len(sums) > 2 and not sums[2] else ratio_of(sums)


def _has_words(text: str) -> bool:
    return any(one.isascii() and one.isalnum() for one in text.lower())


def scores(
    kind: str, outputs: Sequence[str], references: Sequence[str], *, stem: bool = True
) -> list[tuple[float, float, float]]:
    """Precision, recall and F1 of each example, 0..1; all 0 where either text has no tokens.

    Args:
        kind: as rouge-score calls it.
        outputs: what the model wrote.
        references: one for each output, in the same order.
        stem: whether words are cut to their stems (longer than three letters) before they are compared.
    """
    scorer = _scorer(kind, stem)
    found = (scorer.score(reference, output)[kind] for output, reference in paired(outputs, references))
    return [(float(one.precision), float(one.recall), float(one.fmeasure)) for one in found]


def signature(kind: str, *, stem: bool = True) -> str:
    """The compared files, and the version of the check."""
    sentences = "|sentences:lines" if kind == "rougeLsum" else ""
    stemmer = "porter" if stem else "none"
    version = metadata.version("rouge-score")
    return f"nrefs:1|measure:f1|aggregate:mean|stemmer:{stemmer}{sentences}|tok:rouge-score|version:{version}"


@cache
def _scorer(kind: str, stem: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([kind], tokenizer=_tokenizer(stem))


@cache
def _tokenizer(stem: bool) -> Any:
    """rouge-score's own, which remembers stems: they are most of the time, and texts repeat their words."""
    from rouge_score.tokenizers import DefaultTokenizer

    tokenizer = DefaultTokenizer(use_stemmer=stem)
    if stem:
        tokenizer._stemmer = _Remembering(tokenizer._stemmer.stem)
    return tokenizer


class _Remembering:
    """Porter's stemmer, each word stemmed once."""

    def __init__(self, stem: Callable[[str], str]) -> None:
        self.stem = cache(stem)
