"""MNLI, mismatched: trained as MNLI, evaluated on genres that training did not see. A pair, three labels, accuracy."""

from __future__ import annotations

from dataclasses import replace

from compress.tasks.mnli import LABEL
from compress.tasks.mnli import TASK as MATCHED
from compress.tasks.task import Hub, Source

TASK = replace(
    MATCHED,
    name="mnli_mismatched",
    metrics=("accuracy",),
    files={
        "train": MATCHED.files["train"],
        "evaluation": (Source("dev_mismatched.tsv", text=("sentence1", "sentence2"), label=LABEL),),
        "test": (Source("test_mismatched.tsv", text=("sentence1", "sentence2"), labelled=False),),
    },
    hub=Hub(
        "nyu-mll/glue",
        "mnli",
        {"train": "train", "evaluation": "validation_mismatched", "test": "test_mismatched"},
    ),
)
