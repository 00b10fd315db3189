"""CNN/DailyMail: what does this news article say? Articles and their highlights, a line each, ROUGE.

The version without anonymized names (See et al., ACL 2017), as the hub's 3.0.0 has it.
"""

from __future__ import annotations

from compress.tasks.kinds.text2text_generation import SUMMARIZATION_METRICS
from compress.tasks.task import Generation, Hub, Task

TASK = Task(
    name="cnn_dailymail",
    kind="summarization",
    text_columns=("article",),
    label_column="highlights",
    metrics=SUMMARIZATION_METRICS,
    hub=Hub("abisee/cnn_dailymail", "3.0.0", {"train": "train", "evaluation": "validation", "test": "test"}),
    generation=Generation(max_source=1024, max_target=142),
)
