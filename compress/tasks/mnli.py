"""MNLI: does the premise entail the hypothesis? A pair, three labels, accuracy.

Its two evaluation splits are measured in one run: the matched genres, which are in the training split, decide; the mismatched
ones are reported too. `mnli_mismatched` evaluates on the latter.

Our decision on its known defects: in MultiNLI's own distribution, rows on which the annotators did not agree have the label `-`.
GLUE leaves them out; they are left out here, counted, and said so. (GLUE's files hold none.) A hypothesis of `n/a` is text.
"""

from __future__ import annotations

from compress.tasks.task import Hub, Source, Task

LABEL = "gold_label"

TASK = Task(
    name="mnli",
    kind="classification",
    text_columns=("premise", "hypothesis"),
    label_column="label",
    label_names=("entailment", "neutral", "contradiction"),
    metrics=("accuracy", "accuracy_mismatched"),
    files={
        "train": (Source("train.tsv", text=("sentence1", "sentence2"), label=LABEL),),
        "evaluation": (Source("dev_matched.tsv", text=("sentence1", "sentence2"), label=LABEL),),
        "evaluation_mismatched": (Source("dev_mismatched.tsv", text=("sentence1", "sentence2"), label=LABEL),),
        "test": (Source("test_matched.tsv", text=("sentence1", "sentence2"), labelled=False),),
    },
    hub=Hub(
        "nyu-mll/glue",
        "mnli",
        {
            "train": "train",
            "evaluation": "validation_matched",
            "evaluation_mismatched": "validation_mismatched",
            "test": "test_matched",
        },
    ),
    absent_labels=("-",),
)
