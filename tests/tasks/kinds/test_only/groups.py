"""A kind that exists only in tests: rows in groups, whose scores are compared within the group (reranking)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from compress.metrics.metric import Metric, ratio_of
from compress.tasks.kinds import Kind, Said
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

    scores, rows = outputs["logits"][:, 0], torch.arange(len(outputs["logits"]), device=outputs["logits"].device)
    group = batch.get("about.group", rows)
    counts = torch.bincount(group)
    first = torch.full_like(counts, len(group)).scatter_reduce(0, group, rows, "amin")
    order = torch.argsort(group, stable=True)
    within = torch.empty_like(rows)
    within[order] = rows - (counts.cumsum(0) - counts).repeat_interleave(counts)
    values = scores.new_zeros(len(counts), int(counts.max())).index_put((group, within), scores)
    valid = within.new_zeros(values.shape).index_put((group, within), torch.ones_like(within)).bool()
    labels = batch.get("labels")
    targets = None
    if labels is not None:
        right = labels > 0
        targets = torch.full_like(counts, -100).index_put((group[right],), within[right])
    return Answers(values, targets, first, valid)


def judge(said: Said) -> list[Any]:
    """The order of each query's candidates, the best first."""
    of = np.asarray(said.rows.about["example"])
    return [np.argsort(-said.outputs["logits"][of == number, 0], kind="stable") for number in np.unique(of)]


def present(said: Said) -> Iterator[dict[str, Any]]:
    yield from ({"ranking": order.tolist()} for order in judge(said))


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
