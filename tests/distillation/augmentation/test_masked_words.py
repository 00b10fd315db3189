"""A masked language model's own predictions fill the gaps, whole words only, whatever its family and tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.errors import CompressError
from compress.distillation.augmentation.masked_words import CANDIDATES, MaskedWords, NoHead
from compress.distillation.augmentation.words import Draft, drafts
from tests.tiny import FAMILIES, WORDS, write_model, write_tokenizer

TEXTS = [(" ".join(WORDS[i % 30 : i % 30 + 2 + i % 9]),) for i in range(150)]


def write_masked_lm(folder: Path, family: str = "bert", tokenizer: Any = None, likes: str = "", **changes: Any) -> Path:
    """A random masked language model that prefers one word, as its output bias says."""
    from transformers import AutoConfig, AutoModelForMaskedLM

    folder.mkdir(parents=True, exist_ok=True)
    if tokenizer is None:
        tokenizer = write_tokenizer(folder)
    else:
        tokenizer.save_pretrained(folder)
    small = {**FAMILIES[family], "vocab_size": len(tokenizer), "pad_token_id": 0, "max_position_embeddings": 80}
    if family == "modernbert":
        small |= {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3, "decoder_bias": True}
    torch.manual_seed(0)
    model = AutoModelForMaskedLM.from_config(AutoConfig.for_model(family, **{**small, **changes}))
    if likes:
        biases = [p for name, p in model.named_parameters() if p.shape == (len(tokenizer),) and "bias" in name]
        with torch.no_grad():
            for bias in biases:
                bias[tokenizer.convert_tokens_to_ids(likes)] = 50.0
    model.save_pretrained(folder)
    return folder


def filled(folder: Path, texts: list[tuple[str, ...]]) -> list[tuple[str | None, ...]]:
    return list(MaskedWords.load(folder).replacements(drafts(texts, len(texts), 1, seed=0)))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_word_that_the_model_prefers_fills_every_gap(family: str, tmp_path: Path) -> None:
    folder = write_masked_lm(tmp_path / "mlm", family, likes="hero")
    made = list(drafts(TEXTS, len(TEXTS), 1, seed=0))
    for draft, found in zip(made, filled(folder, TEXTS), strict=True):
        for place, word in zip(draft.places, found, strict=True):
            assert word is not None
            assert (word == "hero") == (draft.words[place] != "hero")


def test_words_are_drawn_from_the_most_likely_with_their_probabilities(tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    folder = write_masked_lm(tmp_path / "mlm", initializer_range=0.5)
    text = ("the film was very good",)
    gaps = [Draft(text, 0, (2,), str(i)) for i in range(4000)]
    drawn = [one for (one,) in MaskedWords.load(folder).replacements(gaps)]
    model, tokenizer = AutoModelForMaskedLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer("the film [MASK] very good", return_tensors="pt", padding="max_length", max_length=7)
    with torch.no_grad():
        logits = model(**inputs).logits[0, 3]
    words = [word for word in WORDS if word != "was"]
    ids = torch.tensor(tokenizer.convert_tokens_to_ids(words))
    top = logits[ids].topk(CANDIDATES)
    expected = dict(zip([words[i] for i in top.indices], top.values.softmax(-1).tolist(), strict=True))
    # Rounding to bf16, where the processor has it, may exchange the last ones.
    assert set(drawn) <= {words[i] for i in logits[ids].topk(CANDIDATES + 2).indices}
    for word, probability in expected.items():
        assert drawn.count(word) / len(drawn) == pytest.approx(probability, abs=0.04)


def test_the_order_of_the_texts_is_kept_and_the_choice_repeats(tmp_path: Path) -> None:
    folder = write_masked_lm(tmp_path / "mlm")
    made, first = list(drafts(TEXTS, len(TEXTS), 1, seed=0)), filled(folder, TEXTS)
    assert first == filled(folder, TEXTS)
    assert [len(one) for one in first] == [len(draft.places) for draft in made]
    for draft, found in zip(made, first, strict=True):
        assert all(word != draft.words[place] for word, place in zip(found, draft.places, strict=True))


def test_words_beyond_the_models_reach_stay_as_they_are(tmp_path: Path) -> None:
    folder = write_masked_lm(tmp_path / "mlm")  # its tokenizer cuts at 64 tokens
    (found,) = MaskedWords.load(folder).replacements([Draft((" ".join(["good"] * 100),), 0, (3, 90), "")])
    assert found[0] in WORDS
    assert found[1] is None


def test_a_text_with_a_mask_token_of_its_own_stays_as_it_is(tmp_path: Path) -> None:
    masked_words = MaskedWords.load(write_masked_lm(tmp_path / "mlm"))
    own, plain = Draft(("a [MASK] good film",), 0, (2,), ""), Draft(("a good film",), 0, (1,), "")
    found = list(masked_words.replacements([own, plain]))
    assert found[0] == (None,)
    assert found[1][0] in WORDS


def word_pieces() -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##ing", "##s", "7", "!", "##a", "Film"]
    inner = Tokenizer(models.WordPiece({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]"))
    inner.normalizer, inner.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.BertPreTokenizer()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="[UNK]", pad_token="[PAD]", mask_token="[MASK]", model_max_length=64
    )


def byte_pairs(special: Any = None) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    lines = [f"a {word} {word} café" for word in WORDS for _ in range(4)]
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<pad>", "<unk>", AddedToken("<mask>", lstrip=True)], show_progress=False
    )
    inner.train_from_iterator(lines, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", pad_token="<pad>", mask_token="<mask>", model_max_length=64
    )


def test_of_word_pieces_only_whole_words_are_candidates(tmp_path: Path) -> None:
    found = MaskedWords.load(write_masked_lm(tmp_path / "mlm", tokenizer=word_pieces())).words
    assert set(found) == set(WORDS)  # no "##ing", no number, no "!", and no "Film", which it never reads


def test_of_byte_pairs_only_pieces_that_begin_a_word_are_candidates(tmp_path: Path) -> None:
    tokenizer = byte_pairs()
    masked_words = MaskedWords.load(write_masked_lm(tmp_path / "mlm", "roberta", tokenizer=tokenizer))
    tokens = tokenizer.convert_ids_to_tokens(masked_words.ids.tolist())
    assert all(token.startswith("Ġ") for token in tokens)
    assert set(WORDS) <= set(masked_words.words)
    assert "café" in masked_words.words  # two bytes for one letter, read back as a letter
    assert any(not token.startswith("Ġ") and token.isalpha() for token in tokenizer.get_vocab())


def test_a_classifier_has_no_head_for_it(tmp_path: Path) -> None:
    with pytest.raises(NoHead, match="no trained masked-language-model head .* is missing"):
        MaskedWords.load(write_model(tmp_path / "classifier"))


def test_a_head_that_lacks_one_tensor_is_not_used(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = write_masked_lm(tmp_path / "mlm")
    tensors = load_file(folder / "model.safetensors")
    del tensors["cls.predictions.transform.dense.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(NoHead, match="cls.predictions.transform.dense.weight is missing"):
        MaskedWords.load(folder)


def test_a_tokenizer_without_a_mask_is_reported(tmp_path: Path) -> None:
    tokenizer = write_tokenizer(tmp_path / "tokenizer")
    tokenizer.mask_token = None
    with pytest.raises(NoHead, match="without a mask token"):
        MaskedWords.load(write_masked_lm(tmp_path / "mlm", tokenizer=tokenizer))


def test_a_type_that_has_no_masked_language_model_is_reported(tmp_path: Path) -> None:
    folder = write_masked_lm(tmp_path / "mlm")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", "vocab_size": config["vocab_size"]}))
    with pytest.raises(NoHead, match="a type without a masked language model"):
        MaskedWords.load(folder)


def test_a_folder_without_weights_is_an_error(tmp_path: Path) -> None:
    folder = write_masked_lm(tmp_path / "mlm")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CompressError, match="no \\*.safetensors"):
        MaskedWords.load(folder)
