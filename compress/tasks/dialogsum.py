"""DialogSum: what was said in this conversation? Everyday spoken dialogues and their summaries, ROUGE.

Its authors' test file has three summaries of each dialogue, of which the first is read; the hub's copy has three rows instead.
"""

from __future__ import annotations

from compress.tasks.kinds.text2text_generation import SUMMARIZATION_METRICS
from compress.tasks.task import Generation, Hub, Source, Task

TASK = Task(
    name="dialogsum",
    kind="summarization",
    text_columns=("dialogue",),
    label_column="summary",
    metrics=SUMMARIZATION_METRICS,
    files={
        "train": (Source("dialogsum.train.jsonl"),),
        "evaluation": (Source("dialogsum.dev.jsonl"),),
        "test": (Source("dialogsum.test.jsonl", label="summary1"), Source("dialogsum.test.jsonl")),
    },
    hub=Hub("knkarthick/dialogsum", "default", {"train": "train", "evaluation": "validation", "test": "test"}),
    generation=Generation(max_source=512, max_target=128, is_dialogue=True),
)
