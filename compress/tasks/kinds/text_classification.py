"""One answer a text, or a pair of texts: one of several classes, any of several labels, or a number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.tasks.kinds.kind import Inference, Kind, Predictions
from compress.tasks.kinds.laws import BINARY, CATEGORICAL, NUMBER, Law
from compress.tasks.kinds.template import LABELLED, Template
from compress.tasks.kinds.thresholds import chosen, shifted, thresholds_of
from compress.tasks.kinds.trivial import Trivial, commonest_class, commonest_set, mean

USUAL = "classification"
"""The value of `Task.kind` where a description says none."""
LAWS: Mapping[str, Law] = {
    "classification": CATEGORICAL,
    "multi_label_classification": BINARY,
    "regression": NUMBER,
}
PROBLEM_TYPES = {
    "classification": "single_label_classification",
    "multi_label_classification": "multi_label_classification",
    "regression": "regression",
}


def _law_by(config: Mapping[str, Any]) -> Law:
    """By `problem_type`; where it says nothing, one output is a number and several are classes, as transformers has it."""
    for task, problem in PROBLEM_TYPES.items():
        if config.get("problem_type") == problem:
            return LAWS[task]
    outputs = len(config.get("id2label") or ()) or config.get("num_labels", 2)
    return NUMBER if outputs == 1 else CATEGORICAL


def _judge(inference: Inference) -> Predictions:
    """Class ids or numbers, [examples]; of labels each by itself 0 or 1, [examples, labels], with the model's own thresholds."""
    return inference.law.decide(shifted(inference.outputs["logits"], thresholds_of(inference.kept, inference.names)))


def _probabilities(inference: Inference) -> NDArray[np.float64]:
    """[examples, outputs]."""
    return inference.law.probabilities(inference.outputs["logits"])


def _fitted(inference: Inference, labels: Any) -> Mapping[str, Any]:
    """The threshold of each label in multi-label classification."""
    return chosen(inference.outputs["logits"], labels, inference.names)


def _present(inference: Inference) -> Iterator[dict[str, Any]]:
    """`{"label", "probabilities"}`, `{"labels", "probabilities"}`, or `{"score"}`."""
    for row, predicted in zip(inference.outputs["logits"], _judge(inference), strict=True):
        if not inference.law.chooses:
            yield {"score": float(predicted)}
            continue
        named = {"probabilities": dict(zip(inference.names, map(float, inference.law.probabilities(row)), strict=True))}
        if inference.law is BINARY:
            yield {"labels": [name for name, is_so in zip(inference.names, predicted, strict=True) if is_so], **named}
        else:
            yield {"label": inference.names[int(predicted)], **named}


KIND = Kind(
    name="text-classification",
    laws=LAWS,
    heads=("ForSequenceClassification",),
    auto_class="AutoModelForSequenceClassification",
    in_words="sequence classification",
    templates={
        "classification": Template(
            noun="a classification",
            metrics=("accuracy",),
            keys=LABELLED,
            own_keys=("labels",),
            aliases=("text_classification", "single_label_classification"),
            with_several="multi_label_classification",
        ),
        "multi_label_classification": Template(
            noun="a multi-label classification",
            metrics=("f1_micro", "f1_macro"),
            keys=LABELLED,
            own_keys=("labels", "multi_label", "label_separator"),
            needed=("text", "data"),
            aliases=("multi_label", "multilabel", "multilabel_classification"),
        ),
        "regression": Template(
            noun="a regression", metrics=("pearson", "spearman"), keys=LABELLED, own_keys=("labels", "range")
        ),
    },
    law_by=_law_by,
    judge=_judge,
    fitted={BINARY: _fitted},
    probabilities=_probabilities,
    trivial={
        "classification": (Trivial("commonest class", "the same class for every example", commonest_class),),
        "multi_label_classification": (
            Trivial("commonest labels", "the same combination of labels for every example", commonest_set),
        ),
        "regression": (Trivial("mean", "the same number for every example", mean),),
    },
    present=_present,
    answer_columns={"classification": "label", "multi_label_classification": "labels", "regression": "score"},
    adapter_type="SEQ_CLS",
    problem_types=PROBLEM_TYPES,
)
