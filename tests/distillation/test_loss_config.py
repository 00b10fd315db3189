"""What a student minimises, as the settings say it: the stages, the layers that are compared, and what each law takes of them."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import BartConfig, BertConfig, LlamaConfig

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


def test_a_generative_student_learns_next_tokens_at_temperature_1() -> None:
    settings = Distill(decoder_layers=1, divergence="jsd", jsd_beta=0.2, on_policy=0.5)
    (only,) = stages_of(settings, config(1), config(2), TOKENS)
    assert only.layer_losses == ()
    assert (only.temperature.plain(), only.divergence, only.beta, only.on_policy) == (1.0, "jsd", 0.2, 0.5)
    (hot,) = stages_of(Distill(decoder_layers=1, temperature=3.0), config(1), config(2), TOKENS)
    assert hot.temperature.plain() == 3.0


def test_relation_heads_that_divide_no_width_are_refused() -> None:
    settings = Distill(layers=2, relation_weight=1.0, relation_heads=7)
    with pytest.raises(CompressError, match="divisor of 64"):
        stages_of(settings, config(2), config(4), CATEGORICAL)


def seq2seq(encoder: int, decoder: int) -> Any:
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 8}
    return BartConfig(encoder_layers=encoder, decoder_layers=decoder, d_model=64, **heads)


def test_each_side_of_an_encoder_decoder_has_losses_of_its_own() -> None:
    settings = Distill(layers=1, preset="tinybert", relation_weight=1.0)
    first, last = stages_of(settings, seq2seq(2, 1), seq2seq(4, 3), TOKENS)
    assert [(one.kind, one.side, one.pairs) for one in first.layer_losses] == [
        ("hidden", "encoder", ((0, 1), (1, 3))),
        ("hidden", "decoder", ((0, 2),)),
        ("attention", "encoder", ((0, 1), (1, 3))),
        ("attention", "decoder", ((0, 2),)),
        ("relations", "encoder", ((1, 3),)),
        ("relations", "decoder", ((0, 2),)),
        ("embedding", "encoder", ()),
        ("embedding", "decoder", ()),
    ]
    assert [one.heads for one in first.layer_losses if one.kind == "relations"] == [4, 8]
    assert first.sides == ("encoder", "decoder")
    assert first.features("teacher", "encoder").hidden == (1, 3)
    assert first.features("student", "decoder").attention == (0,)
    assert (first.predictions, first.on_policy, last.layer_losses, last.alpha.plain()) == (False, 0.0, (), 1.0)


def test_a_frozen_encoder_has_nothing_to_learn_from_layers() -> None:
    configs = seq2seq(2, 1), seq2seq(4, 3)
    settings = Distill(layers=1, hidden_weight=1.0, embedding_weight=1.0)
    (only,) = stages_of(settings, *configs, TOKENS, frozen_encoder=True)
    assert [(one.kind, one.side) for one in only.layer_losses] == [("hidden", "decoder"), ("embedding", "decoder")]
    named = Distill(layers=1, hidden_weight=1.0, layer_map="encoder.0:1,decoder.0:1")
    with pytest.raises(CompressError, match="learn nothing with freeze_encoder"):
        stages_of(named, *configs, TOKENS, frozen_encoder=True)


def test_where_each_token_predicts_the_patient_loss_is_taken_at_each() -> None:
    settings = Distill(layers=1, preset="patient")
    (only,) = stages_of(settings, seq2seq(1, 1), seq2seq(2, 2), TOKENS)
    assert {one.loss for one in only.layer_losses} == {"normalized"}
    (only,) = stages_of(settings, config(1), config(2), CATEGORICAL)
    assert {one.loss for one in only.layer_losses} == {"patient"}


def test_relation_heads_divide_the_narrower_keys_of_grouped_queries() -> None:
    sizes = {"hidden_size": 48, "num_attention_heads": 6, "num_key_value_heads": 2}
    student, teacher = (LlamaConfig(num_hidden_layers=layers, **sizes) for layers in (1, 2))
    (only,) = stages_of(Distill(layers=1, relation_weight=1.0), student, teacher, TOKENS)
    assert only.layer_losses[0].heads == 2
    with pytest.raises(CompressError, match="queries and keys, 48 and 16, and the teacher's, 48 and 16.*divisor of 16"):
        stages_of(Distill(layers=1, relation_weight=1.0, relation_heads=6), student, teacher, TOKENS)
