"""Entities: which words name people, places, organisations and dates? Generated sentences, available offline; entity F1.

One name is a person's, a place's and a company's in turn, so the words around it decide. In the evaluation and test sentences
40 % of the names are in no training row, and 30 % of the sentences are built as none of these is. All of it is templates and
invented names: a score here tells whether a compressed model kept what its teacher had learned, and nothing about newspapers.
See `compress.data.corpora.entities`.

Entity F1 of the 800 evaluation sentences (corpus version 1, one run each): 0.28 for the most frequent tag of each word, 0.65
for a BERT of two layers and width 64 that starts from random weights (six epochs, batch 32, learning rate 1e-3, 1,500 word pieces
made from the training rows), a minute on one core.
"""

from __future__ import annotations

from compress.tasks.task import Task

TASK = Task(
    name="entities",
    kind="token_classification",
    text_columns=("tokens",),
    label_column="tags",
    label_names=("O", "B-DATE", "B-LOC", "B-ORG", "B-PER", "I-DATE", "I-LOC", "I-ORG", "I-PER"),
    metrics=("entity_f1",),
    generator="entities_corpus",
)
