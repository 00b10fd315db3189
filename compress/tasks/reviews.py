"""Reviews: is this product review positive? A corpus that the program generates, so that everything runs offline.

Short sentences about twelve kinds of product, whose label follows from how they are built: negation, contrast, concession,
disappointed expectation, comparison. See `reviews_corpus` for how they are drawn.
"""

from __future__ import annotations

from compress.tasks.task import Task

TASK = Task(
    name="reviews",
    kind="classification",
    text_columns=("text",),
    label_column="label",
    label_names=("negative", "positive"),
    metrics=("accuracy",),
    generator="reviews_corpus",
)
