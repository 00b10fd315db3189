"""WNLI: does the sentence with its pronoun resolved follow? A pair, two labels, accuracy.

Its evaluation split shares sentences with training under opposite labels, so a model that learns the training rows
scores below chance on it: that is the task, not a fault of the reading.
"""

from __future__ import annotations

from compress.tasks.task import Hub, Source, Task

TASK = Task(
    name="wnli",
    kind="classification",
    text_columns=("sentence1", "sentence2"),
    label_column="label",
    label_names=("not_entailment", "entailment"),
    metrics=("accuracy",),
    files={
        "train": (Source("train.tsv"),),
        "evaluation": (Source("dev.tsv"),),
        "test": (Source("test.tsv", labelled=False),),
    },
    hub=Hub("nyu-mll/glue", "wnli", {"train": "train", "evaluation": "validation", "test": "test"}),
)
