"""One answer a word: its tag, of entities or parts of speech. A word is answered at the first of its tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.labels import NO_LABEL
from compress.tasks.kinds.kind import Inference, Kind, Output
from compress.tasks.kinds.laws import CATEGORICAL
from compress.tasks.kinds.template import LABELLED, Template
from compress.tasks.kinds.trivial import Trivial, commonest_tag, commonest_tag_of_word


def by_word(
    values: NDArray[Any], words: Sequence[NDArray[np.int64]], lengths: Sequence[int]
) -> list[NDArray[np.int64]]:
    """The prediction of each word of each sentence; `NO_LABEL` for a word that the model did not read.

    Args:
        values: of each answer, [answers].
        words: which word each answer of a sentence is of, [answers] a sentence.
        lengths: the words of each sentence.
    """
    ends = np.cumsum([len(one) for one in words])
    found = []
    for answers, places, length in zip(np.split(values, ends[:-1]), words, lengths, strict=True):
        row = np.full(length, NO_LABEL, np.int64)
        row[places] = answers
        found.append(row)
    return found


def _judge(inference: Inference) -> list[NDArray[np.int64]]:
    """The tag id of each word of each sentence, [words]; `NO_LABEL` for a word that the model did not read."""
    return by_word(
        inference.law.decide(inference.outputs["logits"]),
        inference.rows.answer_words,
        [len(words) for words in inference.texts["text"]],
    )


def _present(inference: Inference) -> Iterator[dict[str, Any]]:
    """`{"words", "tags", "entities"}`; a tag is None where the text was cut, or a word has no tokens."""
    from compress.metrics.entity_f1 import entities, read_tag

    for words, ids in zip(inference.texts["text"], _judge(inference), strict=True):
        tags = [None if one == NO_LABEL else inference.names[one] for one in ids]
        found = entities(read_tag(tag or "O") for tag in tags)
        yield {
            "words": words,
            "tags": tags,
            "entities": [
                {"type": kind, "text": " ".join(words[first : last + 1]), "first_word": first, "last_word": last}
                for kind, first, last in found
            ],
        }


KIND = Kind(
    name="token-classification",
    laws={"token_classification": CATEGORICAL},
    heads=("ForTokenClassification",),
    auto_class="AutoModelForTokenClassification",
    in_words="token classification",
    templates={
        "token_classification": Template(
            noun="a token classification",
            metrics=("entity_f1",),
            keys=LABELLED,
            own_keys=("labels", "labels_from"),
            needed=("data",),
            pairs=False,
            usual_columns=("tokens", "tags"),
            aliases=("ner",),
        )
    },
    outputs=(Output("logits", of="word"),),
    judge=_judge,
    trivial={
        "token_classification": (
            Trivial("commonest tag", "the same tag for every word", commonest_tag),
            Trivial(
                "commonest tag of each word", "each word by itself, whatever stands beside it", commonest_tag_of_word
            ),
        )
    },
    present=_present,
    answer_columns={"token_classification": "tags"},
    adapter_type="TOKEN_CLS",
)
