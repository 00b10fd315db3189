"""RTE: does the first text entail the second? A pair, two labels, accuracy."""

from __future__ import annotations

from compress.tasks.task import Hub, Source, Task

TASK = Task(
    name="rte",
    kind="classification",
    text_columns=("sentence1", "sentence2"),
    label_column="label",
    label_names=("entailment", "not_entailment"),
    metrics=("accuracy",),
    files={
        "train": (Source("train.tsv"),),
        "evaluation": (Source("dev.tsv"),),
        "test": (Source("test.tsv", labelled=False),),
    },
    hub=Hub("nyu-mll/glue", "rte", {"train": "train", "evaluation": "validation", "test": "test"}),
)
