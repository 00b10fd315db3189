"""SAMSum: what was said in this chat? Messenger-like dialogues and their summaries, ROUGE.

Our decision on its known defects: one training row has an empty dialogue; it is left out, and counted. Of its 818 evaluation
dialogues 47 stand in its training rows as well, more than is accepted elsewhere; they stay, as in every published
figure, and are reported.
"""

from __future__ import annotations

from compress.tasks.kinds.text2text_generation import SUMMARIZATION_METRICS
from compress.tasks.task import Generation, Hub, Source, Task

TASK = Task(
    name="samsum",
    kind="summarization",
    text_columns=("dialogue",),
    label_column="summary",
    metrics=SUMMARIZATION_METRICS,
    files={
        "train": (Source("train.json"),),
        "evaluation": (Source("val.json"),),
        "test": (Source("test.json"),),
    },
    # The corpus under its authors' own name is gone from the hub.
    hub=Hub("knkarthick/samsum", "default", {"train": "train", "evaluation": "validation", "test": "test"}),
    allow_overlap=True,
    generation=Generation(max_source=512, max_target=128, is_dialogue=True),
)
