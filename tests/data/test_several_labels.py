"""Rows with several labels: a tag for each word, or any number of the task's labels for a text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.data import leakage
from compress.data.loading import Split, described_task, load, resolve
from tests.tabular import WRITERS, as_csv, as_jsonl

SENTENCES = [
    {"tokens": ["Ada", "sails", "to", "Oslo", "."], "tags": ["B-PER", "O", "O", "B-LOC", "O"]},
    {"tokens": ["No", "wind"], "tags": ["O", "O"]},
]
TAGS = ("O", "B-LOC", "B-PER", "I-LOC", "I-PER")


def as_conll(path: Path, sentences: list[dict[str, Any]]) -> None:
    lines = (zip(one["tokens"], one["tags"], strict=True) for one in sentences)
    path.write_text("\n".join("".join(f"{word} {tag}\n" for word, tag in one) for one in lines))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def tagged(file: Path, split: str = "evaluation", **more: Any) -> Split:
    return load(*resolve({"name": "mine", "kind": "token-classification", "data": {split: str(file)}, **more}), split)


def several(file: Path, split: str = "evaluation", **more: Any) -> Split:
    base = {"name": "mine", "kind": "multi_label_classification", "text": "text", "data": {split: str(file)}}
    return load(*resolve({**base, **more}), split)


@pytest.mark.parametrize("ending", ["conll", "bio", "iob2", "txt", "tsv", "jsonl", "json", "parquet"])
def test_every_format_of_tagged_words_gives_the_same_rows(tmp_path: Path, ending: str) -> None:
    WRITERS.get(ending, as_conll)(tmp_path / f"a.{ending}", SENTENCES)
    found = tagged(tmp_path / f"a.{ending}")
    assert found.rows["text"][:] == [row["tokens"] for row in SENTENCES]
    assert found.rows["label"][:] == [[2, 0, 0, 1, 0], [0, 0]]
    assert found.rows.column_names == ["text", "label", "row_hash"]


def test_tags_are_found_in_the_training_rows_and_the_split_is_recorded(tmp_path: Path) -> None:
    as_conll(tmp_path / "train.conll", SENTENCES)
    as_conll(tmp_path / "dev.conll", [{"tokens": ["Bo"], "tags": ["B-PER"]}])
    description = {"name": "mine", "kind": "token-classification", "data": str(tmp_path)}
    task, data = resolve(description)
    assert (task.label_names, task.labels_from, task.metrics) == (TAGS, "train", ("entity_f1",))
    assert load(task, data, "evaluation").identity["labels_from"] == "train"
    kept = described_task(description).description
    other = resolve({**kept, "data": {"evaluation": str(tmp_path / "dev.conll")}})[0]
    assert (other.label_names, other.labels_from) == (TAGS, "train"), (
        "a model's tags are not those of what it is measured on"
    )


def test_ids_of_tags_need_their_names(tmp_path: Path) -> None:
    as_jsonl(tmp_path / "a.jsonl", [{"words": ["Ada", "sails"], "ner_tags": [2, 0]}])
    columns = {"text": "words", "label": "ner_tags"}
    with pytest.raises(CompressError, match=r"which are ids. Name them in task 'mine'"):
        tagged(tmp_path / "a.jsonl", **columns)
    assert tagged(tmp_path / "a.jsonl", **columns, labels=list(TAGS)).rows["label"][:] == [[2, 0]]


def test_the_column_of_tags_is_chosen_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("Ada NNP I-NP B-PER\nsails VBZ I-VP O\n")
    found = tagged(tmp_path / "a.conll", label=2, labels=["NNP", "VBZ"])
    assert found.rows["label"][:] == [[0, 1]]
    with pytest.raises(CompressError, match="has no column 'ner'.* Its columns: 1, 2, 3, 4, tokens, tags"):
        tagged(tmp_path / "a.conll", label="ner", labels=["NNP", "VBZ"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tokens": ["Ada", "sails"], "tags": ["O"]}, "2 words and 1 tag"),
        ({"tokens": [], "tags": []}, "'tokens' has no words"),
        ({"tokens": ["", " "], "tags": ["O", "O"]}, "no words but empty ones"),
        ({"tokens": ["Ada", 7], "tags": ["O", "O"]}, "word 2 of 'tokens' is 7, not a text"),
        ({"tokens": "Ada sails", "tags": ["O", "O"]}, "'tokens' is 'Ada sails', not a list of words"),
        ({"tokens": ["Ada"], "tags": "O"}, "'tags' is 'O', not a list of tags"),
        ({"tokens": ["Ada"], "tags": ["B-ORG"]}, "label 'B-ORG' of word 1 is not among O, B-LOC"),
        ({"tokens": ["Ada"], "tags": [9]}, "label 9 of word 1 is not among"),
    ],
)
def test_a_sentence_that_cannot_be_read_is_a_bad_row_with_its_line(tmp_path: Path, row: Any, message: str) -> None:
    as_jsonl(tmp_path / "a.jsonl", [SENTENCES[0], row])
    with pytest.raises(CompressError, match=f"a.jsonl has 1 bad row of 2: line 2 .*{message}"):
        tagged(tmp_path / "a.jsonl", labels=list(TAGS))
    left = tagged(tmp_path / "a.jsonl", labels=list(TAGS), bad_rows="skip")
    assert (len(left.rows), left.identity["left_out"]["bad_rows"]) == (1, 1)


def test_an_unknown_tag_in_a_conll_file_is_named_with_its_own_line(tmp_path: Path) -> None:
    as_conll(tmp_path / "a.conll", [*SENTENCES, {"tokens": ["an", "owl"], "tags": ["O", "B-PET"]}])
    with pytest.raises(CompressError, match="line 11 .label 'B-PET' of word 2 is not among"):
        tagged(tmp_path / "a.conll", labels=list(TAGS))


def test_labels_that_are_types_of_entities_are_pointed_to_their_tags(tmp_path: Path) -> None:
    as_conll(tmp_path / "a.conll", SENTENCES)
    with pytest.raises(
        CompressError, match="'B-PER' of word 1 is not among O, PER, LOC; name the tags themselves, as B-PER and"
    ):
        tagged(tmp_path / "a.conll", labels=["O", "PER", "LOC"])


def test_a_test_split_without_tags_has_hidden_labels(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("Ada\nsails\n\nNo\n")
    found = tagged(tmp_path / "a.conll", "test", labels=list(TAGS))
    assert not found.is_labelled
    assert found.rows["text"][:] == [["Ada", "sails"], ["No"]]


def test_a_sentence_never_lies_on_both_sides_however_it_was_split_into_words(tmp_path: Path) -> None:
    both = [words for n in range(200) for words in ([f"do n't sail {n}"], ["don't", "sail", str(n)])]
    rows = [{"tokens": words, "tags": ["O"] * len(words)} for words in both]
    as_jsonl(tmp_path / "train.jsonl", rows)
    described = {"name": "mine", "kind": "token-classification", "data": str(tmp_path), "holdout": 0.5}
    task, data = resolve({**described, "labels": ["O", "X"]})
    sides = [
        {"".join(" ".join(words).split()) for words in load(task, data, name).rows["text"]}
        for name in ("train", "holdout")
    ]
    assert sides[0]
    assert sides[1]
    assert not {one.replace("'", "") for one in sides[0]} & {one.replace("'", "") for one in sides[1]}


def test_tagged_rows_that_stand_in_the_training_rows_are_counted(tmp_path: Path) -> None:
    as_jsonl(
        tmp_path / "train.jsonl",
        [{**SENTENCES[0], "tokens": [*SENTENCES[0]["tokens"][:3], f"town{n}", "."]} for n in range(40)],
    )
    as_jsonl(tmp_path / "dev.jsonl", [{"tokens": ["Ada", "sails to", "town7."], "tags": ["O", "O", "O"]}, SENTENCES[1]])
    task, data = resolve({"name": "mine", "kind": "token-classification", "data": str(tmp_path), "allow_overlap": True})
    found = leakage.check(task, data)
    assert found is not None
    assert (found.rows, found.exactly, found.nearly) == (2, 0, 1)


def test_a_limit_draws_tagged_rows(tmp_path: Path) -> None:
    as_jsonl(tmp_path / "a.jsonl", [{"tokens": ["word", str(n)], "tags": ["O", "O"]} for n in range(50)])
    assert len(tagged(tmp_path / "a.jsonl", labels=["O", "X"], limit={"evaluation": 9}).rows) == 9


LABELS = ["angry", "late", "money"]
ROWS = [("where is it", ["late", "angry"]), ("thanks", []), ("pay me back", ["money"])]
ONES = [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]


@pytest.mark.parametrize("ids", [False, True])
def test_a_list_of_names_or_ids_is_a_set_of_labels_and_an_empty_one_is_no_label(tmp_path: Path, ids: bool) -> None:
    rows = [{"text": text, "label": [LABELS.index(one) if ids else one for one in given]} for text, given in ROWS]
    as_jsonl(tmp_path / "a.jsonl", rows)
    assert several(tmp_path / "a.jsonl", label="label", labels=LABELS).rows["label"][:] == ONES


def test_a_cell_of_separated_labels_is_a_set_of_labels(tmp_path: Path) -> None:
    as_csv(tmp_path / "a.csv", [{"text": text, "label": " ; ".join(given)} for text, given in ROWS])
    assert several(tmp_path / "a.csv", label="label", labels=LABELS, label_separator=";").rows["label"][:] == ONES
    with pytest.raises(CompressError, match="'late ; angry' is not among .*; set `label_separator`"):
        several(tmp_path / "a.csv", label="label", labels=LABELS)


@pytest.mark.parametrize("columns", [{}, {"label": LABELS, "labels": ["cross", "slow", "costs"]}, {"label": LABELS}])
def test_a_column_of_0_and_1_for_each_label_is_a_set_of_labels(tmp_path: Path, columns: Any) -> None:
    rows = [{"text": text} | {one: int(one in given) for one in LABELS} for text, given in ROWS]
    as_csv(tmp_path / "a.csv", rows)
    assert several(tmp_path / "a.csv", **(columns or {"labels": LABELS})).rows["label"][:] == ONES
    as_csv(tmp_path / "b.csv", [{**rows[0], "late": 2}])
    with pytest.raises(CompressError, match="'late' is '2', not 0 or 1"):
        several(tmp_path / "b.csv", labels=LABELS)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (["late", "early"], "label 'early' is not among"),
        (["late", "late"], "has the label 'late' twice"),
        ([0, 1, 1], "has the label 'late' twice; a list holds labels, not one 0 or 1 for each"),
        (None, "'label' is empty; no label is an empty list"),
        ({"late": 1}, "is an object; name its fields"),
    ],
)
def test_labels_that_cannot_be_read_are_a_bad_row(tmp_path: Path, cell: Any, message: str) -> None:
    as_jsonl(tmp_path / "a.jsonl", [{"text": "thanks", "label": []}, {"text": "so late", "label": cell}])
    with pytest.raises(CompressError, match=f"line 2 .*{message}"):
        several(tmp_path / "a.jsonl", label="label", labels=LABELS)


def test_a_list_in_a_single_label_task_points_to_the_setting(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "where", "label": ["late", "angry"]}) + "\n")
    with pytest.raises(CompressError, match="several labels in one row take `multi_label: true`"):
        several(tmp_path / "a.jsonl", kind="text-classification", label="label", labels=LABELS)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"kind": "text-classification"}, "classification"),
        ({"kind": "text-classification", "multi_label": True}, "multi_label_classification"),
        ({"multi_label": True}, "multi_label_classification"),
        ({"kind": "multi-label-classification"}, "multi_label_classification"),
        ({"label": ["angry", "late", "money"]}, "multi_label_classification"),
        ({"kind": "token-classification"}, "token_classification"),
    ],
)
def test_kinds_have_the_hubs_names_too(given: Any, kind: str) -> None:
    description = {"name": "mine", "data": "x", "text": "t", "label": "l", "labels": LABELS}
    assert resolve({**description, **given})[0].kind == kind


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"multi_label": True, "kind": "regression"}, "`multi_label: true` contradicts `kind: regression`"),
        ({"multi_label": "maybe"}, "`multi_label` is true or false"),
        ({"label": ["a", "b"], "labels": ["x", "y", "z"]}, "2 columns and 3 labels"),
        ({"multi_label": True, "label_separator": 7}, "`label_separator` is a text"),
        ({"label_separator": ";"}, "Unknown setting 'label_separator'"),
        ({"kind": "token-classification", "range": [0, 1]}, "`range` is for a regression"),
        ({"kind": "token-classification", "data": {"train": "a.csv"}}, "a.csv has no known format. Use one of .conll"),
    ],
)
def test_a_mistake_in_the_description_is_named(given: Any, message: str) -> None:
    description = {"name": "mine", "data": "x", "text": "t", "label": "l", "labels": LABELS}
    with pytest.raises(CompressError, match=message):
        resolve({**description, **given})


@pytest.mark.parametrize("kind", ["tagged", "several"])
def test_both_kinds_are_calibrated_and_compared_on_their_texts(tmp_path: Path, kind: str) -> None:
    from transformers import BertConfig

    from compress.data import calibration, comparison_rows
    from tests.tiny import write_tokenizer

    words = ["the", "good", "film"]
    if kind == "tagged":
        rows: list[dict[str, Any]] = [{"tokens": [*words, str(n)], "tags": ["O", "O", "B-X", "O"]} for n in range(40)]
        task = {"name": "mine", "kind": "token_classification", "data": str(tmp_path)}
    else:
        rows = [{"text": f"the good film {n}", "label": ["b"] * (n % 2)} for n in range(40)]
        task = {"name": "mine", "multi_label": True, "text": "text", "label": "label", "labels": ["a", "b"]}
        task |= {"data": str(tmp_path)}
    as_jsonl(tmp_path / "train.jsonl", rows)
    tokenizer, config = write_tokenizer(tmp_path), BertConfig(max_position_embeddings=64)
    batch = calibration.tensors("task-256", described_task(task), tokenizer, config, labels=True)[0]
    assert batch["labels"].shape == (32, *((6,) if kind == "tagged" else (2,)))
    assert batch["input_ids"].shape == (32, 6)
    found, where = comparison_rows.rows(tokenizer, config, described_task(task))
    assert (len(found), where) == (comparison_rows.ROWS, "mine, train")
    assert all(set(row) == {"input_ids", "attention_mask", "token_type_ids"} for row in found)
