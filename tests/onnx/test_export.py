from __future__ import annotations

import copy
from pathlib import Path

import onnx
import pytest
import torch

from compress.core.errors import CompressError
from compress.onnx.export import export, sample_inputs
from compress.onnx.fusion import fuse
from compress.onnx.parity import check
from compress.onnx.standard_attention import form
from tests.exported import Exported, export_family, strong_model
from tests.families import ENCODERS, having

OTHERS = [name for name in ENCODERS if name != "bert"]
# Attention that one operator can stand for; rotary (ModernBERT) and disentangled (DeBERTa) attention stay as exported.
FUSIBLE = having("fusible")
STANDARD = [family for family in FUSIBLE if family != "mpnet"]  # whose positions are added to the scores


@pytest.mark.slow
@pytest.mark.parametrize("family", OTHERS)
def test_every_family_exports_and_fuses_to_the_logits_of_torch(family: str, tmp_path: Path) -> None:
    changes = {"n_layers": 2} if family == "distilbert" else {"num_hidden_layers": 2}
    made = export_family(tmp_path, family, **changes)
    check(made.path, made.model, made.rows, padding=made.padding)
    done = fuse(made.path, tmp_path / "fused.onnx")
    check(tmp_path / "fused.onnx", made.model, made.rows, padding=made.padding)
    again = fuse(made.path, tmp_path / "standard.onnx", opset=24)
    check(tmp_path / "standard.onnx", made.model, made.rows, padding=made.padding)
    assert form(tmp_path / "standard.onnx")["attention"] == (
        {"Attention": 2} if family in STANDARD else {"MultiHeadAttention": 2} if family in FUSIBLE else {}
    )
    assert bool(again.not_standard) == (family not in STANDARD)
    assert done.attentions == (2 if family in FUSIBLE else 0)
    assert done.first_token_nodes > 0
    assert done.residuals > 0


def test_the_file_stands_alone_with_free_batch_and_length(bert: Exported) -> None:
    graph = onnx.load(str(bert.path), load_external_data=False).graph
    assert [value.name for value in graph.input] == ["input_ids", "attention_mask", "token_type_ids"]
    for value in graph.input:
        assert [axis.dim_param for axis in value.type.tensor_type.shape.dim] == ["batch", "sequence"]
    assert [value.name for value in graph.output] == ["logits"]
    assert not any(item.HasField("data_location") and item.data_location for item in graph.initializer)


def test_weights_keep_their_modules_names(bert: Exported) -> None:
    names = {item.name for item in onnx.load(str(bert.path)).graph.initializer}
    assert "bert.encoder.layer.1.attention.self.query.weight.T" in names
    assert "bert.embeddings.word_embeddings.weight" in names


@pytest.mark.usefixtures("traced_anew")
def test_export_is_quiet_and_leaves_the_model_as_it_was(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = strong_model(tmp_path / "model", "bert", num_hidden_layers=1)
    model.train()
    model.bert.pooler.eval()
    model.config.output_hidden_states = True
    before = copy.deepcopy(model.config.to_dict()), {k: v.clone() for k, v in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    attention = model.config._attn_implementation
    capfd.readouterr()
    export(model, tmp_path / "model.onnx")
    assert capfd.readouterr() == ("", "")
    assert model.config.to_dict() == before[0]
    assert model.config._attn_implementation == attention
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[1][name]) for name, value in model.state_dict().items())


def test_sample_inputs_hold_padding_so_that_the_mask_stays_in_the_graph(bert: Exported) -> None:
    samples = sample_inputs(bert.model)
    assert samples["attention_mask"].min() == 0
    assert (samples["input_ids"][samples["attention_mask"] == 1] != bert.model.config.pad_token_id).all()


def test_a_half_precision_model_and_an_unknown_provider_are_refused(tmp_path: Path, bert: Exported) -> None:
    half = strong_model(tmp_path / "model", "bert", num_hidden_layers=1).to(torch.bfloat16)
    with pytest.raises(CompressError, match="float32"):
        export(half, tmp_path / "half.onnx")
    with pytest.raises(CompressError, match="Known providers"):
        export(bert.model, tmp_path / "model.onnx", provider="tpu")
    assert not (tmp_path / "model.onnx").exists()
