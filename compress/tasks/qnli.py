"""QNLI: does this sentence hold the answer to the question? A pair, two labels, accuracy."""

from __future__ import annotations

from compress.tasks.task import Hub, Source, Task

TASK = Task(
    name="qnli",
    kind="classification",
    text_columns=("question", "sentence"),
    label_column="label",
    label_names=("entailment", "not_entailment"),
    metrics=("accuracy",),
    files={
        "train": (Source("train.tsv"),),
        "evaluation": (Source("dev.tsv"),),
        "test": (Source("test.tsv", labelled=False),),
    },
    hub=Hub("nyu-mll/glue", "qnli", {"train": "train", "evaluation": "validation", "test": "test"}),
)
