"""What an open model of a kind that generates nothing says of tokenized rows, ready to be judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from compress.core.labels import ANSWERED, inputs_of
from compress.data.collate import batches_by_length, collate_of, row_lengths
from compress.metrics.metric import Undefined
from compress.runtimes.rows import of_tokenized
from compress.tasks import scoring
from compress.tasks.kinds import Inference
from compress.tasks.predictions import labels_of
from compress.tasks.task import Task
from compress.training.objectives import ModelScore, Scored

BATCH = 64


def inference_of(model: Any, rows: Any, texts: Any, its_tokenizer: Any, task: Task) -> Inference:
    """All outputs for all rows, in fp32, computed in batches of like length; the model is in evaluation mode already.

    Args:
        rows: tokenized.
        texts: the same as they were loaded.
        task: whose labels the model's outputs are in the order of.
    """
    kind, device = task.of_kind, next(model.parameters()).device
    its_collate = collate_of(kind)
    found: dict[str, list[Any]] = {one.name: [None] * len(rows) for one in kind.outputs}
    with torch.inference_mode():
        for places in batches_by_length(row_lengths(rows), BATCH):
            batch = its_collate([rows[place] for place in places], its_tokenizer, {})
            batch = {name: value.to(device) for name, value in batch.items()}
            given = kind.named(model(**inputs_of(batch)))
            for one in kind.outputs:
                values = given[one.name].float()
                real = {"row": None, "token": batch["attention_mask"]}.get(one.of, batch.get(ANSWERED))
                for line, place in enumerate(places):
                    own = values[line : line + 1] if real is None else values[line][real[line].bool()]
                    found[one.name][place] = own.cpu().numpy()
    outputs = {name: np.concatenate(parts) for name, parts in found.items()}
    return Inference(outputs, of_tokenized(rows, its_tokenizer, kind), texts, task.law, task.label_names)


def judged(task: Task, rows: Any, texts: Any, its_tokenizer: Any) -> ModelScore:
    """The score of a kind whose held-out rows are judged as examples: by the task's first metric, with the labels of `texts`."""
    metric = scoring.metrics(task)[0]

    def score(model: Any) -> Scored:
        predicted = task.of_kind.judge(inference_of(model, rows, texts, its_tokenizer, task))
        try:
            return metric.name, float(metric.score(predicted, labels_of(texts, task)))
        except Undefined as reason:
            return metric.name, reason

    return ModelScore(score, len(rows), metric.higher_is_better)
