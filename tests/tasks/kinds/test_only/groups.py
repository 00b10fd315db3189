"""A kind that exists only in tests: rows in groups, whose scores are compared within the group (reranking)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from compress.core.labels import NO_LABEL
from compress.metrics.metric import Metric, ratio_of
from compress.tasks.kinds import Inference, Kind
from compress.tasks.kinds.answers import Answers, Batch, Outputs
from compress.tasks.kinds.laws import CATEGORICAL


def encode(
    examples: Mapping[str, Sequence[Any]], tokenizer: Any, max_length: int, counts: dict[str, int]
) -> dict[str, list[Any]]:
    """A row for each candidate of each query (`text`, and `text_pair`, a list); `label` is the place of the right one."""
    pairs = [
        (query, candidate, number, place)
        for number, (query, candidates) in enumerate(zip(examples["text"], examples["text_pair"], strict=True))
        for place, candidate in enumerate(candidates)
    ]
    found = tokenizer([one[0] for one in pairs], [one[1] for one in pairs], truncation=True, max_length=max_length)
    columns: dict[str, list[Any]] = {name: list(found[name]) for name in tokenizer.model_input_names if name in found}
    columns["example"] = [number for _, _, number, _ in pairs]
    if "label" in examples:
        columns["labels"] = [int(examples["label"][number] == place) for _, _, number, place in pairs]
    return columns


def collate(features: list[Mapping[str, Any]], tokenizer: Any) -> dict[str, Any]:
    import torch

    from compress.data.collate import padded_inputs

    groups = {key: place for place, key in enumerate(dict.fromkeys(feature["example"] for feature in features))}
    found = padded_inputs(features, tokenizer)
    found["about.group"] = torch.tensor([groups[feature["example"]] for feature in features])
    if "labels" in features[0]:
        found["labels"] = torch.tensor([feature["labels"] for feature in features])
    return found


def answers(outputs: Outputs, batch: Batch) -> Answers:
    """One answer a group, in the row of its first candidate: which of them is the right one."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    scores = outputs["logits"][:, 0]
    group = batch.get("about.group", torch.arange(len(scores), device=scores.device))
    sizes = group.bincount()
    exists = torch.ones_like(group, dtype=torch.bool)
    values, valid = (pad_sequence(one.split(sizes.tolist()), batch_first=True) for one in (scores, exists))
    labels, targets = batch.get("labels"), None
    if labels is not None:
        right = pad_sequence(labels.split(sizes.tolist()), batch_first=True) > 0
        targets = torch.where(right.any(1), right.int().argmax(1), NO_LABEL)
    return Answers(values, targets, sizes.cumsum(0) - sizes, valid)


def judge(inference: Inference) -> list[Any]:
    """The order of each query's candidates, the best first."""
    of = np.asarray(inference.rows.about["example"])
    return [np.argsort(-inference.outputs["logits"][of == number, 0], kind="stable") for number in np.unique(of)]


def present(inference: Inference) -> Iterator[dict[str, Any]]:
    yield from ({"ranking": order.tolist()} for order in judge(inference))


def reciprocal_ranks(predictions: Any, references: Any) -> Any:
    both = zip(predictions, references, strict=True)
    return np.array([[1 / (1 + int(np.flatnonzero(order == right)[0])), 1] for order, right in both])


RECIPROCAL_RANK = Metric(
    name="mean_reciprocal_rank",
    title="mean reciprocal rank",
    kinds=("text-ranking",),
    statistics=reciprocal_ranks,
    of_sums=ratio_of,
    is_mean=True,
)
KIND = Kind(
    name="text-ranking",
    laws={"text_ranking": CATEGORICAL},
    heads=(),
    claims=lambda config: config.get("ranks") is True,
    auto_class="AutoModelForSequenceClassification",
    in_words="rerankers",
    answers=answers,
    encode=encode,
    collate=collate,
    together=lambda feature: feature["example"],
    judge=judge,
    present=present,
)
