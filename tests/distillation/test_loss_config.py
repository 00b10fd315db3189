"""What a student minimises, as the settings say it: the stages, the layers that are compared, and what each law takes of them."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import BertConfig

from compress.core.errors import CompressError
from compress.distillation.distill_settings import Distill
from compress.distillation.loss_config import stages_of
from compress.tasks.kinds.laws import CATEGORICAL, TOKENS


def config(layers: int, width: int = 64) -> Any:
    return BertConfig(num_hidden_layers=layers, hidden_size=width, num_attention_heads=4, intermediate_size=128)


def test_by_default_a_student_of_classes_learns_soft_targets_and_labels_alone() -> None:
    (only,) = stages_of(Distill(layers=2), config(2), config(4), CATEGORICAL)
    assert only.layer_losses == ()
    assert (only.alpha.plain(), only.temperature.plain()) == (0.5, 4.0)
    assert only.features("teacher").names() == ()


def test_a_first_stage_matches_layers_alone_and_the_last_one_predictions_alone() -> None:
    settings = Distill(layers=2, hidden_weight=1.0, embedding_weight=1.0, intermediate_epochs=1)
    first, last = stages_of(settings, config(2), config(4), CATEGORICAL, (2.0, 1.0))
    assert [one.kind for one in first.layer_losses] == ["hidden", "embedding"]
    assert (first.predictions, last.predictions, last.layer_losses) == (False, True, ())
    assert last.teacher_weights == (2.0, 1.0)


def test_each_layer_of_the_student_reads_the_one_that_its_map_names() -> None:
    settings = Distill(layers=2, hidden_weight=1.0, attention_weight=1.0, relation_weight=1.0, layer_map="0:1,1:3")
    (only,) = stages_of(settings, config(2), config(4), CATEGORICAL)
    assert [one.pairs for one in only.layer_losses] == [((0, 1), (1, 3)), ((0, 1), (1, 3)), ((1, 3),)]
    assert only.features("student").hidden == (0, 1)
    assert only.features("teacher").hidden == (1, 3)


def test_a_generative_student_learns_next_tokens_at_temperature_1_and_no_layers() -> None:
    settings = Distill(decoder_layers=1, hidden_weight=10.0, divergence="jsd", jsd_beta=0.2, on_policy=0.5)
    (only,) = stages_of(settings, config(1), config(2), TOKENS)
    assert only.layer_losses == ()
    assert (only.temperature.plain(), only.divergence, only.beta, only.on_policy) == (1.0, "jsd", 0.2, 0.5)
    (hot,) = stages_of(Distill(decoder_layers=1, temperature=3.0), config(1), config(2), TOKENS)
    assert hot.temperature.plain() == 3.0


def test_relation_heads_that_divide_no_width_are_refused() -> None:
    settings = Distill(layers=2, relation_weight=1.0, relation_heads=7)
    with pytest.raises(CompressError, match="divisor of 64"):
        stages_of(settings, config(2), config(4), CATEGORICAL)
