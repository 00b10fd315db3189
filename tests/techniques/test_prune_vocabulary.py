"""`compress prune --method vocabulary` as a step: fewer pieces, the same answers, and a folder that plain transformers opens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.data import loading
from compress.models.load import load, resolve_model, tokenizer
from compress.pruning.prune_settings import Prune
from compress.techniques.apply import apply
from tests.pruning.tokenizers_of_each_kind import SYLLABLES, byte_level, unigram, word_piece
from tests.tiny import WORDS, write_model
from tests.tiny_generators import write_generator, write_pairs

TECHNIQUE = find("techniques", "prune")
SENTENCES = [f"the {word} was good and {WORDS[place]} but dull" for place, word in enumerate(WORDS)]
TRAINING = {"epochs": 1, "batch_size": 16, "precision": "fp32", "max_length": 64}


def with_tokenizer(
    folder: Path, its_tokenizer: Any, write: Callable[..., Path], family: str, **changes: Any
) -> Artifact:
    ids = {"vocab_size": len(its_tokenizer), "pad_token_id": its_tokenizer.pad_token_id}
    write(folder, family, **ids, **changes)
    for file in folder.glob("tokenizer*"):
        file.unlink()
    its_tokenizer.model_max_length = 64
    its_tokenizer.save_pretrained(folder)
    return resolve_model(str(folder))


@pytest.fixture
def classifier(tmp_path: Path) -> Artifact:
    return with_tokenizer(tmp_path / "whole", word_piece(), write_model, "bert")


@pytest.fixture
def strong(classifier: Artifact) -> Artifact:
    """The same with answers that depend on every word."""
    model = load(classifier)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.mul_(8)
    model.save_pretrained(classifier.folder)
    return resolve_model(str(classifier.folder))


@pytest.fixture
def prune(tmp_path: Path, task: dict[str, Any]) -> Callable[..., Artifact]:
    def run(source: Artifact, name: str = "pruned", **settings: Any) -> Artifact:
        return apply(TECHNIQUE, source, Prune(method="vocabulary", **settings), tmp_path / name, task=task)

    return run


def answers(folder: Path, texts: list[str]) -> torch.Tensor:
    """As transformers alone gives them."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    its_tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        found: torch.Tensor = model(**its_tokenizer(texts, padding=True, return_tensors="pt")).logits
    return found


def test_texts_of_the_task_get_the_same_answers_from_a_smaller_table(
    prune: Callable[..., Artifact], classifier: Artifact
) -> None:
    pruned = prune(classifier)
    facts = pruned.steps[-1].facts["vocabulary"]
    whole, rows = tokenizer(classifier.folder), load(pruned).get_input_embeddings().weight.shape[0]
    assert rows == load(pruned).config.vocab_size == len(tokenizer(pruned.folder)) == facts["pieces_after"]
    assert facts["pieces_before"] == len(whole) > rows
    assert facts["bytes_saved"] == 4 * 64 * (len(whole) - rows)
    assert (facts["tokens_changed_share"], facts["rows_changed_share"]) == (0, 0)
    assert torch.equal(answers(pruned.folder, SENTENCES), answers(classifier.folder, SENTENCES))


def test_rare_pieces_go_too_and_how_many_tokens_that_changes_is_recorded(
    prune: Callable[..., Artifact], classifier: Artifact
) -> None:
    pruned = prune(classifier, min_count=60)
    facts, every = pruned.steps[-1].facts["vocabulary"], prune(classifier, "every").steps[-1].facts["vocabulary"]
    assert facts["pieces_after"] < every["pieces_after"]
    assert 0 < facts["tokens_changed_share"] < facts["rows_changed_share"] <= 1
    assert facts["tokens_per_row_after"] > facts["tokens_per_row_before"] == every["tokens_per_row_after"]


def test_a_size_is_met_and_one_below_the_characters_is_refused(
    prune: Callable[..., Artifact], classifier: Artifact
) -> None:
    facts = prune(classifier).steps[-1].facts["vocabulary"]
    least = facts["pieces_required"]
    assert prune(classifier, "small", vocab_size=least + 7).steps[-1].facts["vocabulary"]["pieces_after"] == least + 7
    with pytest.raises(CompressError, match=f"Set it to {least} or more"):
        prune(classifier, "smaller", vocab_size=least - 1)


