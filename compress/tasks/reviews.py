"""Reviews: is this product review positive? Generated reviews, available offline; accuracy.

Short sentences about twelve kinds of product, whose label follows from how they are built: negation, contrast, concession,
disappointed expectation, comparison. See `reviews_corpus` for how they are drawn.

How hard it is, in percent right of the 1,500 evaluation / 1,500 test sentences (corpus version 2, one run each;
all-MiniLM-L6-v2, two epochs in bf16 autocast, batch 32, learning rate 2e-4):

    words and pairs of words, counted                                 64   / 64
    three layers of the base model, which never saw a teacher         73.1 / 74.1
    the teacher: six layers, fine-tuned                               92.6 / 91.9
    three of the teacher's layers, trained on the labels alone        93.8 / 92.9
    three of the teacher's layers, distilled                          94.4 / 92.9

So here it is the teacher's layers that help; that its soft targets help as well is not shown. The templates were written
with an eye on the evaluation split: these figures describe the task and prove nothing else.
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
