"""XSum: what is this news article about? BBC articles and one sentence each, ROUGE."""

from __future__ import annotations

from compress.tasks.kinds.text2text_generation import SUMMARIZATION_METRICS
from compress.tasks.task import Generation, Hub, Task

TASK = Task(
    name="xsum",
    kind="summarization",
    text_columns=("document",),
    label_column="summary",
    metrics=SUMMARIZATION_METRICS,
    hub=Hub("EdinburghNLP/xsum", "default", {"train": "train", "evaluation": "validation", "test": "test"}),
    generation=Generation(max_source=1024, max_target=64),
)
