"""SST-2: is this sentence of a film review positive? One sentence, two labels, accuracy.

The labels of GLUE's test split are hidden. A file `test-labeled.tsv`, the public reconstruction of them, is read where
it lies beside the others. A few hundred training rows repeat another; they stay, as in every published figure.
"""

from __future__ import annotations

from compress.tasks.task import Hub, Source, Task

TASK = Task(
    name="sst2",
    kind="classification",
    text_columns=("sentence",),
    label_column="label",
    label_names=("negative", "positive"),
    metrics=("accuracy",),
    files={
        "train": (Source("train.tsv"),),
        "evaluation": (Source("dev.tsv"),),
        "test": (Source("test-labeled.tsv"), Source("test.tsv", labelled=False)),
    },
    hub=Hub("nyu-mll/glue", "sst2", {"train": "train", "evaluation": "validation", "test": "test"}),
)
