"""XLM-RoBERTa and CamemBERT are RoBERTa to the letter: the same weights give the same students and the same pruned models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from compress.models.families.families import family
from compress.models.layers import keep_layers
from compress.models.load import classifier
from compress.pruning.removal import remove
from compress.pruning.units import Kept, units
from tests.families import LIKE_ROBERTA
from tests.tiny import write_model

IDS = torch.tensor([[2, 6, 9, 12, 7, 30, 3]])


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        answer: torch.Tensor = model.eval()(IDS).logits
    return answer


@pytest.mark.parametrize("name", LIKE_ROBERTA)
def test_a_family_like_roberta_is_cut_as_roberta_is(name: str, tmp_path: Path) -> None:
    roberta = classifier(write_model(tmp_path / "roberta", "roberta"))
    other = classifier(write_model(tmp_path / name, name, seed=5))
    other.load_state_dict(roberta.state_dict())
    assert family(other.config) is family(roberta.config)
    torch.testing.assert_close(logits(keep_layers(other, (1, 3))), logits(keep_layers(roberta, (1, 3))))
    present = units(roberta)
    fewer = Kept(tuple(tuple(range(3)) for _ in present.heads), tuple(tuple(range(100)) for _ in present.neurons))
    torch.testing.assert_close(logits(remove(other, fewer)), logits(remove(roberta, fewer)))
