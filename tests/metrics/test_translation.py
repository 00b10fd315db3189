"""BLEU and chrF are sacrebleu's own, from counts of each example that add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF

from compress.core.errors import CompressError
from compress.metrics import bleu as bleu_file
from compress.metrics import chrf as chrf_file
from compress.metrics.bleu import bleu
from compress.metrics.metric import Undefined, find

# Hypotheses and references of sacrebleu's own test of its API and signatures, and one that is short.
OUTPUTS = [
    "The dog bit the man.",
    "It wasn't surprising.",
    "The man had just bitten him.",
    "Yes.",
]
REFERENCES = [
    "The dog had bit the man.",
    "No one was surprised.",
    "The man had bitten the dog.",
    "No, not at all.",
]
THEIRS = {"bleu": BLEU, "chrf": CHRF}
words = st.text(alphabet="ab cdé.,'", max_size=30)


@pytest.mark.parametrize("name", THEIRS)
@given(pairs=st.lists(st.tuples(words, words.filter(str.strip)), min_size=1, max_size=6))
def test_any_set_has_the_score_of_sacrebleus_public_function(name: str, pairs: list[tuple[str, str]]) -> None:
    outputs, references = (list(side) for side in zip(*pairs, strict=True))
    expected = THEIRS[name]().corpus_score(outputs, [references]).score
    assert 100 * find(name).score(outputs, references) == pytest.approx(expected, abs=1e-9)


def test_summed_counts_have_the_bleu_of_sacrebleus_own_test() -> None:
    lengths, right, all_grams = [11, 11], [9, 7, 5, 3], [10, 8, 6, 4]
    assert find("bleu").of_sums(np.array([*lengths, *right, *all_grams], float)) == pytest.approx(0.8375922397)


@pytest.mark.parametrize(
    ("outputs", "references", "expected"),
    [(["a b c"], ["abc"], 100.0), (["aa"], ["ab"], 25.0), (["a", "b"], ["a", "c"], 50.0), ([""], ["reference"], 0.0)],
)
def test_chrf_has_the_values_of_sacrebleus_own_test(outputs: list[str], references: list[str], expected: float) -> None:
    """Its cases are for another beta, but these have as much precision as recall, so beta does not matter."""
    assert 100 * find("chrf").score(outputs, references) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", THEIRS)
@given(drawn=st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_examples_drawn_more_than_once_score_as_if_they_stood_there_so_often(name: str, drawn: list[int]) -> None:
    metric = find(name)
    rows = metric.statistics(OUTPUTS, REFERENCES)
    outputs, references = ([side[i] for i in drawn] for side in (OUTPUTS, REFERENCES))
    expected = THEIRS[name]().corpus_score(outputs, [references]).score
    assert 100 * metric.of_sums(rows[drawn].sum(axis=0)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", THEIRS)
def test_the_signature_is_sacrebleus(name: str) -> None:
    theirs = THEIRS[name]()
    theirs.corpus_score(OUTPUTS, [REFERENCES])
    assert find(name).signature() == str(theirs.get_signature())


@pytest.mark.parametrize("name", THEIRS)
def test_a_perfect_translation_has_one_an_alien_one_nothing_and_no_reference_no_score(name: str) -> None:
    assert find(name).score(OUTPUTS[:3], OUTPUTS[:3]) == pytest.approx(1.0)
    assert find(name).score(["xxxx"] * 4, REFERENCES) == 0.0
    assert find(name).score([""] * 4, REFERENCES) == 0.0
    with pytest.raises(Undefined, match="None of 2 examples"):
        find(name).score(["a", "b"], ["", ""])
    with pytest.raises(Undefined, match="no examples"):
        find(name).score([], [])


def test_the_columns_name_what_is_counted() -> None:
    for name, columns in (("bleu", bleu_file.COLUMNS), ("chrf", chrf_file.COLUMNS)):
        assert find(name).statistics(OUTPUTS, REFERENCES).shape == (len(OUTPUTS), len(columns))
        assert find(name).statistics([], []).shape == (0, len(columns))
    counts = dict(zip(bleu_file.COLUMNS, find("bleu").statistics(OUTPUTS, REFERENCES).sum(axis=0), strict=True))
    theirs = BLEU().corpus_score(OUTPUTS, [REFERENCES])
    assert counts["output_length"] == theirs.sys_len
    assert counts["reference_length"] == theirs.ref_len
    assert [counts[f"right_{n}_grams"] for n in (1, 2, 3, 4)] == theirs.counts
    assert [counts[f"all_{n}_grams"] for n in (1, 2, 3, 4)] == theirs.totals


def test_a_language_without_spaces_gets_its_own_tokenizer() -> None:
    output, reference = ["我们今天去北京"], ["我们明天去北京"]
    assert bleu().score(output, reference) == 0.0  # one word, and a wrong one
    for name in ("Chinese", "zh", "zh_CN"):
        assert bleu(name).score(output, reference) > 0.2
        assert "tok:zh" in bleu(name).signature()
    for name in ("", "German", "de"):
        assert "tok:13a" in bleu(name).signature()


def test_a_tokenizer_that_is_missing_is_named_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sacrebleu.metrics

    def missing(**_: str) -> None:
        raise RuntimeError("Please install the extra")

    bleu_file._scorer.cache_clear()
    monkeypatch.setattr(sacrebleu.metrics, "BLEU", missing)
    with pytest.raises(CompressError, match=r"pip install 'sacrebleu\[ja\]'"):
        bleu("Japanese").score(["a"], ["a"])
    bleu_file._scorer.cache_clear()
