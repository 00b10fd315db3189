"""QQP: do these two Quora questions ask the same? A pair, two labels, F1, accuracy and their mean.

Our decision on its known defects: GLUE's files hold a few rows cut off in the middle (too few columns), which the hub's copy
leaves out as well, so here `bad_rows` is `skip`: they are left out, counted, and reported with their lines. A few questions are
empty; the hub's copy and the official evaluation keep them, so they stay, as an empty text.
"""

from __future__ import annotations

from compress.tasks.task import Hub, Source, Task

TEXT = ("question1", "question2")

TASK = Task(
    name="qqp",
    kind="classification",
    text_columns=TEXT,
    label_column="label",
    label_names=("not_duplicate", "duplicate"),
    metrics=("f1", "accuracy", "accuracy_f1"),
    files={
        "train": (Source("train.tsv", label="is_duplicate"),),
        "evaluation": (Source("dev.tsv", label="is_duplicate"),),
        "test": (Source("test.tsv", labelled=False),),
    },
    hub=Hub("nyu-mll/glue", "qqp", {"train": "train", "evaluation": "validation", "test": "test"}),
    empty_text_is_bad=False,
    bad_rows="skip",
)
