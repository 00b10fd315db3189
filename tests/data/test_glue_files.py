"""The GLUE distribution's own files are read as they are, each in its own layout.

The rows are written here, in the layouts of the official files: no text of GLUE is copied.
"""

from __future__ import annotations

import codecs
import logging
from pathlib import Path

import pytest

from compress.core.errors import CompressError
from compress.data.loading import NoSuchSplit, Split, kept_apart, load, resolve


def write(folder: Path, name: str, *rows: str, end: str = "\n", bom: bool = False) -> None:
    """Rows written with `|` for the tab."""
    text = "".join(row.replace("|", "\t") + end for row in rows)
    (folder / name).write_bytes((codecs.BOM_UTF8 if bom else b"") + text.encode())


def read(folder: Path, task: str, split: str = "evaluation") -> Split:
    return load(*resolve({"name": task, "data": str(folder)}), split, cache=folder / "cache")


def columns(split: Split, *names: str) -> list[tuple[object, ...]]:
    return list(zip(*(split.rows[name] for name in names), strict=True))


def test_cola_has_no_header_in_training_and_one_in_test(tmp_path: Path) -> None:
    write(tmp_path, "dev.tsv", "gj04|1||The boat sank.", "gj04|0|*|Boat the sank.")
    write(tmp_path, "test.tsv", "index|sentence", "0|The boat swims.")
    assert columns(read(tmp_path, "cola"), "text", "label") == [("The boat sank.", 1), ("Boat the sank.", 0)]
    test = read(tmp_path, "cola", "test")
    assert test.rows["text"][:] == ["The boat swims."]
    assert not test.is_labelled


def test_sst2_loses_the_space_that_its_rows_end_with(tmp_path: Path) -> None:
    write(tmp_path, "dev.tsv", "sentence|label", "a fine boat |1", "it sank \u2028 at once |0")
    assert columns(read(tmp_path, "sst2"), "text", "label") == [("a fine boat", 1), ("it sank \u2028 at once", 0)]


def test_sst2_reads_the_labelled_test_file_where_it_lies_beside_the_official_one(tmp_path: Path) -> None:
    write(tmp_path, "test.tsv", "index|sentence", "0|a fine boat")
    assert not read(tmp_path, "sst2", "test").is_labelled
    write(tmp_path, "test-labeled.tsv", "sentence|label", "a fine boat|1", end="\r\n")
    assert columns(read(tmp_path, "sst2", "test"), "text", "label") == [("a fine boat", 1)]


def test_quotes_in_mrpc_are_text(tmp_path: Path) -> None:
    header = "Quality|#1 ID|#2 ID|#1 String|#2 String"
    write(tmp_path, "dev.tsv", header, '1|10|11|"We sail , " he said .|He said : " we sail .', bom=True)
    (row,) = columns(read(tmp_path, "mrpc"), "text", "text_pair", "label")
    assert row == ('"We sail , " he said .', 'He said : " we sail .', 1)


def test_mrpc_is_read_from_microsofts_files_as_well(tmp_path: Path) -> None:
    header = "Quality|#1 ID|#2 ID|#1 String|#2 String"
    write(tmp_path, "msr_paraphrase_test.txt", header, "0|10|11|We sail.|We sink.", end="\r\n", bom=True)
    assert columns(read(tmp_path, "mrpc", "test"), "text_pair", "label") == [("We sink.", 0)]


def test_stsb_is_read_in_glues_layout_and_in_that_of_the_benchmark(tmp_path: Path) -> None:
    glue, benchmark = tmp_path / "glue", tmp_path / "benchmark"
    glue.mkdir()
    benchmark.mkdir()
    header = "index|genre|filename|year|old_index|source1|source2|sentence1|sentence2|score"
    write(glue, "dev.tsv", header, "0|g|f|2012|1|none|none|A boat sails.|A ship sails.|4.25")
    write(glue, "test.tsv", header.removesuffix("|score"), "0|g|f|2012|1|none|none|A boat sails.|A ship sails.")
    write(benchmark, "sts-dev.csv", "g|f|2012|1|4.25|A boat sails.|A ship sails.|licence|licence")
    expected = [("A boat sails.", "A ship sails.", 4.25)]
    assert columns(read(glue, "stsb"), "text", "text_pair", "label") == expected
    assert columns(read(benchmark, "stsb"), "text", "text_pair", "label") == expected
    assert not read(glue, "stsb", "test").is_labelled


def test_a_score_outside_the_range_of_stsb_is_a_bad_row(tmp_path: Path) -> None:
    write(tmp_path, "sts-dev.csv", "g|f|2012|1|5.5|A boat.|A ship.")
    with pytest.raises(CompressError, match=r"line 1 \(label '5.5' is not a number from 0 to 5\)"):
        read(tmp_path, "stsb")


