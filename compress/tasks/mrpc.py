"""MRPC: do these two news sentences say the same? A pair, two labels, F1, accuracy and their mean.

Quotes in its files are text. Without GLUE's `train.tsv` and `dev.tsv`, Microsoft's own `msr_paraphrase_train.txt` and
`msr_paraphrase_test.txt` (which has labels) are read as train and test.
"""

from __future__ import annotations

from compress.tasks.task import Hub, Source, Task

TEXT = ("#1 String", "#2 String")

TASK = Task(
    name="mrpc",
    kind="classification",
    text_columns=("sentence1", "sentence2"),
    label_column="label",
    label_names=("not_equivalent", "equivalent"),
    metrics=("f1", "accuracy", "accuracy_f1"),
    files={
        "train": (
            Source("train.tsv", text=TEXT, label="Quality"),
            Source("msr_paraphrase_train.txt", text=TEXT, label="Quality"),
        ),
        "evaluation": (Source("dev.tsv", text=TEXT, label="Quality"),),
        "test": (
            Source("msr_paraphrase_test.txt", text=TEXT, label="Quality"),
            Source("test.tsv", text=TEXT, labelled=False),
        ),
    },
    hub=Hub("nyu-mll/glue", "mrpc", {"train": "train", "evaluation": "validation", "test": "test"}),
)
