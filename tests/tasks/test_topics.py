"""The generated messages are the same everywhere, about none to three topics, and not told by their words' topics alone."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path

from compress.data.corpora import topics
from compress.data.corpora.topics import lexicon, rows
from compress.data.loading import load, resolve

# Changes only with VERSION: results on another corpus must not be taken for results on this one.
CORPUS = {1: "4eac3d22d1513d4082618712930f55a5fbfd26e1d27799f9f51acf9202c44372"}


def test_the_same_seed_gives_the_same_bytes_on_every_machine() -> None:
    content = hashlib.sha256()
    for split in topics.SIZES:
        for text, labels in rows(split, 0):
            content.update(f"{split}\t{labels}\t{text}\n".encode())
    assert content.hexdigest() == CORPUS[topics.VERSION]


def test_a_message_has_none_to_three_topics_and_each_topic_is_as_common() -> None:
    found = [labels for _, labels in rows("train", 0)]
    counts = Counter(len(labels) for labels in found)
    assert set(counts) == {0, 1, 2, 3}
    by_label = Counter(label for labels in found for label in labels)
    assert set(by_label) == set(topics.LABELS)
    assert max(by_label.values()) < 1.25 * min(by_label.values())


def test_no_message_is_in_two_splits_whatever_the_seed() -> None:
    training = {text for text, _ in rows("train", 0)}
    assert len(training) == topics.SIZES["train"]
    for seed in (0, 1):
        assert not training & {text for text, _ in rows("evaluation", seed)}


def test_half_of_the_evaluation_is_told_in_sentences_that_no_training_row_has() -> None:
    said = [re.sub(r"\\{\w+\\}", r"[\\w ]+", re.escape(one)) for new in lexicon.NEW.values() for one in new]
    is_new = re.compile("|".join(said)).search
    found = [bool(is_new(text)) for text, labels in rows("evaluation", 0) if labels]
    assert 0.4 < sum(found) / len(found) < 0.6
    assert not any(is_new(text) for text, _ in rows("train", 0))


def test_a_denied_topic_is_never_one_of_the_message() -> None:
    for text, labels in rows("train", 0):
        denied = {
            topic for topic, said in lexicon.DENIED.items() if any("{" not in one and one in text for one in said)
        }
        assert not denied & set(labels), text


def test_the_task_that_ships_reads_them_without_a_file(tmp_path: Path) -> None:
    task, data = resolve("topics")
    assert (data, task.label_names) == (None, topics.LABELS)
    found = load(task, data, "holdout", tmp_path)
    assert found.identity["generator"] == "topics_corpus"
    text, labels = next(rows("holdout", 0))
    assert found.rows[0]["text"] == text
    assert [name for name, has in zip(task.label_names, found.rows[0]["label"], strict=True) if has] == labels
    assert len(found.rows) == topics.SIZES["holdout"]
