"""Reviews: is this product review positive? Generated reviews, available offline; accuracy.

One word ("awful"), one sentence ("It broke after a week.") or a few, about twelve kinds of product. Four fifths are everyday
sentences that a person answers at sight; the others follow from how they are built: negation, contrast, concession,
disappointed expectation, comparison. See `compress.data.corpora.reviews` for how they are drawn.

How hard it is (corpus version 4, one run; all-MiniLM-L6-v2, two epochs in bf16 autocast, batch 32, rate 2e-4): fine-tuned
on the 3,200 training rows it has 96.1 % of the 800 held-out texts right. The quickstart's settings were chosen on held-out texts.
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
