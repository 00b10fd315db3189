"""Files of another model's answers: each way to write one is read as it is meant, and each mistake is named with its line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.core.errors import CompressError
from compress.data.answers_file import AnswersFile, read
from compress.data.loading import resolve
from tests.tabular import WRITERS, as_jsonl

MOODS = {"name": "moods", "text": "review", "label": "mood", "labels": ["bad", "fair", "good"]}
SCORES = {"name": "stars", "kind": "regression", "text": "review", "label": "stars", "range": [0, 5]}
TOPICS = {
    "name": "subjects",
    "kind": "multi_label_classification",
    "text": "review",
    "label": "about",
    "labels": ["price", "sound"],
}
TAGS = {"name": "tags", "kind": "token_classification", "labels": ["O", "B-PER"]}
GISTS = {"name": "gists", "kind": "summarization", "source": "chat", "target": "gist"}
WORDS = {"name": "words", "kind": "language_modelling"}


def found(tmp_path: Path, described: dict[str, Any], *rows: Any, **more: Any) -> AnswersFile:
    """The answers of a file with these rows; a text is a line as it is."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (tmp_path / "answers.jsonl").write_text("".join(f"{line}\n" for line in lines))
    task, _ = resolve({"data": {"train": str(tmp_path / "train.jsonl")}, **described, **more})
    return read(task, tmp_path / "answers.jsonl")


def probabilities(tmp_path: Path, described: dict[str, Any], **row: Any) -> Any:
    """Those that the only row of a file says."""
    (one,) = found(tmp_path, described, {"review": "so so", **row}).answers.values()
    law = resolve({"data": {"train": "train.jsonl"}, **described})[0].law
    return law.probabilities(np.asarray(one.given, np.float64)[None])[0].round(6).tolist()


def test_a_label_is_certain_unless_it_has_a_confidence(tmp_path: Path) -> None:
    assert probabilities(tmp_path, MOODS, mood="good") == [0, 0, 1]
    assert probabilities(tmp_path, MOODS, label="bad") == [1, 0, 0]
    assert probabilities(tmp_path, MOODS, mood=1) == [0, 1, 0]
    assert probabilities(tmp_path, MOODS, mood="good", confidence=0.8) == pytest.approx([0.1, 0.1, 0.8])
    assert probabilities(tmp_path, TOPICS, about=["sound"], confidence=0.9) == pytest.approx([0.1, 0.9])
    assert probabilities(tmp_path, TOPICS, about=[]) == [0, 0]


def test_probabilities_are_named_or_in_the_order_of_the_labels(tmp_path: Path) -> None:
    for given in ({"good": 0.7, "bad": 0.1, "fair": 0.2}, [0.1, 0.2, 0.7]):
        assert probabilities(tmp_path, MOODS, probabilities=given) == pytest.approx([0.1, 0.2, 0.7])
    assert probabilities(tmp_path, MOODS, probabilities={"good": 0.4, "bad": 0.6}) == pytest.approx([0.6, 0, 0.4])
    assert probabilities(tmp_path, MOODS, probabilities=[0.1001, 0.2, 0.7]) == pytest.approx(
        [0.1, 0.2, 0.7], abs=1e-4
    ), "rounded sums are brought to 1"
    assert probabilities(tmp_path, TOPICS, probabilities=[0.9, 0.8]) == pytest.approx([0.9, 0.8])
    assert probabilities(tmp_path, MOODS, mood="bad", probabilities=[0, 0, 1]) == [0, 0, 1], "the label is not read"


def test_a_number_is_the_score(tmp_path: Path) -> None:
    for name in ("stars", "score"):
        (one,) = found(tmp_path, SCORES, {"review": "so so", name: 2.5}).answers.values()
        assert np.asarray(one.given).tolist() == [2.5]


def test_each_word_has_a_tag_or_probabilities(tmp_path: Path) -> None:
    tagged = {"tokens": ["Ada", "sails"], "tags": ["B-PER", "O"]}
    sure = {"words": ["Bo", "sails"], "probabilities": [{"B-PER": 0.75, "O": 0.25}, [1, 0]]}
    law = resolve({"data": {"train": "train.jsonl"}, **TAGS})[0].law
    for row, expected in ((tagged, [[0, 1], [1, 0]]), (sure, [[0.25, 0.75], [1, 0]])):
        (one,) = found(tmp_path, TAGS, row).answers.values()
        np.testing.assert_allclose(law.probabilities(np.asarray(one.given, np.float64)), expected, atol=1e-6)


def test_a_text_is_the_answer_to_a_source(tmp_path: Path) -> None:
    answers = found(tmp_path, GISTS, {"chat": "Ada: Hi!", "gist": " a greeting "}, {"chat": "Bo: ?", "gist": ""})
    assert [one.given for one in answers.answers.values()] == ["a greeting"]
    assert answers.left_out["empty"] == 1


def test_what_predict_prints_is_a_file_of_answers(tmp_path: Path) -> None:
    printed = {"text": "so so", "label": "good", "probabilities": {"bad": 0.25, "fair": 0.25, "good": 0.5}}
    assert len(found(tmp_path, MOODS, printed).answers) == 1
    pair = {**MOODS, "text": ["question", "answer"]}
    (one,) = found(tmp_path, pair, {"text": "why", "pair": "because", "label": "bad"}).answers.values()
    assert one.example.texts == ("why", "because")
    (one,) = found(tmp_path, GISTS, {"text": "Ada: Hi!", "output": "a greeting"}).answers.values()
    assert one.given == "a greeting"


