"""A trimmed tokenizer splits as before what it can, and never makes a text unknown that it knew."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.data.tokens import same_tokenizer
from compress.pruning.pieces import characters, chosen, needs, required
from compress.pruning.trimmed_tokenizer import Trimmed, state_of, trimmed
from tests.pruning.tokenizers_of_each_kind import KINDS, anything, texts, unigram
from tests.tiny import write_tokenizer

every_kind = pytest.mark.parametrize("kind", KINDS)


@cache
def both(kind: str) -> tuple[Any, Trimmed]:
    """A tokenizer, and the same without what a few texts do not need."""
    whole = KINDS[kind]()
    seen = Counter(token for text in texts(12) for token in whole.tokenize(text))
    return whole, trimmed(whole, chosen(state_of(whole), seen, keep=(), least=2, most=None))


@every_kind
def test_pieces_go_and_each_new_id_is_the_same_piece_as_its_former_one(kind: str) -> None:
    whole, found = both(kind)
    assert len(found.tokenizer) == len(found.ids) < 0.97 * len(whole)
    assert found.tokenizer.convert_ids_to_tokens(range(len(found.ids))) == whole.convert_ids_to_tokens(list(found.ids))
    assert whole.special_tokens_map == found.tokenizer.special_tokens_map


@every_kind
def test_a_text_whose_pieces_all_stay_is_split_as_before(kind: str) -> None:
    whole, found = both(kind)
    same = 0
    for text in [*texts(200), *anything(400)]:
        before = whole(text)["input_ids"]
        if {*before} <= {*found.ids}:
            assert [found.ids[one] for one in found.tokenizer(text)["input_ids"]] == before
            same += 1
    assert same > 20


@every_kind
def test_no_text_has_more_unknown_tokens_than_before_and_what_was_read_back_still_is(kind: str) -> None:
    whole, found = both(kind)
    differ = 0
    for text in [*texts(200), *anything(600)]:
        before, after = whole(text)["input_ids"], found.tokenizer(text)["input_ids"]
        assert after.count(found.tokenizer.unk_token_id) <= before.count(whole.unk_token_id)
        assert found.tokenizer.decode(after) == whole.decode(before)
        differ += [found.ids[one] for one in after] != before
    assert differ > 100


@every_kind
def test_the_vocabulary_is_closed_each_piece_still_comes_out_of_its_own_text(kind: str) -> None:
    whole, found = both(kind)
    old, new = whole.backend_tokenizer.model, found.tokenizer.backend_tokenizer.model
    text_of = {piece: piece.removesuffix("</w>") for piece in found.tokenizer.get_vocab()}
    came_out = [piece for piece, text in text_of.items() if [one.value for one in old.tokenize(text)] == [piece]]
    assert len(came_out) > 40
    assert [piece for piece in came_out if [one.value for one in new.tokenize(text_of[piece])] != [piece]] == []


@every_kind
def test_all_special_tokens_and_all_single_characters_stay(kind: str) -> None:
    whole, found = both(kind)
    single = {piece for piece in whole.get_vocab() if len(characters(piece, state_of(whole)["model"])) == 1}
    assert {*whole.all_special_tokens, *single} <= found.tokenizer.get_vocab().keys()
    assert len(single) > 25


@every_kind
def test_a_size_is_the_most_frequent_pieces_and_those_they_need(kind: str) -> None:
    whole = KINDS[kind]()
    state = state_of(whole)
    seen = Counter(token for text in texts(100) for token in whole.tokenize(text))
    size = len(required(state)) + 12
    kept = chosen(state, seen, keep=(), least=1, most=size)
    assert len(kept) == size
    assert all(needs(state)(piece) <= kept for piece in kept)
    assert seen.most_common(1)[0][0] in kept


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("BertTokenizer", "word_piece"),
        ("RobertaTokenizer", "byte_level"),
        ("LlamaTokenizer", "sentence_piece_bpe"),
        ("T5Tokenizer", "unigram"),
        ("XLMRobertaTokenizer", "unigram"),
        ("MBartTokenizer", "unigram"),
    ],
)
def test_a_tokenizer_of_transformers_own_class_opens_again_as_that_class(name: str, kind: str, tmp_path: Path) -> None:
    import transformers

    whole = own_class(getattr(transformers, name), state_of(both(kind)[0])["model"])
    seen = Counter(token for text in texts(12) for token in whole.tokenize(text))
    found = trimmed(whole, chosen(state_of(whole), seen, keep=(), least=2, most=None))
    found.tokenizer.save_pretrained(tmp_path)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert type(again) is type(whole)
    assert same_tokenizer(again, found.tokenizer)
    same = 0
    for text in [*texts(60), *anything(60)]:
        before, after = whole(text)["input_ids"], again(text)["input_ids"]
        same += [found.ids[one] for one in after] == before
        assert after.count(again.unk_token_id) <= before.count(whole.unk_token_id)
    assert 0 < same < 120


def own_class(kind: Any, model: Any) -> Any:
    """A tokenizer of a class with rules of its own, made of a trained vocabulary."""
    if model["type"] == "Unigram":
        return kind(vocab=[tuple(one) for one in model["vocab"]])
    if model["type"] == "BPE":
        return kind(vocab=model["vocab"], merges=[tuple(one) for one in model["merges"]])
    return kind(vocab=model["vocab"], unk_token="<unk>", pad_token="<pad>")


def test_a_piece_with_a_character_that_has_none_of_its_own_stays() -> None:
    whole = unigram()
    state = {**state_of(whole)}
    model = {**state["model"], "vocab": [*state["model"]["vocab"], ["xya", -9.0], ["kab", -9.0]]}
    found = required({**state, "model": model})
    assert "xya" in found
    assert "kab" not in found


def test_the_padding_token_keeps_its_id_even_where_one_before_it_goes() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {piece: place for place, piece in enumerate(["nothing", "<pad>", "<unk>", "a", "##a", "b", "##b"])}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    whole = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>")
    found = trimmed(whole, {*vocabulary} - {"nothing"})
    assert (found.tokenizer.pad_token_id, found.ids[1]) == (1, 1)
    assert found.tokenizer.tokenize("ab") == ["a", "##b"]


def test_words_that_cannot_be_split_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CompressError, match="WordLevel"):
        state_of(write_tokenizer(tmp_path))
