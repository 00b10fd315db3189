"""What changes only how a model computes is reset in the opened model, and stays in its config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compress.models.generators import generator
from compress.models.layers import keep_layers
from compress.models.load import classifier
from tests.tiny import write_model
from tests.tiny_generators import write_generator

HOW = {
    "chunk_size_feed_forward": 1,
    "gradient_checkpointing": True,
    "output_hidden_states": True,
    "output_attentions": True,
    "return_dict": False,
    "use_cache": True,
    "use_bfloat16": True,
    "reference_compile": True,
}


def write(folder: Path, **changes: Any) -> Path:
    """As somebody's config says it; transformers itself would not save some of it."""
    write_model(folder, "bert", **changes)
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**raw, **HOW}))
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Any:
    return classifier(write(tmp_path / "model", num_hidden_layers=2))


def test_a_model_computes_plainly_and_its_config_keeps_what_was_set(model: Any, tmp_path: Path) -> None:
    import torch

    rows = torch.tensor([[5, 6, 7, 8]])
    seen: list[tuple[int, ...]] = []
    model.bert.encoder.layer[0].intermediate.register_forward_hook(lambda _, given, out: seen.append(tuple(out.shape)))
    model.train()
    model(input_ids=rows, attention_mask=torch.ones_like(rows), labels=torch.tensor([0])).loss.backward()
    assert seen == [(1, 4, model.config.intermediate_size)]  # all tokens at once, and once
    assert model.config.chunk_size_feed_forward == 1
    model.save_pretrained(tmp_path / "again")
    assert classifier(tmp_path / "again").config.chunk_size_feed_forward == 1


@pytest.mark.parametrize("name", ["_attn_implementation", "attn_implementation"])
def test_the_attention_of_a_package_is_not_asked_for(name: str, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", num_hidden_layers=1)
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**raw, name: "flash_attention_2"}))
    assert classifier(folder).config._attn_implementation == "eager"


def test_encoder_and_decoder_compute_plainly_by_their_own_configs(tmp_path: Path) -> None:
    import torch

    folder = write_generator(tmp_path / "t5")
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**raw, "return_dict": False, "output_attentions": True}))
    found = generator(folder)(input_ids=torch.tensor([[5, 6, 1]]), decoder_input_ids=torch.tensor([[0]]))
    assert found.logits.shape[:2] == (1, 1)


def test_a_student_made_of_such_a_model_computes_plainly_too(model: Any) -> None:
    student = keep_layers(model, [0])
    assert student.bert.encoder.layer[0].chunk_size_feed_forward == 0


def test_no_such_setting_fixes_the_length_of_an_export(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    from compress.onnx.export import export
    from compress.onnx.parity import check
    from tests.exported import some_rows

    folder = write(tmp_path / "model", num_hidden_layers=1)
    model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager")
    export(model, tmp_path / "model.onnx")
    # As it was before: transformers opened it, not we.
    assert model.bert.encoder.layer[0].chunk_size_feed_forward == 1
    assert (model.config.output_hidden_states, model.config.return_dict) == (True, False)
    model.config.return_dict = True
    with torch.no_grad():
        assert check(tmp_path / "model.onnx", model.eval(), some_rows()).equal_predictions == 1.0
