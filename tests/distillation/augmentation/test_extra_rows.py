"""Rows for the teacher to label: as many as asked, from every kind of file, none of them a row that is measured on."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.data.loading import load, resolve
from compress.distillation.augmentation import masked_words
from compress.distillation.augmentation.extra_rows import OWN_VOCABULARY, Extra, check, extra_rows, identity
from compress.tasks.task import Task
from tests.distillation.augmentation.test_masked_words import write_masked_lm
from tests.tiny import WORDS, write_model

SINGLE = {"name": "mine", "text": "review", "label": "mood", "labels": ["neg", "pos"]}
PAIR = {**SINGLE, "text": ["question", "answer"]}
SCORES = {"name": "scores", "kind": "regression", "text": "review", "label": "mood", "range": [0, 5]}
KINDS = {"single": SINGLE, "pair": PAIR, "regression": SCORES}


def sentence(number: int) -> str:
    """Another sentence of three to nine words for every number below 900."""
    count = len(WORDS)
    more = number % (count - 7)
    return " ".join([WORDS[number % count], WORDS[number // count % count], *WORDS[more : more + 1 + number % 7]])


def prepared(folder: Path, described: dict[str, Any], rows: int = 120, **more: Any) -> tuple[Task, Any, Any]:
    """The task, and its rows to train on and to evaluate on."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [described["text"]] if isinstance(described["text"], str) else described["text"]
    data = {}
    for split, start, count in (("train", 0, rows), ("evaluation", 500, 20)):
        data[split] = str(folder / f"{split}.jsonl")
        lines = [
            {**{name: sentence(n + 177 * i) for i, name in enumerate(names)}, "mood": n % 2}
            for n in range(start, start + count)
        ]
        Path(data[split]).write_text("".join(json.dumps(line) + "\n" for line in lines))
    task, where = resolve({**described, "data": data, **more})
    return task, load(task, where, "train").rows, load(task, where, "evaluation").rows


def made(task: Task, rows: Any, tmp_path: Path, **settings: Any) -> Extra:
    asked: dict[str, Any] = {"text": None, "augment": 0.0, "masked_lm": None, "seed": 0, "cache": tmp_path / "cache"}
    return extra_rows(task, rows, **{**asked, **settings})


