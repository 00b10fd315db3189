"""One answer a text, or a pair of texts: one of several classes, any of several labels, or a number."""

from __future__ import annotations

from compress.tasks.kinds.described import LABELLED, Described
from compress.tasks.kinds.kind import Kind
from compress.tasks.kinds.laws import BINARY, CATEGORICAL, NUMBER

KIND = Kind(
    name="text-classification",
    laws={"classification": CATEGORICAL, "multi_label_classification": BINARY, "regression": NUMBER},
    heads=("ForSequenceClassification",),
    auto_class="AutoModelForSequenceClassification",
    in_words="sequence classification",
    described={
        "classification": Described(
            noun="a classification",
            metrics=("accuracy",),
            keys=LABELLED,
            own_keys=("labels",),
            aliases=("text_classification", "single_label_classification"),
        ),
        "multi_label_classification": Described(
            noun="a multi-label classification",
            metrics=("f1_micro", "f1_macro"),
            keys=LABELLED,
            own_keys=("labels", "multi_label", "label_separator"),
            needed=("text", "data"),
            aliases=("multi_label", "multilabel", "multilabel_classification"),
        ),
        "regression": Described(
            noun="a regression", metrics=("pearson", "spearman"), keys=LABELLED, own_keys=("labels", "range")
        ),
    },
    adapter_type="SEQ_CLS",
    problem_types={
        "classification": "single_label_classification",
        "multi_label_classification": "multi_label_classification",
        "regression": "regression",
    },
)
