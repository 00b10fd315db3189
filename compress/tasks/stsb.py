"""STS-B: how alike are these two sentences, 0 to 5? A pair, a regression, Pearson and Spearman correlation and their mean.

Both of its distributions are read: GLUE's (`train.tsv`, with a header) and the STS benchmark's (`sts-train.csv`, which in
spite of its name is tab-separated, has no header, and has two more columns in some rows: the sentences' licences).
"""

from __future__ import annotations

from compress.tasks.task import Hub, Source, Task

GLUE_LABEL = "score"


def _benchmark(file: str) -> Source:
    columns = ("genre", "file", "year", "id", "score", "sentence1", "sentence2")
    return Source(file, format="tsv", columns=columns, label="score", may_have_more_columns=True)


TASK = Task(
    name="stsb",
    kind="regression",
    text_columns=("sentence1", "sentence2"),
    label_column="label",
    label_range=(0.0, 5.0),
    metrics=("pearson", "spearman", "pearson_spearman"),
    files={
        "train": (Source("train.tsv", label=GLUE_LABEL), _benchmark("sts-train.csv")),
        "evaluation": (Source("dev.tsv", label=GLUE_LABEL), _benchmark("sts-dev.csv")),
        "test": (_benchmark("sts-test.csv"), Source("test.tsv", labelled=False)),
    },
    hub=Hub("nyu-mll/glue", "stsb", {"train": "train", "evaluation": "validation", "test": "test"}),
)
