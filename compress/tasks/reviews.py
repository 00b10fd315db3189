"""Reviews: is this product review positive? Generated reviews, available offline; accuracy.

One word ("awful"), one sentence ("It broke after a week.") or a few, about twelve kinds of product. Three quarters are everyday
sentences that a person answers at sight; the others follow from how they are built: negation, contrast, concession,
disappointed expectation, comparison. See `compress.data.corpora.reviews` for how they are drawn.

How hard it is, in percent right of the 800 held-out texts (corpus version 3, one run each; all-MiniLM-L6-v2, two epochs in bf16
autocast, batch 32, learning rate 2e-4; the settings of the quickstart were chosen on these):

    the teacher: six layers, fine-tuned on 4,000 rows                                            95.1
    three of its layers, distilled on these and 18,970 generated texts that it labels, one epoch  95.4
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
