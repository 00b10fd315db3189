"""What a model says of a split, row by row: right answers, a score of each generated text, or the loss on each text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def read(folder: Path, task: dict[str, Any], split: str, max_length: int, threads: int) -> dict[str, Any]:
    """A model's scores on a split, by the task's first metric, in fp32 and the same way for every model.

    Args:
        folder: of a checkpoint or an artifact.
        task: as `compress` reads it.
        max_length: in tokens, where the task has no lengths of its own.

    Returns:
        `metric`, `higher_is_better`, `rows`; `by_row`: a digit for each row where an answer is right (1) or wrong (0), else a
        number for each; `value`: their mean, weighted by `weights` where there are any (the tokens of each text, whose loss is in
        nats per token); `loss`: of classifiers, the mean cross-entropy.
    """
    import torch

    from compress.core.artifact import Artifact
    from compress.data import loading
    from compress.runtimes.runtime import as_measured

    torch.set_num_threads(threads)
    known, data = loading.resolve(task)
    rows = loading.load(known, data, split).rows
    artifact = Artifact.open(folder) if Artifact.is_one(folder) else Artifact(folder, origin={}, task=None)
    if known.is_generative:
        return _generated(artifact, known, rows, max_length)
    return _classified(as_measured(artifact), rows, max_length, threads)


def confidence(folder: Path, texts: list[str], threads: int) -> np.ndarray:
    """The probability of the most likely class by a classifier, [texts]."""
    from datasets import Dataset

    from compress.core.artifact import Artifact

    artifact = Artifact.open(folder) if Artifact.is_one(folder) else Artifact(folder, origin={}, task=None)
    logs, _ = _logs(artifact, Dataset.from_dict({"text": texts}), 128, threads)
    return np.asarray(np.exp(logs.max(axis=1)))


def _logs(artifact: Any, rows: Any, max_length: int, threads: int) -> tuple[np.ndarray, Any]:
    """The logarithms of the classes' probabilities, [rows, classes], and the tokenized rows."""
    from compress.data import loading
    from compress.models import load as models
    from compress.runtimes.choice import runtime_for
    from compress.runtimes.rows import Rows, predict_all
    from compress.runtimes.runtime import Serving

    tokenizer = models.tokenizer(artifact.folder)
    tokens = loading.tokenize(rows, tokenizer, max_length).rows
    columns = {name: list(tokens[name]) for name in tokens.column_names if name in tokenizer.model_input_names}
    runtime = runtime_for(artifact)
    session = runtime.opened(artifact, Serving(threads=threads, options=runtime.served_with))
    logits = predict_all(session, Rows.encode(columns))["logits"].astype(np.float64)
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True), tokens


def _classified(artifact: Any, rows: Any, max_length: int, threads: int) -> dict[str, Any]:
    logs, tokens = _logs(artifact, rows, max_length, threads)
    labels = np.asarray(tokens["label"])
    right = logs.argmax(axis=1) == labels
    return {
        "metric": "accuracy",
        "higher_is_better": True,
        "rows": len(labels),
        "value": round(float(right.mean()), 6),
        "loss": round(float(-logs[np.arange(len(labels)), labels].mean()), 5),
        "by_row": "".join(str(int(one)) for one in right),
    }


def _generated(artifact: Any, task: Any, rows: Any, max_length: int) -> dict[str, Any]:
    import torch

    from compress.distillation.ablation import metrics_of
    from compress.distillation.baseline import evaluation_of
    from compress.distillation.students import Student
    from compress.models import load as models

    model = models.load(artifact).float().eval()
    evaluation = evaluation_of(Student(model, models.tokenizer(artifact.folder)), task, rows, max_length)
    metric = metrics_of(task)[0]
    with torch.no_grad():
        table = np.asarray(metric.statistics(evaluation.outputs(model), evaluation.references), dtype=float)
    result = {"metric": metric.name, "higher_is_better": metric.higher_is_better, "rows": len(table)}
    if metric.is_mean:
        return {**result, "value": round(float(table[:, 0].mean()), 6), "by_row": table[:, 0].round(5).tolist()}
    sums, tokens = table[:, 0], table[:, 1]  # of losses, whose mean over all tokens is the logarithm of the perplexity
    told = {"value": round(float(sums.sum() / tokens.sum()), 6), "by_row": (sums / tokens).round(6).tolist()}
    return {**result, "metric": "nats per token", **told, "weights": tokens.astype(int).tolist()}


def scores(read: dict[str, Any]) -> np.ndarray:
    """The scores of a split's rows, [rows], each times its weight over the mean weight: their mean is the split's value."""
    found = np.array([float(one) for one in read["by_row"]])
    weights = np.asarray(read.get("weights", 1.0), dtype=float)
    return np.asarray(found * weights / weights.mean())


def training_texts(task: dict[str, Any], number: int | None) -> list[str]:
    """The texts of a task's training split, without the rows held out of it: all of them, or so many, drawn from a seed."""
    from compress.data import loading

    known, data = loading.resolve(task)
    found = [" ".join(text.split()) for text in loading.load(known, data, "train").rows["text"]]
    if number is None or number >= len(found):
        return found
    places = np.random.default_rng(0).choice(len(found), size=number, replace=False)
    return [found[place] for place in sorted(places)]
