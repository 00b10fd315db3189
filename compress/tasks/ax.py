"""AX: does the premise entail the hypothesis? GLUE's diagnostic set, for models that were trained on MNLI; Matthews correlation.

A pair and three labels, as MNLI has them; there is nothing to train on but MNLI's own rows. GLUE's `AX.tsv` (or
`diagnostic.tsv`) has no labels, and neither has the hub's copy: without them there is no score. The labelled set is
`diagnostic-full.tsv`, which GLUE's authors publish beside it; it is read where it lies in the folder.
"""

from __future__ import annotations

from compress.tasks.mnli import TASK as MNLI
from compress.tasks.task import Source, Task

UNLABELLED = ("sentence1", "sentence2")

TASK = Task(
    name="ax",
    kind="classification",
    text_columns=MNLI.text_columns,
    label_column=MNLI.label_column,
    label_names=MNLI.label_names,
    metrics=("matthews",),
    files={
        "train": MNLI.files["train"],
        "evaluation": (
            Source("diagnostic-full.tsv", text=("Premise", "Hypothesis"), label="Label"),
            Source("AX.tsv", text=UNLABELLED, labelled=False),
            Source("diagnostic.tsv", text=UNLABELLED, labelled=False),
        ),
    },
    absent_labels=MNLI.absent_labels,
)