@pytest.mark.parametrize("copies", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("kind", KINDS)
def test_the_share_of_augmented_rows_is_the_share_asked_for(kind: str, copies: float, tmp_path: Path) -> None:
    task, rows, _ = prepared(tmp_path / "data", KINDS[kind])
    extra = made(task, rows, tmp_path, augment=copies)
    left_out = sum(extra.facts["extra_rows_left_out"].values())
    assert len(extra.rows) == extra.facts["rows_augmented"]
    assert len(extra.rows) + left_out == round(copies * len(rows))
    assert left_out <= 0.05 * len(rows)  # chance made one twice
    assert extra.facts["augmented_share"] == len(extra.rows) / (len(extra.rows) + len(rows))
    assert extra.facts["augmented_by"] == OWN_VOCABULARY
    # At least one word of three to nine is more than the 15 % of long texts.
    assert 0.15 < extra.facts["words_replaced_share"] < 0.34
    assert extra.facts["rows_unlabelled"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_extra_rows_join_the_training_rows_and_have_no_label(kind: str, tmp_path: Path) -> None:
    from datasets import concatenate_datasets

    task, rows, _ = prepared(tmp_path / "data", KINDS[kind])
    extra = made(task, rows, tmp_path, augment=1)
    assert extra.rows.features == rows.features
    together = concatenate_datasets([rows, extra.rows])
    assert together["label"][: len(rows)] == rows["label"][:]
    labels = together["label"][len(rows) :]
    assert all(math.isnan(label) if kind == "regression" else label == -100 for label in labels)
    assert len(set(together["row_hash"])) == len(together)


def test_cross_entropy_ignores_the_label_of_extra_rows(tmp_path: Path) -> None:
    import torch

    task, rows, _ = prepared(tmp_path / "data", SINGLE)
    label = made(task, rows, tmp_path, augment=1).rows[0]["label"]
    logits = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    both = torch.nn.functional.cross_entropy(logits, torch.tensor([1, label]))
    assert both == torch.nn.functional.cross_entropy(logits[:1], torch.tensor([1]))


def test_words_come_from_the_training_split_alone(tmp_path: Path) -> None:
    task, rows, _ = prepared(tmp_path / "data", SINGLE)
    (tmp_path / "more.txt").write_text("utterly different words\n")
    extra = made(task, rows, tmp_path, augment=2, text=tmp_path / "more.txt")
    assert extra.rows[0]["text"] == "utterly different words"
    known = {word for text in rows["text"] for word in text.split()}
    assert {word for text in extra.rows["text"][1:] for word in text.split()} <= known


def test_equal_seeds_give_equal_rows_and_others_give_others(tmp_path: Path) -> None:
    task, rows, _ = prepared(tmp_path / "data", SINGLE)
    first, again, other = (
        made(task, rows, tmp_path / str(i), augment=1, seed=seed) for i, seed in enumerate((1, 1, 2))
    )
    assert first.rows["text"][:] == again.rows["text"][:]
    assert first.rows._fingerprint == again.rows._fingerprint  # so that what is kept by it is found again
    assert first.facts == again.facts
    assert first.rows["text"][:] != other.rows["text"][:]
    assert first.identity == again.identity != other.identity


def test_rows_that_were_damaged_in_the_cache_are_made_again(tmp_path: Path) -> None:
    task, rows, _ = prepared(tmp_path / "data", next(iter(KINDS.values())))
    before = made(task, rows, tmp_path, augment=1.0)
    texts = before.rows.to_dict()
    (file,) = (tmp_path / "cache" / "extra-rows").rglob("*.arrow")
    file.write_bytes(file.read_bytes()[:-100])
    again = made(task, rows, tmp_path, augment=1.0)
    assert again.rows.to_dict() == texts
    assert again.facts == before.facts


def test_nothing_of_the_evaluation_split_comes_back(tmp_path: Path) -> None:
    task, rows, evaluation = prepared(tmp_path / "data", SINGLE)
    leaks = evaluation["text"][:]
    disguised = [leaks[0].upper(), f"  {leaks[1].replace(' ', '   ')} "]
    (tmp_path / "leaky.txt").write_text("\n".join([*leaks, *disguised, "a new sentence"]) + "\n")
    extra = made(task, rows, tmp_path, text=tmp_path / "leaky.txt", forbidden=[evaluation])
    assert extra.rows["text"][:] == ["a new sentence"]
    assert extra.facts["extra_rows_left_out"]["in_another_split"] == len(evaluation) + 2


def test_an_augmented_row_that_became_an_evaluation_row_is_left_out(tmp_path: Path) -> None:
    task, rows, _ = prepared(tmp_path / "data", SINGLE)
    found = made(task, rows, tmp_path, augment=1)
    forbidden = found.rows.select(range(10))
    again = made(task, rows, tmp_path, augment=1, forbidden=[forbidden])
    assert again.rows["text"][:] == found.rows["text"][10:]
    assert again.facts["extra_rows_left_out"]["in_another_split"] == 10


def test_a_pair_leaks_only_as_a_whole(tmp_path: Path) -> None:
    task, rows, evaluation = prepared(tmp_path / "data", PAIR)
    (tmp_path / "pairs.jsonl").write_text(
        json.dumps({"question": evaluation[0]["text"], "answer": evaluation[0]["text_pair"]})
        + "\n"
        + json.dumps({"question": evaluation[0]["text"], "answer": "another"})
    )
    extra = made(task, rows, tmp_path, text=tmp_path / "pairs.jsonl", forbidden=[evaluation])
    assert extra.rows["text_pair"][:] == ["another"]


def test_training_rows_and_repeated_texts_come_once(tmp_path: Path) -> None:
    task, rows, _ = prepared(tmp_path / "data", SINGLE)
    (tmp_path / "more.txt").write_text("\n".join([rows[0]["text"], "new one", "new one", "New  One", "", " ", "two"]))
    extra = made(task, rows, tmp_path, text=tmp_path / "more.txt")
    assert extra.rows["text"][:] == ["new one", "two"]
    assert extra.facts["extra_rows_left_out"] == {"duplicate": 3, "empty": 2, "bad": 0}
    assert extra.facts["unlabelled_share"] == 2 / (len(rows) + 2)


AWKWARD = ['Quoted "words", and a comma', "Ünïcode — 'single'", "a line\u2028separator", "plain"]


def as_csv(file: Path) -> None:
    cells = ["n,review", *(f'{i},"{text.replace(chr(34), chr(34) * 2)}"' for i, text in enumerate(AWKWARD))]
    file.write_text("\r\n".join(cells) + "\r\n", encoding="utf-8-sig", newline="")


def as_parquet(file: Path) -> None:
    from datasets import Dataset

    Dataset.from_dict({"n": range(4), "review": AWKWARD}).to_parquet(file)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "a.txt": lambda file: file.write_text("\ufeff" + "\r\n".join(AWKWARD), encoding="utf-8", newline=""),
    "a.tsv": lambda file: file.write_text("n\treview\n" + "".join(f"1\t{text}\n" for text in AWKWARD), newline=""),
    "a.csv": as_csv,
    "a.CSV": as_csv,
    "a.jsonl": lambda file: file.write_text("\n\n".join(json.dumps({"review": text}) for text in AWKWARD)),
    "a.json": lambda file: file.write_text(json.dumps([{"review": text, "mood": "odd"} for text in AWKWARD], indent=1)),
    "a.parquet": as_parquet,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_gives_its_texts_as_they_are(name: str, tmp_path: Path) -> None:
    task, rows, _ = prepared(tmp_path / "data", SINGLE)
    WRITERS[name](tmp_path / name)
    check(task, tmp_path / name)
    assert made(task, rows, tmp_path, text=tmp_path / name).rows["text"][:] == AWKWARD


def test_a_folders_files_are_read_in_order_of_their_names_and_others_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task, rows, _ = prepared(tmp_path / "data", SINGLE)
    (tmp_path / "more").mkdir()
    (tmp_path / "more/b.txt").write_text("second\n")
    (tmp_path / "more/a.jsonl").write_text('{"review": "first"}')
    (tmp_path / "more/.hidden").write_text("x")
    (tmp_path / "more/README.md").write_text("x")
    with caplog.at_level(logging.WARNING, "compress"):
        extra = made(task, rows, tmp_path, text=tmp_path / "more")
    assert extra.rows["text"][:] == ["first", "second"]
    assert set(extra.identity["text"]) == {"a.jsonl", "b.txt"}
    assert "not read: README.md." in caplog.text


def test_a_file_laid_out_as_the_tasks_own_files_is_understood(tmp_path: Path) -> None:
    task, rows, _ = prepared(tmp_path / "data", PAIR)
    glue, _ = resolve("mrpc")
    named = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t1\t2\tone\tother\n"
    (tmp_path / "mrpc.tsv").write_text(named)
    assert made(glue, rows, tmp_path, text=tmp_path / "mrpc.tsv").rows["text_pair"][:] == ["other"]
    with pytest.raises(CompressError, match="has no column 'question'"):
        check(task, tmp_path / "mrpc.tsv")


def test_extra_texts_are_read_as_the_task_says_of_its_files(tmp_path: Path) -> None:
    task, rows, _ = prepared(tmp_path / "data", SINGLE)
    (tmp_path / "more.csv").write_bytes("number;review\n1;a café\n".encode("windows-1252"))
    with pytest.raises(CompressError, match="has no column 'review'"):
        check(task, tmp_path / "more.csv")
    told = replace(task, separator=";", encoding="windows-1252")
    assert made(told, rows, tmp_path, text=tmp_path / "more.csv").rows["text"][:] == ["a café"]
    (tmp_path / "more.tsv").write_text('review\n"he said ""fine"""\n')
    assert made(task, rows, tmp_path, text=tmp_path / "more.tsv").rows["text"][:] == ['he said "fine"']


def test_bad_rows_are_an_error_or_counted_as_the_task_says(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"review": "good one"}\nnot json\n{"review": 7}\n{"review": null}\n')
    task, rows, _ = prepared(tmp_path / "data", SINGLE)
    with pytest.raises(CompressError, match="bad.jsonl has 2 bad rows of 4: line 2 .*, line 3 "):
        made(task, rows, tmp_path, text=tmp_path / "bad.jsonl")
    assert not list((tmp_path / "cache" / "extra-rows").iterdir())  # nothing half made stays
    task, rows, _ = prepared(tmp_path / "data", SINGLE, bad_rows="skip")
    extra = made(task, rows, tmp_path, text=tmp_path / "bad.jsonl")
    assert extra.facts["extra_rows_left_out"] == {"empty": 1, "bad": 2}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.txt", None, "does not exist"),
        ("a.xlsx", "x", "format of '.xlsx' files is not known"),
        ("a.txt", "", "is empty"),
        ("a.csv", "", "is empty"),
        ("a.csv", "n,reviews\n1,x\n", "no column 'review'. Did you mean 'reviews'"),
        ("a.txt", "review\tmood\nx\tpos\n", "is a table. Call it a.tsv"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_before_anything_is_loaded(
    name: str, content: str | None, said: str, tmp_path: Path
) -> None:
    task, _, _ = prepared(tmp_path / "data", SINGLE)
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(CompressError) as told:
        check(task, tmp_path / name)
    assert said in str(told.value)


def test_other_requests_that_cannot_work_are_refused(tmp_path: Path) -> None:
    single, rows, _ = prepared(tmp_path / "single", SINGLE)
    pair, _, _ = prepared(tmp_path / "pair", PAIR)
    (tmp_path / "a.txt").write_text("x\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CompressError, match="pairs of texts: give a table with the columns question and answer"):
        check(pair, tmp_path / "a.txt")
    with pytest.raises(CompressError, match="has no file of texts"):
        check(single, tmp_path / "empty")
    with pytest.raises(CompressError, match="cannot be read"):
        check(single, None, tmp_path / "empty")
    with pytest.raises(CompressError, match="augment is -1"):
        made(single, rows, tmp_path, augment=-1)


def test_nothing_asked_for_gives_no_rows(tmp_path: Path) -> None:
    task, rows, _ = prepared(tmp_path / "data", SINGLE)
    extra = made(task, rows, tmp_path)
    assert (len(extra.rows), extra.identity, extra.rows.features) == (0, {}, rows.features)


def test_a_masked_language_model_chooses_the_words_and_is_not_loaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, rows, _ = prepared(tmp_path / "data", SINGLE)
    folder = write_masked_lm(tmp_path / "mlm", likes="hero")
    first = made(task, rows, tmp_path, augment=1, masked_lm=folder)
    assert first.facts["augmented_by"] == "masked language model mlm"
    sources = [[word for word in text.split() if word != "hero"] for text in rows["text"]]
    for text in first.rows["text"]:
        others = [word for word in text.split() if word != "hero"]
        assert any(len(others) < len(source) and set(others) <= set(source) for source in sources) or "hero" not in text
    assert sum("hero" in text.split() for text in first.rows["text"]) > 0.9 * len(first.rows)

    def refuse(folder: Path) -> None:
        raise AssertionError("the model was loaded though its rows are kept")

    monkeypatch.setattr(masked_words.MaskedWords, "load", refuse)
    again = made(task, rows, tmp_path, augment=1, masked_lm=folder)
    assert again.rows["text"][:] == first.rows["text"][:]
    assert again.facts == first.facts


def test_another_model_or_file_is_another_identity(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x\n")
    one = identity(tmp_path / "a.txt", write_masked_lm(tmp_path / "one"))
    (tmp_path / "a.txt").write_text("y\n")
    other = identity(tmp_path / "a.txt", write_masked_lm(tmp_path / "other", likes="hero"))
    assert set(one) == set(other) == {"text", "masked_lm"}
    assert one["text"] != other["text"]
    assert one["masked_lm"] != other["masked_lm"]
    assert identity(None, None) == {}


def test_a_model_without_the_head_is_reported_and_the_tasks_words_are_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task, rows, _ = prepared(tmp_path / "data", SINGLE)
    classifier = write_model(tmp_path / "classifier")
    with caplog.at_level(logging.WARNING, "compress"):
        extra = made(task, rows, tmp_path, augment=1, masked_lm=classifier)
    assert "no trained masked-language-model head" in caplog.text
    assert extra.facts["augmented_by"] == OWN_VOCABULARY
    assert "is missing" in extra.facts["masked_lm_not_used"]
    assert extra.rows["text"][:] == made(task, rows, tmp_path, augment=1).rows["text"][:]


@pytest.mark.parametrize("augment", [0.0, 1.0])
def test_extra_sentences_of_words_have_no_tag_for_any_word(tmp_path: Path, augment: float) -> None:
    lines = [{"tokens": sentence(n).split(), "tags": ["O"] * len(sentence(n).split())} for n in range(60)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "more.txt").write_text("the  lovely phone\n\nthis plot\n")
    described = {"name": "mine", "kind": "token_classification", "data": str(tmp_path), "labels": ["O", "B-X"]}
    task, data = resolve(described)
    found = made(task, load(task, data, "train").rows, tmp_path, text=tmp_path / "more.txt", augment=augment)
    assert found.rows["text"][:][:2] == [["the", "lovely", "phone"], ["this", "plot"]]
    assert found.facts["rows_augmented"] == (len(found.rows) - 2)
    assert (found.facts["rows_augmented"] > 0) == (augment > 0)
    assert found.facts["extra_rows_left_out"]["empty"] == 1
    assert all(row["label"] == [-100] * len(row["text"]) for row in found.rows)


def test_extra_rows_of_a_multi_label_task_have_no_number_for_any_label(tmp_path: Path) -> None:
    lines = [{"text": sentence(n), "label": ["a"] * (n % 2)} for n in range(60)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    described = {"name": "mine", "multi_label": True, "text": "text", "label": "label", "labels": ["a", "b"]}
    task, data = resolve({**described, "data": str(tmp_path)})
    found = made(task, load(task, data, "train").rows, tmp_path, augment=0.5)
    assert len(found.rows) > 0
    assert all(math.isnan(value) and len(labels) == 2 for labels in found.rows["label"][:] for value in labels)