def test_qqp_leaves_out_its_cut_off_rows_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    header = "id|qid1|qid2|question1|question2|is_duplicate"
    write(tmp_path, "dev.tsv", header, "1|1|2|Does it float?|Will it float?|1", "2|3|4|Cut off", "3|5|6|Why?||0")
    with caplog.at_level(logging.WARNING):
        found = read(tmp_path, "qqp")
    assert columns(found, "text", "text_pair", "label") == [("Does it float?", "Will it float?", 1), ("Why?", "", 0)]
    left_out = {"bad_rows": 1, "places": ["line 3 (4 columns where 6 are expected)"], "without_label": 0}
    assert found.identity["left_out"] == left_out
    assert "left out 1 bad row: line 3 (4 columns where 6 are expected)" in caplog.text


MNLI = "index|promptID|pairID|genre|sentence1|sentence2|label1|label2|label3|label4|label5|gold_label"


def test_mnli_maps_names_to_ids_and_leaves_out_rows_without_agreement(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def row(sentence: str, gold: str) -> str:
        return f"0|1|1n|fiction|{sentence}|n/a|a|b|c|d|e|{gold}"

    names = ("contradiction", "entailment", "neutral")
    write(tmp_path, "dev_matched.tsv", MNLI, row("Nobody agrees.", "-"), *(row(f"It is {one}.", one) for one in names))
    write(tmp_path, "dev_mismatched.tsv", MNLI, row("Another genre.", "neutral"))
    with caplog.at_level(logging.WARNING):
        found = read(tmp_path, "mnli")
    assert columns(found, "text", "text_pair", "label") == [
        ("It is contradiction.", "n/a", 2),
        ("It is entailment.", "n/a", 0),
        ("It is neutral.", "n/a", 1),
    ]
    assert found.identity["left_out"]["without_label"] == 1
    assert "1 rows whose annotators did not agree" in caplog.text
    assert columns(read(tmp_path, "mnli_mismatched"), "text", "label") == [("Another genre.", 1)]


@pytest.mark.parametrize(
    ("task", "first", "second"), [("qnli", "question", "sentence"), ("rte", "sentence1", "sentence2")]
)
def test_entailment_is_label_0_in_qnli_and_rte(tmp_path: Path, task: str, first: str, second: str) -> None:
    write(tmp_path, "dev.tsv", f"index|{first}|{second}|label", "0|Who?|He.|not_entailment", "1|Who?|She.|entailment")
    assert columns(read(tmp_path, task), "text", "text_pair", "label") == [("Who?", "He.", 1), ("Who?", "She.", 0)]


def test_wnli_has_its_labels_as_numbers(tmp_path: Path) -> None:
    write(tmp_path, "dev.tsv", "index|sentence1|sentence2|label", "0|He fell.|Bob fell.|1")
    assert columns(read(tmp_path, "wnli"), "text", "text_pair", "label") == [("He fell.", "Bob fell.", 1)]


def test_the_hubs_own_column_names_are_read_from_any_format(tmp_path: Path) -> None:
    (tmp_path / "validation.jsonl").write_text('{"question1": "a?", "question2": "b?", "label": 1, "idx": 0}\n')
    assert columns(read(tmp_path, "qqp"), "text", "text_pair", "label") == [("a?", "b?", 1)]


def test_minus_one_hides_a_label_in_test_and_is_an_error_elsewhere(tmp_path: Path) -> None:
    for name in ("test.csv", "dev.csv"):
        (tmp_path / name).write_text("sentence,label\na boat,-1\n")
    assert not read(tmp_path, "sst2", "test").is_labelled
    with pytest.raises(CompressError, match=r"line 2 \(label '-1' is not among negative, positive\)"):
        read(tmp_path, "sst2")


def test_a_test_file_that_is_labelled_in_part_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("sentence,label\na boat,-1\na ship,1\n")
    with pytest.raises(CompressError, match="a label in 1 of 2 rows"):
        read(tmp_path, "sst2", "test")


def test_rows_of_every_measured_split_are_kept_apart_from_training(tmp_path: Path) -> None:
    def row(sentence: str) -> str:
        return f"0|1|1n|fiction|{sentence}|n/a|a|b|c|d|e|neutral"

    write(tmp_path, "train.tsv", MNLI, *(row(f"Sentence {number}.") for number in range(200)))
    write(tmp_path, "dev_matched.tsv", MNLI, row("The same genre."))
    write(tmp_path, "dev_mismatched.tsv", MNLI, row("Another genre."))
    holdout, *measured = kept_apart(*resolve({"name": "mnli", "data": str(tmp_path)}))
    assert len(holdout) > 0
    assert [rows["text"] for rows in measured] == [["The same genre."], ["Another genre."]]


@pytest.mark.parametrize("name", ["reviews", "entities", "topics"])
def test_a_generated_task_has_no_further_split(name: str) -> None:
    task, data = resolve(name)
    assert len(list(kept_apart(task, data))) == 3  # held-out, evaluation and test rows
    with pytest.raises(NoSuchSplit, match="has no evaluation_mismatched split"):
        load(task, data, "evaluation_mismatched")
