"""A budget counts what the model computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from compress.pruning import costs
from compress.pruning.apply import fewer_layers, fewer_units
from compress.pruning.prune_settings import Prune
from compress.pruning.units import units
from tests.models.families.test_read_token import strong_classifier
from tests.pruning.generators import strong


def test_the_decoder_of_a_classifier_reads_as_many_tokens_as_its_encoder(tmp_path: Path) -> None:
    settings = Prune(importance="magnitude", length=64, new_tokens=8)
    model = strong_classifier("bart")
    _, told = fewer_units(model, settings, [], tmp_path)
    assert told["budget"]["of"] == pytest.approx(costs.macs(model, 64, 64).of(units(model)))
    assert "written" not in told["budget"]
    model = strong("bart")
    _, told = fewer_units(model, settings, [], tmp_path)
    assert told["budget"]["of"] == pytest.approx(costs.macs(model, 64, 8).of(units(model)))
    assert told["budget"]["written"] == 8


def test_the_layers_of_a_classifier_with_a_decoder_are_its_decoder_s() -> None:
    model = strong_classifier("bart", encoder_layers=3, decoder_layers=2)
    shorter, told = fewer_layers(model, 1, "last", [])
    assert told == {"layers_kept": [1], "layers_of_teacher": 2}
    assert (shorter.config.encoder_layers, shorter.config.decoder_layers) == (3, 1)
