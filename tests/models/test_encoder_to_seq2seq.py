"""Models made to write: what is copied is equal, and what is trained on the task's text is the same each time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.errors import CompressError
from compress.models.encoder_to_seq2seq import from_config, from_encoder
from compress.models.train_tokenizer import trained
from tests.families import GENERATIVE, config, is_seq2seq
from tests.tiny import write_model

TEXTS = [
    f"Ada: I'll be {word} at {hour}! Bob: ok, see you {word} :)"
    for word in ("late", "home", "there")
    for hour in range(40)
]


def _ids() -> dict[str, torch.Tensor]:
    """Two rows of 12 and 7 tokens, padded with 0."""
    ids = torch.randint(5, 40, (2, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    ids[1, 7:], mask[1, 7:] = 0, 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "distilbert"])
def test_the_made_encoders_states_are_those_of_the_encoder_but_for_the_epsilon_of_norms(
    family: str, tmp_path: Path
) -> None:
    from transformers import AutoModel

    folder = write_model(tmp_path / "encoder", family, **({"embedding_size": 64} if family == "electra" else {}))
    theirs = AutoModel.from_pretrained(folder).eval()
    model, _ = from_encoder(folder)
    batch = _ids()
    counted = batch["attention_mask"].bool()
    with torch.no_grad():
        wanted = theirs(**batch).last_hidden_state[counted]
        torch.testing.assert_close(model.get_encoder()(**batch).last_hidden_state[counted], wanted, atol=0.02, rtol=0)
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.eps = 1e-12
        torch.testing.assert_close(model.get_encoder()(**batch).last_hidden_state[counted], wanted, atol=2e-5, rtol=0)
    assert wanted.std() > 0.5


def test_a_real_encoders_states_hardly_move(real_data: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    folder = real_data / "models" / "minilm-sst2"
    its_tokenizer, theirs = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval().float()
    model, _ = from_encoder(folder)
    texts = ["Ada: I will bring the boat tomorrow. Bob: The boat? It sank in the storm!", "a charming film"]
    batch = its_tokenizer(texts, return_tensors="pt", padding=True)
    batch = {name: batch[name] for name in ("input_ids", "attention_mask")}
    counted = batch["attention_mask"].bool()
    with torch.no_grad():
        wanted = theirs(**batch).last_hidden_state[counted]
        found = model.get_encoder()(**batch).last_hidden_state[counted]
    assert (found - wanted).abs().max() < 0.01 * wanted.std()
    assert len(model.model.decoder.layers) == 3


def test_the_decoder_is_made_of_evenly_spaced_layers_and_attends_across_as_to_itself(tmp_path: Path) -> None:
    from transformers import AutoModel

    folder = write_model(tmp_path / "encoder", "bert")
    theirs = AutoModel.from_pretrained(folder).encoder.layer
    model, its_tokenizer = from_encoder(folder, decoder_layers=2)
    assert len(model.model.decoder.layers) == 2
    for ours, layer in zip(model.model.decoder.layers, (theirs[1], theirs[3]), strict=True):
        for attention, norm in (
            (ours.self_attn, ours.self_attn_layer_norm),
            (ours.encoder_attn, ours.encoder_attn_layer_norm),
        ):
            assert torch.equal(attention.q_proj.weight, layer.attention.self.query.weight)
            assert torch.equal(attention.k_proj.bias, layer.attention.self.key.bias)
            assert torch.equal(attention.v_proj.weight, layer.attention.self.value.weight)
            assert torch.equal(attention.out_proj.weight, layer.attention.output.dense.weight)
            assert torch.equal(norm.weight, layer.attention.output.LayerNorm.weight)
        assert torch.equal(ours.fc1.weight, layer.intermediate.dense.weight)
        assert torch.equal(ours.fc2.bias, layer.output.dense.bias)
        assert torch.equal(ours.final_layer_norm.bias, layer.output.LayerNorm.bias)
    words = AutoModel.from_pretrained(folder).embeddings.word_embeddings.weight
    assert model.lm_head.weight is model.model.shared.weight
    assert torch.equal(words, model.lm_head.weight)
    assert model.config.decoder_start_token_id == its_tokenizer.cls_token_id
    assert model.config.eos_token_id == its_tokenizer.sep_token_id


def test_a_made_summarizer_opens_again_as_it_was(tmp_path: Path) -> None:
    from compress.models.generators import generator
    from compress.models.load import save

    model, its_tokenizer = from_encoder(write_model(tmp_path / "encoder", "bert"), decoder_layers=1)
    save(model, its_tokenizer, tmp_path / "made")
    again = generator(tmp_path / "made")
    batch = _ids()
    with torch.no_grad():
        ids = model.generate(**batch, max_new_tokens=6, do_sample=False)
        assert torch.equal(again.generate(**batch, max_new_tokens=6, do_sample=False), ids)


def test_what_is_no_encoder_like_bert_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CompressError, match="holds a albert"):
        from_encoder(write_model(tmp_path / "albert", "albert"))
    with pytest.raises(CompressError, match="narrower than its layers"):
        from_encoder(write_model(tmp_path / "electra", "electra"))
    with pytest.raises(CompressError, match="has 4 layers; --decoder-layers 5"):
        from_encoder(write_model(tmp_path / "bert", "bert"), decoder_layers=5)


def test_a_tokenizer_gives_back_what_it_read() -> None:
    found = trained(TEXTS, 320, opens=False)
    for text in (*TEXTS[:3], " two  spaces\n\tand a tab", "Zoë 你好 🙂"):
        assert found.decode(found(text)["input_ids"], skip_special_tokens=True) == text
    assert len(found) == 320
    assert found("late")["input_ids"][-1] == found.eos_token_id == 1
    assert trained(TEXTS, 300, opens=True)("late")["input_ids"][0] == 2
    with pytest.raises(CompressError, match="--vocab-size to 259 or more"):
        trained(TEXTS, 100, opens=False)


def test_the_same_texts_give_the_same_tokenizer_in_another_process() -> None:
    program = (
        "from tests.models.test_encoder_to_seq2seq import TEXTS; from compress.models.train_tokenizer import trained;"
        "print(trained(TEXTS, 320, opens=False).backend_tokenizer.to_str())"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert json.loads(found) == json.loads(trained(TEXTS, 320, opens=False).backend_tokenizer.to_str())


CONFIGS: dict[str, dict[str, Any]] = {
    name: {**config(name, layers=1), **({} if name == "llama" else {"vocab_size": 320})} for name in GENERATIVE
}


@pytest.mark.parametrize("family", CONFIGS)
def test_a_model_and_its_tokenizer_start_from_a_config(family: str, tmp_path: Path) -> None:
    file = tmp_path / "small.json"
    file.write_text(json.dumps({"model_type": family, **CONFIGS[family]}))
    model, its_tokenizer = from_config(file, TEXTS, tmp_path, vocabulary=None, seed=3)
    again, _ = from_config(file, TEXTS, tmp_path, vocabulary=None, seed=3)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    assert len(its_tokenizer) == model.config.vocab_size
    assert len(its_tokenizer) == (320 if "vocab_size" in CONFIGS[family] else pytest.approx(480, abs=150))
    assert model.config.pad_token_id == its_tokenizer.pad_token_id
    if is_seq2seq(family):  # in training it starts from the token that it starts from when it writes
        read = model.prepare_decoder_input_ids_from_labels(labels=torch.tensor([[9, 8, its_tokenizer.eos_token_id]]))
        assert read[0, 0] == model.config.decoder_start_token_id == {"bart": 2, "mbart": 1}.get(family, 0)
    other, _ = from_config(file, TEXTS, tmp_path, vocabulary=300, seed=3)
    assert other.config.vocab_size == 300


def test_a_config_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text('{"model_type": "no-such-model"}')
    with pytest.raises(CompressError, match=r"other\.json is not the config of a generative model"):
        from_config(file, TEXTS, tmp_path, vocabulary=None, seed=0)
    file.write_text("{}")
    with pytest.raises(CompressError, match="names no model_type"):
        from_config(file, TEXTS, tmp_path, vocabulary=None, seed=0)
