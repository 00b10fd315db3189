"""The generated sentences are the same everywhere, well tagged, and no word decides by itself what it is."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from compress.data.corpora import entities
from compress.data.corpora.entities import lexicon, rows
from compress.data.loading import load, resolve

# Changes only with VERSION: results on another corpus must not be taken for results on this one.
CORPUS = {1: "d164a6b32e49d307d71f0a96252fd78e5253309710d6f83ae8764c04fd47a056"}


@pytest.fixture(scope="module")
def corpus() -> dict[str, list[tuple[list[str], list[str]]]]:
    return {split: list(rows(split, 0)) for split in entities.SIZES}


def test_the_same_seed_gives_the_same_bytes_on_every_machine(
    corpus: dict[str, list[tuple[list[str], list[str]]]],
) -> None:
    content = hashlib.sha256()
    for split, found in corpus.items():
        for words, tags in found:
            content.update(f"{split}\t{tags}\t{words}\n".encode())
    assert content.hexdigest() == CORPUS[entities.VERSION]


def test_each_word_has_a_tag_and_entities_begin_with_b(corpus: dict[str, list[tuple[list[str], list[str]]]]) -> None:
    for found in corpus.values():
        for words, tags in found:
            assert len(words) == len(tags)
            assert all(words)
            assert set(tags) <= set(entities.LABELS)
            for before, tag in zip(["O", *tags], tags, strict=False):
                assert not tag.startswith("I-") or before[2:] == tag[2:], (words, tags)


def test_no_sentence_is_in_two_splits_whatever_the_seed(corpus: dict[str, list[tuple[list[str], list[str]]]]) -> None:
    training = {" ".join(words) for words, _ in corpus["train"]}
    assert len(training) == entities.SIZES["train"]
    for seed in (0, 1):
        assert not training & {" ".join(words) for words, _ in rows("evaluation", seed)}


def test_one_name_is_a_person_a_place_and_an_organisation(corpus: dict[str, list[tuple[list[str], list[str]]]]) -> None:
    kinds: dict[str, set[str]] = defaultdict(set)
    for words, tags in corpus["train"]:
        for word, tag in zip(words, tags, strict=True):
            kinds[word].add(tag[2:])
    seen = [name for name in entities.NAMES if name in kinds]
    assert sum({"PER", "LOC", "ORG"} <= kinds[name] for name in seen) > 0.85 * len(seen)
    assert {"", "PER", "DATE"} <= kinds["May"]
    assert {"", "PER"} <= kinds["Will"]


def test_evaluation_has_names_that_no_training_row_has(corpus: dict[str, list[tuple[list[str], list[str]]]]) -> None:
    known = {word for split in ("train", "holdout") for words, _ in corpus[split] for word in words}
    named = [word for words, _ in corpus["evaluation"] for word in words if word in entities.NAMES]
    assert 0.3 < sum(word not in known for word in named) / len(named) < 0.5
    assert not set(lexicon.GIVEN) - known


def test_the_most_likely_tag_of_each_word_does_not_solve_it(
    corpus: dict[str, list[tuple[list[str], list[str]]]],
) -> None:
    """As a baseline that looks at words alone: of the words that are entities it must miss many."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for words, tags in corpus["train"]:
        for word, tag in zip(words, tags, strict=True):
            counts[word][tag] += 1
    pairs = [pair for row in corpus["evaluation"] for pair in zip(*row, strict=True) if pair[1] != "O"]
    right = sum(bool(counts[word]) and counts[word].most_common(1)[0][0] == tag for word, tag in pairs)
    assert right / len(pairs) < 0.7


def test_the_task_that_ships_reads_them_without_a_file(tmp_path: Path) -> None:
    task, data = resolve("entities")
    assert (data, task.label_names) == (None, entities.LABELS)
    found = load(task, data, "holdout", tmp_path)
    assert found.identity["generator"] == "entities_corpus"
    words, tags = next(rows("holdout", 0))
    assert found.rows[0]["text"] == words
    assert [task.label_names[tag] for tag in found.rows[0]["label"]] == tags
    assert len(found.rows) == entities.SIZES["holdout"]