def test_pieces_of_further_texts_stay_as_well(
    prune: Callable[..., Artifact], classifier: Artifact, tmp_path: Path
) -> None:
    corpus = tmp_path / "more.txt"
    corpus.write_text("\n".join("".join(SYLLABLES[place : place + 2]) for place in range(24)), encoding="utf-8")
    plain, more = prune(classifier), prune(classifier, "more", corpus=str(corpus))
    assert len(tokenizer(more.folder)) > len(tokenizer(plain.folder))
    assert more.fingerprint() != plain.fingerprint()


@pytest.mark.slow
def test_it_recovers_with_the_whole_model_as_teacher_each_with_its_own_tokenizer(
    prune: Callable[..., Artifact], strong: Artifact, task: dict[str, Any]
) -> None:
    """Closer to the teacher on the rows that it was trained on, each read by both with their own pieces."""
    texts = list(loading.load(*loading.resolve(task), "train").rows["text"])
    wanted = answers(strong.folder, texts).softmax(-1)
    recovery = {**TRAINING, "alpha": 1.0, "learning_rate": 3e-4, "epochs": 16, "keep_checkpoint": "last"}
    cut, recovered = (
        prune(strong, name, min_count=60, **more) for name, more in (("cut", {}), ("recovered", recovery))
    )
    apart = [(answers(one.folder, texts).softmax(-1) - wanted).abs().mean() for one in (cut, recovered)]
    assert apart[1] < 0.8 * apart[0], (apart, wanted.std(0))
    assert recovered.steps[-1].facts["teacher_score"]["rows"] > 0


def test_hidden_states_of_other_tokens_are_not_matched(prune: Callable[..., Artifact], classifier: Artifact) -> None:
    with pytest.raises(CompressError, match="another tokenizer than its teacher"):
        prune(classifier, hidden_weight=1.0, **TRAINING)


def test_a_tokenizer_of_whole_words_is_refused(prune: Callable[..., Artifact], make_model: Callable[..., Path]) -> None:
    with pytest.raises(CompressError, match="WordLevel, which does not split unknown words"):
        prune(resolve_model(str(make_model("bert", "words"))))


def test_without_a_task_it_says_what_it_would_count(classifier: Artifact, tmp_path: Path) -> None:
    with pytest.raises(CompressError, match="training rows. Name the task"):
        apply(TECHNIQUE, classifier, Prune(method="vocabulary"), tmp_path / "pruned")


@pytest.mark.parametrize(("family", "kind"), [("bart", byte_level), ("t5", unigram), ("llama", byte_level)])
def test_a_generator_starts_ends_and_pads_with_the_same_tokens(
    tmp_path: Path, family: str, kind: Callable[..., Any]
) -> None:
    its_tokenizer = kind()
    named = {"eos_token_id": its_tokenizer.eos_token_id, "bos_token_id": its_tokenizer.bos_token_id}
    named["decoder_start_token_id"] = its_tokenizer.convert_tokens_to_ids("s")  # one that does not stay where it was
    source = with_tokenizer(tmp_path / "whole", its_tokenizer, write_generator, family, **named)
    task = write_pairs(tmp_path / "data")
    pruned = apply(TECHNIQUE, source, Prune(method="vocabulary"), tmp_path / "pruned", task=task)
    found, config = tokenizer(pruned.folder), load(pruned).config
    assert config.vocab_size == len(found) < len(its_tokenizer)
    assert found.convert_ids_to_tokens([config.eos_token_id, config.pad_token_id]) == ["</s>", "<pad>"]
    if config.is_encoder_decoder:
        assert found.convert_ids_to_tokens(config.decoder_start_token_id) == "s"
    generation = json.loads((pruned.folder / "generation_config.json").read_text())
    assert generation["eos_token_id"] == config.eos_token_id
    text = "the plot was good"
    assert found.tokenize(text) == its_tokenizer.tokenize(text)
