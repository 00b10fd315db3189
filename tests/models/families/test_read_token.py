"""Classifiers that read one token (BART, GPT-2, Llama, Qwen2, T5): their graphs find it in padded batches as torch does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from compress.core.errors import CompressError
from compress.models.families import read_token
from compress.models.layers import layer_modules
from compress.onnx.export import export
from compress.onnx.fusion import fuse
from compress.onnx.parity import check, compare
from compress.quantization.graphs.dynamic import DynamicSettings, quantize_dynamic
from tests import families
from tests.generative import VOCABULARY

PADDING, END = 0, 1
EVERY = families.slow_but("bart", names=("bart", "llama", "gpt2", "t5", "phi3"))  # phi3: one matrix for all three


def strong_classifier(family: str, head: str = "SequenceClassification", **changes: Any) -> Any:
    """A random classifier of three labels, whose weights are strong enough that a wrong token shows.

    Args:
        head: how transformers ends the name of its class; `TokenClassification` for another.
    """
    import torch
    import transformers
    from transformers import AutoConfig

    settings = families.config(family, layers=1, times=2)
    tokens = {"pad_token_id": PADDING, "eos_token_id": END, "bos_token_id": 2, "decoder_start_token_id": 2}
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family, **{**settings, "vocab_size": VOCABULARY, "num_labels": 3, **tokens, **changes}
    )
    model = getattr(transformers, f"AutoModelFor{head}").from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0, 0.3) if weight.ndim == 2 else weight.add_(0.1 * torch.randn_like(weight))
    return model


def rows() -> list[dict[str, np.ndarray]]:
    """Of unequal lengths; each ends with the end of text, which BART and T5 read."""
    random = np.random.default_rng(0)
    texts = [np.r_[random.integers(3, VOCABULARY, length), END] for length in (4, 17, 9, 2)]
    return [{"input_ids": text, "attention_mask": np.ones_like(text)} for text in texts]


@pytest.mark.parametrize("family", EVERY)
def test_logits_are_torchs_alone_and_in_padded_batches_and_nothing_else_comes_out(family: str, tmp_path: Path) -> None:
    model = strong_classifier(family)
    export(model, tmp_path / "model.onnx")
    graph = onnx.load(str(tmp_path / "model.onnx")).graph
    assert [value.name for value in graph.output] == ["logits"]
    assert [value.name for value in graph.input] == ["input_ids", "attention_mask"]
    fuse(tmp_path / "model.onnx", tmp_path / "fused.onnx")
    for name in ("model.onnx", "fused.onnx"):
        parity = check(tmp_path / name, model, rows(), padding={"input_ids": PADDING})
        assert parity.equal_predictions == 1.0
        assert parity.scale > 0.3
    layer = {"bart": "model.decoder.layers.0.fc1", "llama": "model.layers.0.mlp.up_proj"}.get(family)
    quantized = quantize_dynamic(tmp_path / "fused.onnx", tmp_path / "int8.onnx", DynamicSettings())
    assert layer is None or layer in quantized
    gap = compare(tmp_path / "int8.onnx", model, rows(), precision="int8", padding={"input_ids": PADDING})
    assert max(gap.largest_gap.values()) < 0.5 * gap.scale


@pytest.mark.parametrize(
    ("family", "head", "changes"),
    [
        *((name, "SequenceClassification", {}) for name in (*families.ENCODERS, "bart", "gpt2", "llama", "phi3")),
        ("modernbert", "SequenceClassification", {"classifier_pooling": "mean"}),
        *((name, "TokenClassification", {}) for name in ("bert", "roberta", "modernbert", "gpt2", "llama")),
    ],
)
def test_only_the_first_token_is_read_where_the_others_change_no_answer(
    family: str, head: str, changes: dict[str, Any]
) -> None:
    import torch

    model = strong_classifier(family, head, **changes)
    ids = torch.tensor([[7, 8, 12, 30, END], [5, 9, 11, 6, END]])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    def changed(_module: Any, _inputs: Any, output: Any) -> Any:
        """What the last layer gives, with something else at all tokens but the first."""
        given = output[0] if isinstance(output, tuple) else output
        other = torch.cat([given[:, :1], given[:, 1:].roll(1, dims=0) - 1], dim=1)
        return (other, *output[1:]) if isinstance(output, tuple) else other

    with torch.no_grad():
        before = model(**inputs).logits[:, :3]
        layer_modules(model)[-1].register_forward_hook(changed)
        after = model(**inputs).logits[:, :3]
    assert read_token.reads_first_token(model) == torch.equal(before, after)
    assert read_token.reads_first_token(model) == (
        family in families.ENCODERS and head == "SequenceClassification" and not changes
    )


def test_a_decoder_that_classifies_tokens_does_not_answer_at_the_last_one_alone() -> None:
    assert read_token.reads_last_token(strong_classifier("llama"))
    assert not read_token.reads_last_token(strong_classifier("llama", "TokenClassification"))


def test_without_a_padding_token_each_row_of_a_batch_gets_the_answer_that_it_gets_alone(tmp_path: Path) -> None:
    """transformers refuses such a batch; whatever stands behind a text must not be read."""
    import torch

    model = strong_classifier("llama", pad_token_id=None)
    export(model, tmp_path / "model.onnx")
    for padding in (0, 7):
        assert check(tmp_path / "model.onnx", model, rows(), padding={"input_ids": padding}).equal_predictions == 1.0
    ids = torch.tensor([[5, 6, 7, 9], [8, 9, 3, 3]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    with torch.no_grad():
        together = read_token.outputs(model, {"input_ids": ids, "attention_mask": mask})["logits"]
        alone = torch.cat([model(input_ids=ids[:1]).logits, model(input_ids=ids[1:, :2]).logits])
    assert torch.equal(together, alone)


def test_rows_that_an_encoder_decoder_cannot_read_together_are_refused_in_words() -> None:
    import torch

    ids = torch.tensor([[5, END, 7, END], [8, 9, 3, END]])
    with pytest.raises(CompressError, match="same number of <eos>"):
        read_token.outputs(strong_classifier("bart"), {"input_ids": ids, "attention_mask": torch.ones_like(ids)})[
            "logits"
        ]


def test_a_tokenizer_without_padding_takes_the_classifiers(tmp_path: Path) -> None:
    import json

    from compress.models.load import tokenizer
    from tests.tiny_generators import write_generator_tokenizer

    write_generator_tokenizer(tmp_path)
    told = json.loads((tmp_path / "tokenizer_config.json").read_text())
    del told["pad_token"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))
    strong_classifier("gpt2", pad_token_id=1).config.save_pretrained(tmp_path)
    assert tokenizer(tmp_path).pad_token_id is None  # no classifier says so yet
    raw = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**raw, "architectures": ["GPT2ForSequenceClassification"]}))
    assert tokenizer(tmp_path).pad_token_id == 1


def test_a_tokenizer_that_pads_otherwise_than_the_classifier_is_refused(tmp_path: Path) -> None:
    from compress.onnx.exported import export_model
    from tests.tiny_generators import write_generator_tokenizer

    words = write_generator_tokenizer(tmp_path)
    with pytest.raises(CompressError, match="takes token 3 for padding"):
        export_model(strong_classifier("llama", pad_token_id=3), tmp_path / "out", words, None, name="out")
