"""One answer a text, or a pair of texts: one of several classes, any of several labels, or a number."""

from __future__ import annotations

from compress.tasks.kinds.kind import Kind
from compress.tasks.kinds.laws import BINARY, CATEGORICAL, NUMBER

KIND = Kind(
    name="text-classification",
    laws={"classification": CATEGORICAL, "multi_label_classification": BINARY, "regression": NUMBER},
    heads=("ForSequenceClassification",),
    auto_class="AutoModelForSequenceClassification",
    in_words="sequence classification",
    adapter_type="SEQ_CLS",
    problem_types={
        "classification": "single_label_classification",
        "multi_label_classification": "multi_label_classification",
        "regression": "regression",
    },
)
