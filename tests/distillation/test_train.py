"""Training a student: each stage is given what it reads of what lies on disk, and nothing else."""

from __future__ import annotations

import pytest

from compress.distillation.layer_losses import FEATURE
from compress.distillation.loss_config import PLAIN, LayerLoss, LossConfig
from compress.distillation.objective import OUTPUT
from compress.distillation.token_distributions import PREFIX
from compress.distillation.train import _is_read
from compress.models.forward import STATES

LAYERS = (LayerLoss("hidden", PLAIN, pairs=((0, 1),)),)
EXTRAS = {
    "logits": f"{OUTPUT}logits",
    "next tokens": f"{PREFIX}ids",
    "features": f"{FEATURE}decoder.hidden.1",
    "encoder": STATES,
}


@pytest.mark.parametrize(
    ("config", "read"),
    [
        (LossConfig(LAYERS, predictions=False), {"features", "encoder"}),
        (LossConfig(alpha=PLAIN), {"logits", "next tokens", "encoder"}),
        (LossConfig(LAYERS, alpha=PLAIN), set(EXTRAS)),
        (LossConfig(LAYERS), {"features", "encoder"}),
        (LossConfig(), {"encoder"}),
    ],
    ids=["layers alone", "predictions alone", "both", "layers and labels", "labels alone"],
)
def test_a_stage_reads_what_its_losses_compare(config: LossConfig, read: set[str]) -> None:
    assert {name for name, extra in EXTRAS.items() if _is_read(extra, config)} == read
