"""A model that reads more than text is refused by its name when it is named, with what to give instead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.models.sources import resolve_model

GEMMA3 = {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}, "vision_config": {"hidden_size": 8}}
REFUSED: list[tuple[dict[str, Any], str]] = [
    (GEMMA3, "is a gemma3 that reads more than text .vision_config in its config.*its language model saved separately"),
    (
        {"model_type": "qwen2_audio", "audio_config": {}, "text_config": {}},
        "is a qwen2_audio that reads more than text",
    ),
    ({"model_type": "vision-encoder-decoder", "encoder": {"model_type": "vit"}}, "is a vision-encoder-decoder"),
    (
        {"model_type": "whisper", "num_mel_bins": 80},
        "is a whisper .* .num_mel_bins in its config.* Give a text-only model",
    ),
]


@pytest.mark.parametrize(
    ("config", "message"), REFUSED, ids=lambda one: one["model_type"] if isinstance(one, dict) else ""
)
@pytest.mark.parametrize("form", ["folder", "config"])
def test_a_model_of_images_or_sounds_is_refused_by_name(
    tmp_path: Path, config: dict[str, Any], message: str, form: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CompressError, match=message):
        resolve_model(tmp_path if form == "folder" else tmp_path / "config.json")


def test_a_composite_of_texts_alone_is_not_taken_for_one(tmp_path: Path) -> None:
    config = {"model_type": "encoder-decoder", "encoder": {"model_type": "bert"}, "decoder": {"model_type": "bert"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert resolve_model(tmp_path / "config.json").origin["model_type"] == "encoder-decoder"