@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_of_rows_gives_the_same_answers(ending: str, tmp_path: Path) -> None:
    rows = [{"review": f"review {number}", "mood": mood} for number, mood in enumerate(("bad", "good", "fair"))]
    sure = [{"review": "so so", "probabilities.bad": 0.5, "probabilities.good": 0.5}]
    task, _ = resolve({"data": {"train": "train.jsonl"}, **MOODS})
    WRITERS[ending](tmp_path / f"a.{ending}", rows)
    WRITERS[ending](tmp_path / f"b.{ending}", sure)
    labels = [np.asarray(one.given).argmax() for one in read(task, tmp_path / f"a.{ending}").answers.values()]
    assert labels == [0, 2, 1]
    (one,) = read(task, tmp_path / f"b.{ending}").answers.values()
    np.testing.assert_allclose(task.law.probabilities(np.asarray(one.given)[None])[0], [0.5, 0, 0.5])


FINE = {"review": "fine", "mood": "good"}


@pytest.mark.parametrize(
    ("described", "row", "said"),
    [
        (MOODS, {"review": "so so", "mood": "great"}, "line 2 (label 'great' is not among bad, fair, good)"),
        (MOODS, {"review": "so so", "probabilities": {"great": 1}}, "line 2 (label 'great' is not among bad, fair, good)"),
        (MOODS, {"review": "so so", "probabilities": [0.5, 0.2, 0.2]}, "line 2 (the probabilities sum to 0.9, not 1)"),
        (MOODS, {"review": "so so", "probabilities": [-0.1, 0.6, 0.5]}, "line 2 (a probability is -0.1, not from 0 to 1)"),
        (MOODS, '{"review": "so so", "probabilities": [NaN, 0.5, 0.5]}', "line 2 (a probability is nan, not from 0 to 1)"),
        (MOODS, {"review": "so so", "probabilities": [0.5, 0.5]}, "line 2 ('probabilities' has 2 entries; it is an object"),
        (MOODS, {"review": "so so", "probabilities": ["a", 1, 0]}, "line 2 (the probability of 'bad' is 'a', not a number"),
        (MOODS, {"review": "so so", "mood": "good", "confidence": 0.2}, "line 2 ('confidence' is 0.2, not a number from 0.3333"),
        (MOODS, {"review": "so so"}, "line 2 (it has neither a label nor probabilities)"),
        (MOODS, {"review": "", "mood": "good"}, "line 2 ('review' is empty)"),
        (MOODS, '{"review": "so so", "mood": "go', "line 2 (not JSON: "),
        (MOODS, {"review": "so so", "mood": ["good", "bad"]}, "line 2 ('mood' is ['good', 'bad'], not one label"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(described: dict[str, Any], row: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(CompressError, match=re.escape(f"answers.jsonl has 1 bad row of 3: {said}")) as caught:
        found(tmp_path, described, FINE, row, {"review": "well", "mood": "bad"})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("described", "row", "said"),
    [
        (SCORES, {"review": "so so", "stars": 7}, "line 1 (label 7 is not a number from 0 to 5)"),
        (TOPICS, {"review": "so so", "probabilities": {"price": 0.5}}, "line 1 ('probabilities' has nothing for sound)"),
        (TAGS, {"tokens": ["Ada", "sails"], "tags": ["O"]}, "line 1 (2 words and 1 tag)"),
        (TAGS, {"tokens": ["Ada"], "probabilities": [[0.5, 0.6]]}, "line 1 (word 1: the probabilities sum to 1.1, not 1)"),
        (TAGS, {"tokens": ["Ada"], "probabilities": []}, "line 1 ('probabilities' has 0 entries, not one for each word (1)"),
    ],
)  # fmt: skip
def test_mistakes_of_other_kinds_are_named_too(described: dict[str, Any], row: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(CompressError, match=re.escape(said)):
        found(tmp_path, described, row)


def test_bad_rows_are_skipped_and_counted_where_the_task_says_so(tmp_path: Path) -> None:
    answers = found(tmp_path, MOODS, FINE, {"review": "so so", "mood": "great"}, bad_rows="skip")
    assert (len(answers.answers), answers.left_out["bad"]) == (1, 1)


def test_a_text_twice_counts_once_unless_its_answers_differ(tmp_path: Path) -> None:
    answers = found(tmp_path, MOODS, FINE, {"review": " fine ", "mood": "good"})
    assert (len(answers.answers), answers.left_out["duplicate"]) == (1, 1)
    with pytest.raises(CompressError, match=r"line 1 and line 3 answer the same text differently \('fine'\)"):
        found(tmp_path, MOODS, FINE, {"review": "so so", "mood": "bad"}, {"review": "fine", "mood": "fair"})


def test_a_file_that_is_none_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CompressError, match=r"answers.jsonl is empty. Write a row for each text"):
        found(tmp_path, MOODS)
    with pytest.raises(
        CompressError, match=r"has no column 'review'. Did you mean 'reviews'\? Its columns: reviews, mood"
    ):
        found(tmp_path, MOODS, {"reviews": "fine", "mood": "good"})
    with pytest.raises(CompressError, match=r"has no column 'mood' or 'label' or 'probabilities' with the answers"):
        found(tmp_path, MOODS, {"review": "fine", "says": "good"})
    with pytest.raises(CompressError, match=r"Answers to 'words' \(language modelling\) are not read from a file"):
        found(tmp_path, WORDS, {"text": "fine"})
    task, _ = resolve({"data": {"train": "train.jsonl"}, **MOODS})
    with pytest.raises(CompressError, match=r"none.jsonl is not a file. Name one with a row for each answer"):
        read(task, tmp_path / "none.jsonl")
    as_jsonl(tmp_path / "answers.docx", [FINE])
    with pytest.raises(CompressError, match=r"the format of '.docx' files is not known"):
        read(task, tmp_path / "answers.docx")
