"""ROUGE is the reference implementation's, on its published cases and on any text, without a network."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from compress.metrics.lead import lead
from compress.metrics.metric import Undefined, find
from compress.metrics.rouge import scores

KINDS = {"rouge1": "rouge1", "rouge2": "rouge2", "rouge_l": "rougeL", "rouge_lsum": "rougeLsum"}
OUTPUTS = ["the cat sat on the mat", "dogs are running\nbirds flew", "", "nothing shared"]
REFERENCES = ["a cat is sitting on the mat", "birds fly\na dog runs", "a reference", "Ünïcode —"]


def test_scores_are_those_published_for_rouge_1_5_5(real_data: Path) -> None:
    folder = real_data / "data" / "rouge-testdata"
    expected = json.loads((folder / "expected.json").read_text())
    targets, predictions = ((folder / f"{side}.txt").read_text().splitlines() for side in ("target", "prediction"))
    assert len(expected["cases"]) == 11
    for case in expected["cases"]:
        if "line" in case:
            target, prediction = targets[case["line"]], predictions[case["line"]]
        else:
            target, prediction = ((folder / name).read_text() for name in case["files"])
        (found,) = scores(case["type"], [prediction], [target], stem=case["stem"])
        # Published with five digits.
        assert found == pytest.approx((case["p"], case["r"], case["f"]), abs=0.5 * 10 ** -expected["tolerance_places"])


def test_lead_3_of_samsum_has_the_rouge_that_its_readme_states(real_data: Path) -> None:
    rows = json.loads((real_data / "data" / "SAMSum" / "test.json").read_text())[:160]
    leads = [lead(row["dialogue"], by="lines") for row in rows]
    summaries = [row["summary"] for row in rows]
    found = [100 * find(name).score(leads, summaries) for name in ("rouge1", "rouge2", "rouge_l")]
    assert found == pytest.approx([32.0, 8.8, 24.9], abs=0.0501)  # stated with one digit, 24.85 as 24.9


@pytest.mark.parametrize("name", KINDS)
@given(
    pairs=st.lists(
        st.tuples(*[st.text(alphabet="abdeginrs .\nÄ'", max_size=60)] * 2), min_size=1, max_size=4
    )
)  # fmt: skip
def test_any_texts_have_the_f1_of_rouge_score_with_its_own_stemmer(name: str, pairs: list[tuple[str, str]]) -> None:
    reference = RougeScorer([KINDS[name]], use_stemmer=True)
    expected = [reference.score(right, output)[KINDS[name]].fmeasure for output, right in pairs]
    metric = find(name)
    statistics = metric.statistics(*zip(*pairs, strict=True))
    assert metric.per_example(statistics) == pytest.approx(np.array(expected))
    if any(re.search("[a-z]", right.lower()) for _, right in pairs):
        assert metric.score_of(statistics) == pytest.approx(np.mean(expected))
    else:
        with pytest.raises(Undefined, match="has anything that"):
            metric.score_of(statistics)


def test_references_in_a_script_that_rouge_cannot_read_have_no_score_and_one_among_others_scores_zero() -> None:
    for name in KINDS:
        with pytest.raises(Undefined, match=f"None of 2 examples has anything that {find(name).title} can score"):
            find(name).score(["电影 很 好", "สวัสดี"], ["电影 很 好", "สวัสดี"])
        assert find(name).score(["电影 很 好", "a cat"], ["电影 很 好", "a cat"]) == pytest.approx(0.5)
    assert find("chrf").score(["电影 很 好"], ["电影 很 好"]) == pytest.approx(1)
    # As they were measured before the references with words were counted.
    assert find("rouge_l").of_sums(np.array([1.5, 3.0])) == pytest.approx(0.5)


def test_words_are_compared_by_their_stems() -> None:
    output, reference = ["running dogs"], ["a dog runs"]
    assert scores("rouge1", output, reference)[0][0] == 1.0
    assert scores("rouge1", output, reference, stem=False)[0][0] == 0.0


def test_a_text_without_tokens_scores_zero_and_no_texts_at_all_have_no_score() -> None:
    for name in KINDS:
        assert find(name).statistics(OUTPUTS, REFERENCES)[2:, 0].tolist() == [0.0, 0.0]
        with pytest.raises(Undefined, match="no examples"):
            find(name).score([], [])
        with pytest.raises(ValueError, match="2 outputs and 1 references"):
            find(name).score(["a", "b"], ["a"])


def test_rouge_lsum_takes_lines_for_sentences_and_one_line_for_one_sentence() -> None:
    lsum, longest = find("rouge_lsum"), find("rouge_l")
    # Stems shared by a line and any other line: dog, run, bird, of five words on either side. In one order: dog, run.
    assert lsum.score([OUTPUTS[1]], [REFERENCES[1]]) == pytest.approx(3 / 5)
    assert longest.score([OUTPUTS[1]], [REFERENCES[1]]) == pytest.approx(2 / 5)
    assert longest.score(OUTPUTS[:1], REFERENCES[:1]) == lsum.score(OUTPUTS[:1], REFERENCES[:1])


def test_the_signature_tells_of_stemming_and_sentences() -> None:
    assert "|stemmer:porter|" in find("rouge1").signature()
    assert "sentences:lines" in find("rouge_lsum").signature()
    assert "sentences" not in find("rouge_l").signature()


def test_no_network_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refused)
    for name in (*KINDS, "bleu", "chrf"):
        assert 0 < find(name).score(OUTPUTS, REFERENCES) < 1
