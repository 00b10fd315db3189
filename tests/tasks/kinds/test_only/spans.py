"""A kind that exists only in tests: two outputs, each of which chooses one of a row's own tokens (question answering)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from compress.metrics.metric import Metric, ratio_of
from compress.tasks.kinds import Inference, Kind, Output
from compress.tasks.kinds.answers import Answers, Batch, Outputs
from compress.tasks.kinds.laws import CATEGORICAL

STRIDE = 2
"""Tokens that two windows of one text share."""


def encode(
    examples: Mapping[str, Sequence[Any]], tokenizer: Any, max_length: int, counts: dict[str, int]
) -> dict[str, list[Any]]:
    """Windows of `text_pair`, each behind the question; `label` is the first and the last character of the answer."""
    found = tokenizer(
        examples["text"],
        examples["text_pair"],
        truncation="only_second",
        max_length=max_length,
        stride=STRIDE,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    columns: dict[str, list[Any]] = {name: list(found[name]) for name in tokenizer.model_input_names if name in found}
    columns["example"] = list(found["overflow_to_sample_mapping"])
    columns["offsets"] = [[list(pair) for pair in row] for row in found["offset_mapping"]]
    windows = range(len(columns["example"]))
    columns["of_text"] = [[int(part == 1) for part in found.sequence_ids(number)] for number in windows]
    if "label" in examples:
        columns["labels"] = [_tokens_of(columns, number, examples["label"]) for number in windows]
    counts["truncated"] += len(windows) - len(set(columns["example"]))
    return columns


def _tokens_of(columns: Mapping[str, list[Any]], number: int, labels: Sequence[tuple[int, int]]) -> list[int]:
    """The first and the last token of the answer; -100 in a window that lacks it."""
    first, last = labels[columns["example"][number]]
    tokens = [
        place
        for place, ((begin, end), own) in enumerate(
            zip(columns["offsets"][number], columns["of_text"][number], strict=True)
        )
        if own and begin >= first and end <= last
    ]
    whole = tokens and columns["offsets"][number][tokens[0]][0] == first
    whole = whole and columns["offsets"][number][tokens[-1]][1] == last
    return [tokens[0], tokens[-1]] if whole else [-100, -100]


def collate(features: list[Mapping[str, Any]], tokenizer: Any) -> dict[str, Any]:
    import torch

    from compress.data.collate import padded_inputs

    batch = padded_inputs(features, tokenizer)
    own = torch.zeros_like(batch["attention_mask"])
    for line, feature in zip(own, features, strict=True):
        line[: len(feature["of_text"])] = torch.tensor(feature["of_text"])
    found = {**batch, "about.of_text": own}
    if "labels" in features[0]:
        found["labels"] = torch.tensor([feature["labels"] for feature in features])
    return found


def answers(outputs: Outputs, batch: Batch) -> Answers:
    """Two answers a row, the first token and the last; none but the text's own tokens can be one."""
    import torch

    own = batch.get("about.of_text", batch["attention_mask"]).bool()
    labels = batch.get("labels")
    rows = torch.arange(len(own), device=own.device)
    return Answers(
        torch.cat([outputs["start_logits"], outputs["end_logits"]]),
        None if labels is None else labels.T.reshape(-1),
        torch.cat([rows, rows]),
        torch.cat([own, own]),
    )


def judge(inference: Inference) -> list[str]:
    """The text of each example's best span, in whichever of its windows that stands."""
    ends = np.cumsum(inference.rows.lengths())[:-1]
    best: dict[int, tuple[float, str]] = {}
    parts = (np.split(inference.outputs[name], ends) for name in ("start_logits", "end_logits"))
    for number, (first, last) in enumerate(zip(*parts, strict=True)):
        own = np.flatnonzero(inference.rows.about["of_text"][number])
        scores = np.triu(first[own][:, None] + last[own][None])
        scores[np.tril_indices(len(own), -1)] = -np.inf
        begin, end = np.unravel_index(int(scores.argmax()), scores.shape)
        offsets, example = inference.rows.about["offsets"][number], inference.rows.about["example"][number]
        text = inference.texts["text_pair"][example][offsets[own[begin]][0] : offsets[own[end]][1]]
        best[example] = max(best.get(example, (-np.inf, "")), (float(scores.max()), text))
    return [best[example][1] for example in sorted(best)]


def present(inference: Inference) -> Iterator[dict[str, Any]]:
    yield from ({"answer": text} for text in judge(inference))


def exact(predictions: Any, references: Any) -> Any:
    same = [[one == other, 1] for one, other in zip(predictions, references, strict=True)]
    return np.array(same, dtype=np.float64)


EXACT = Metric(
    name="span_exact",
    title="exact match",
    kinds=("question-answering",),
    statistics=exact,
    of_sums=ratio_of,
    is_mean=True,
)
KIND = Kind(
    name="question-answering",
    laws={"question_answering": CATEGORICAL},
    heads=("ForQuestionAnswering",),
    auto_class="AutoModelForQuestionAnswering",
    in_words="question answering",
    outputs=(Output("start_logits", of="token"), Output("end_logits", of="token")),
    answers=answers,
    encode=encode,
    collate=collate,
    judge=judge,
    present=present,
)
