"""A classifier that was saved in 16 bits is trained in fp32 by every technique that trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.catalogue import find
from compress.models.load import classifier, load, resolve_model
from compress.techniques.apply import apply
from tests.tiny import write_model

SHORT = {"epochs": 0.5, "batch_size": 32, "precision": "fp32", "max_length": 32}


@pytest.mark.parametrize(
    ("name", "settings", "dtype"),
    [
        ("finetune", {}, torch.bfloat16),
        ("finetune", {}, torch.float16),
        ("distill", {"layers": 1, "hidden_weight": 1, "teacher_cache_gb": 0}, torch.float16),
        ("prune", {"method": "structured", "target_ratio": 0.8}, torch.float16),
        pytest.param("qat", {}, torch.bfloat16, marks=pytest.mark.slow),
    ],
    ids=lambda value: str(value) if isinstance(value, str | torch.dtype) else "",
)
def test_a_checkpoint_in_16_bits_is_trained_in_fp32(
    name: str, settings: dict[str, Any], dtype: torch.dtype, task: dict[str, Any], tmp_path: Path
) -> None:
    folder = write_model(tmp_path / "m", num_hidden_layers=2)
    classifier(folder).to(dtype).save_pretrained(folder)
    technique = find("techniques", name)
    made = apply(
        technique, resolve_model(str(folder)), technique.settings(**SHORT, **settings), tmp_path / "out", task=task
    )
    if made.format == "torch":
        assert {parameter.dtype for parameter in load(made).parameters()} == {torch.float32}
