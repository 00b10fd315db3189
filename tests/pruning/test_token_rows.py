"""A model with fewer tokens computes the same of those that stay, and its configs name them by their new ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from compress.models.generators import generator
from compress.models.load import classifier
from compress.pruning.token_rows import keep_tokens_, named_ids
from tests import families
from tests.families import LIKE_ROBERTA
from tests.tiny import write_model
from tests.tiny_generators import write_generator

KEPT = (0, 1, 2, 3, 4, 6, 9, 11, 14, 20, 21, 30, 33)
ROWS = torch.tensor([[2, 6, 9, 33, 14, 30, 3, 1], [2, 20, 11, 3, 1, 0, 0, 0]])
"""Former ids, padded with 0."""
NEW = {former: place for place, former in enumerate(KEPT)}
RENUMBERED = ROWS.clone().apply_(NEW.__getitem__)
MASK = (ROWS != 0).long()


def answers(model: Any, ids: Tensor) -> Tensor:
    more = {"decoder_input_ids": ids, "use_cache": False} if _writes(model) and model.config.is_encoder_decoder else {}
    with torch.no_grad():
        found: Tensor = model(input_ids=ids, attention_mask=MASK, **more).logits
    return found


def _writes(model: Any) -> bool:
    return model.get_output_embeddings() is not None


@pytest.mark.parametrize("family", [*families.ENCODERS, *LIKE_ROBERTA[:1]])
def test_a_classifier_gives_the_same_answers_to_the_last_bit_saved_and_opened_again(
    tmp_path: Path, family: str
) -> None:
    model = classifier(write_model(tmp_path, family))
    before = answers(model, ROWS)
    keep_tokens_(model, KEPT)
    assert torch.equal(answers(model, RENUMBERED), before)
    model.save_pretrained(tmp_path / "saved")
    again = classifier(tmp_path / "saved")
    assert again.get_input_embeddings().weight.shape[0] == again.config.vocab_size == len(KEPT)
    assert torch.equal(answers(again, RENUMBERED), before)


@pytest.mark.parametrize("family", families.GENERATIVE)
@pytest.mark.parametrize("tied", [True, False])
def test_a_generator_scores_the_tokens_that_stay_as_before(tmp_path: Path, family: str, tied: bool) -> None:
    model = generator(write_generator(tmp_path, family, tie_word_embeddings=tied))
    bias = getattr(model, "final_logits_bias", None)
    if bias is not None:
        bias.normal_()
    before = answers(model, ROWS)[..., list(KEPT)]
    keep_tokens_(model, KEPT)
    torch.testing.assert_close(answers(model, RENUMBERED), before, rtol=1e-5, atol=1e-6)  # products of other sizes
    model.save_pretrained(tmp_path / "saved")
    again = generator(tmp_path / "saved")
    torch.testing.assert_close(answers(again, RENUMBERED), before, rtol=1e-5, atol=1e-6)


def test_every_token_that_a_config_names_has_its_new_id(tmp_path: Path) -> None:
    model = generator(
        write_generator(
            tmp_path, "bart", eos_token_id=30, decoder_start_token_id=33, forced_eos_token_id=30, pad_token_id=6
        )
    )
    model.generation_config.eos_token_id = [30, 33]
    model.generation_config.forced_bos_token_id = 14
    model.generation_config.bad_words_ids = [[9], [11, 14]]
    assert {30, 33, 6, 14, 9, 11} <= named_ids(model)
    keep_tokens_(model, KEPT)
    config, decoding = model.config, model.generation_config
    assert (config.eos_token_id, config.decoder_start_token_id, config.pad_token_id) == (NEW[30], NEW[33], NEW[6])
    assert (decoding.eos_token_id, decoding.forced_bos_token_id) == ([NEW[30], NEW[33]], NEW[14])
    assert decoding.bad_words_ids == [[NEW[9]], [NEW[11], NEW[14]]]
    assert model.get_input_embeddings().padding_idx == NEW[6]
