"""Topics: which of six topics does this message to a shop have, none to three? Generated, available offline; micro F1.

They are made of sentences that we wrote; some name a topic's words and deny it. Half of the evaluation and test messages say what
they mean in sentences that no training row has. A score here tells whether a compressed model kept what its teacher had
learned, and nothing about real customers. See `compress.data.corpora.topics`.

Micro F1 of the 800 evaluation messages (corpus version 1, one run each): 0.44 for all labels always, 0.77 for a BERT of two
layers and width 64 that starts from random weights (six epochs, batch 32, learning rate 1e-3, two minutes on one core), 0.90 for
words and pairs of words, counted.
"""

from __future__ import annotations

from compress.tasks.task import Task

TASK = Task(
    name="topics",
    kind="multi_label_classification",
    text_columns=("text",),
    label_column="labels",
    label_names=("billing", "delivery", "account", "defect", "return", "praise"),
    metrics=("f1_micro", "f1_macro"),
    generator="topics_corpus",
)
