"""Dialogues: what came out of this chat? Generated chats and summaries, available offline; ROUGE.

Chats of two to four people about thirteen matters (a meeting, a sale, a late train, ...). Plans change on the way, prices are
bargained over and small talk stands in between, so a summary must select. See `dialogues_corpus` for how they are drawn.
"""

from __future__ import annotations

from compress.tasks.kinds.text2text_generation import SUMMARIZATION_METRICS
from compress.tasks.task import Generation, Task

TASK = Task(
    name="dialogues",
    kind="summarization",
    text_columns=("dialogue",),
    label_column="summary",
    metrics=SUMMARIZATION_METRICS,
    generator="dialogues_corpus",
    generation=Generation(line_end=" | ", max_source=256, max_target=48, is_dialogue=True),
)
