"""CoLA: is this English sentence acceptable? One sentence, two labels, Matthews correlation.

The distribution's `train.tsv` and `dev.tsv` have no header; its `test.tsv` has one, and no labels.
"""

from __future__ import annotations

from compress.tasks.task import Hub, Source, Task

COLUMNS = ("source", "label", "original_mark", "sentence")

TASK = Task(
    name="cola",
    kind="classification",
    text_columns=("sentence",),
    label_column="label",
    label_names=("unacceptable", "acceptable"),
    metrics=("matthews", "accuracy"),
    files={
        "train": (Source("train.tsv", columns=COLUMNS),),
        "evaluation": (Source("dev.tsv", columns=COLUMNS),),
        "test": (Source("test.tsv", labelled=False),),
    },
    hub=Hub("nyu-mll/glue", "cola", {"train": "train", "evaluation": "validation", "test": "test"}),
)
