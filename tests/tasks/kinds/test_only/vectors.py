"""A kind that exists only in tests: a vector for a text, without labels, under a law of its own (embeddings)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compress.metrics.metric import Metric, ratio_of
from compress.tasks.kinds import Inference, Kind, Output
from compress.tasks.kinds.answers import Answers, Batch, Outputs
from compress.tasks.kinds.laws import Law

if TYPE_CHECKING:
    from torch import Tensor


class Direction(Law):
    """Where a vector points: compared by its cosine, whatever its length."""

    def decide(self, values: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True), dtype=np.float64)

    def differs(self, ours: NDArray[Any], theirs: NDArray[Any]) -> NDArray[np.bool_]:
        return np.zeros(len(ours), dtype=bool)

    def similarity(self, ours: NDArray[Any], theirs: NDArray[Any]) -> float:
        return float((self.decide(ours) * self.decide(theirs)).sum(axis=1).mean())

    def labelled(self, targets: Tensor, valid: Tensor | None = None) -> Tensor:
        return ~targets.isnan().any(-1)

    def loss(self, values: Tensor, targets: Tensor, valid: Tensor | None = None) -> Tensor:
        return self.divergence(values, targets.nan_to_num(), 1.0)

    def divergence(self, student: Tensor, teacher: Tensor, temperature: float, valid: Tensor | None = None) -> Tensor:
        from torch.nn.functional import cosine_similarity

        return 1 - cosine_similarity(student.float(), teacher.detach().float(), dim=-1)


DIRECTION = Direction("direction", chooses=False, no_label=float("nan"), stored_as="float32")


@cache
def _model_class() -> Any:
    import torch
    from transformers import BertModel
    from transformers.modeling_outputs import ModelOutput
    from transformers.models.bert.modeling_bert import BertPreTrainedModel

    class BertForVectors(BertPreTrainedModel):  # type: ignore[misc]  # transformers has no types here
        """BERT, and the mean of its last hidden states over real tokens."""

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.bert = BertModel(config, add_pooling_layer=False)
            self.post_init()

        def forward(self, input_ids: Any, attention_mask: Any = None, token_type_ids: Any = None) -> Any:
            mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
            states = self.bert(input_ids, attention_mask=mask, token_type_ids=token_type_ids).last_hidden_state
            weights = mask[..., None].to(states.dtype)
            return ModelOutput(embedding=(states * weights).sum(1) / weights.sum(1))

    return BertForVectors


def __getattr__(name: str) -> Any:
    """The class is made when it is asked for: a kind's file imports no torch."""
    if name == "BertForVectors":
        return _model_class()
    raise AttributeError(name)


def collate(features: list[Mapping[str, Any]], tokenizer: Any) -> dict[str, Any]:
    from compress.data.collate import padded_inputs

    return padded_inputs(features, tokenizer)


def answers(outputs: Outputs, batch: Batch) -> Answers:
    """Another model's vector is all that there can be of a label."""
    return Answers(outputs["embedding"], batch.get("labels"))


def judge(inference: Inference) -> Sequence[Any]:
    return list(inference.law.decide(inference.outputs["embedding"]))


def cosines(predictions: Any, references: Any) -> Any:
    both = zip(predictions, references, strict=True)
    return np.array([[float(ours @ theirs), 1] for ours, theirs in both])


COSINE = Metric(
    name="mean_cosine",
    title="mean cosine",
    kinds=("sentence-similarity",),
    statistics=cosines,
    of_sums=ratio_of,
    unit="coefficient",
    is_mean=True,
)
KIND = Kind(
    name="sentence-similarity",
    laws={"sentence_similarity": DIRECTION},
    heads=("ForVectors",),
    auto_class="tests.tasks.kinds.test_only.vectors:BertForVectors",
    in_words="embedding models",
    outputs=(Output("embedding"),),
    answers=answers,
    collate=collate,
    judge=judge,
)
