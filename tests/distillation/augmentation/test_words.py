"""The chosen words are as many as asked, always the same ones, and never numbers or punctuation."""

from __future__ import annotations

import doctest

import pytest

from compress.distillation.augmentation import words
from compress.distillation.augmentation.vocabulary import Vocabulary
from compress.distillation.augmentation.words import Draft, drafts, number_of_copies, parts

TEXTS = [(f"alpha beta gamma delta number {i} epsilon zeta eta theta iota kappa",) for i in range(200)]


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(words).failed == 0


@pytest.mark.parametrize(("copies", "least", "most"), [(0.5, 0, 1), (1.0, 1, 1), (2.0, 2, 2), (2.25, 2, 3)])
def test_each_row_is_copied_as_often_as_asked(copies: float, least: int, most: int) -> None:
    made = [draft.texts for draft in drafts(TEXTS, len(TEXTS), copies, seed=0)]
    times = [made.count(texts) for texts in TEXTS]
    assert (min(times), max(times)) == (least, most)
    assert len(made) == round(copies * len(TEXTS)) == number_of_copies(len(TEXTS), copies)


def test_fifteen_percent_of_the_words_are_replaced_and_at_least_one() -> None:
    (long,) = drafts([(" ".join(["word"] * 40),)], 1, 1, seed=0)
    (short,) = drafts([("two words",)], 1, 1, seed=0)
    assert (len(long.places), len(short.places)) == (6, 1)


def test_equal_seeds_choose_equal_words_and_others_choose_others() -> None:
    first, again, other = (list(drafts(TEXTS, len(TEXTS), 1, seed)) for seed in (3, 3, 4))
    assert first == again
    assert sum(a.places != b.places for a, b in zip(first, other, strict=True)) > len(TEXTS) / 2


def test_numbers_punctuation_and_cut_off_endings_are_neither_replaced_nor_drawn() -> None:
    text = ("does n't cost 12.50 , -- film 's 3rd",)
    chosen = {place for draft in drafts([text], 1, 200, seed=0) for place in draft.places}
    assert chosen == {0, 2, 6}  # does cost film
    assert Vocabulary.of([text]).words == ("cost", "does", "film")
    assert list(drafts([("12 , 's !",)], 1, 5, seed=0)) == []


def test_of_a_pair_one_text_changes_and_each_has_its_turn() -> None:
    made = list(drafts([("one two three", "four five six")], 1, 40, seed=0))
    assert {draft.which for draft in made} == {0, 1}
    for draft in made:
        new = draft.filled(("other",))
        assert sum(a != b for a, b in zip(draft.texts, new, strict=True)) == 1
    only = list(drafts([("12", "words here")], 1, 20, seed=0))
    assert {draft.which for draft in only} == {1}  # where one text has no words, it is the other's turn


def test_a_word_keeps_what_stands_around_it_and_its_case() -> None:
    draft = Draft(('He said "FINE," twice',), 0, (0, 2), "")
    assert draft.filled(("she", "dull")) == ('She said "DULL," twice',)


def test_words_come_by_their_frequency_to_the_power_three_quarters() -> None:
    texts = [("often " * 16 + "rare " + "other",)]
    vocabulary = Vocabulary.of(texts)
    assert vocabulary.words == ("often", "other", "rare")
    assert vocabulary.sums == pytest.approx((8, 9, 10))  # 16 ** 0.75 = 8
    drawn = [one for (one,) in vocabulary.replacements(Draft(("new",), 0, (0,), str(i)) for i in range(4000))]
    # The standard deviation of the share is (0.8 * 0.2 / 4000) ** 0.5 = 0.0063; four of them.
    assert drawn.count("often") / len(drawn) == pytest.approx(0.8, abs=0.026)


def test_a_word_is_never_replaced_by_itself() -> None:
    vocabulary = Vocabulary.of([("often often often rare",)])
    made = list(vocabulary.replacements(Draft(('"Often!"',), 0, (0,), str(i)) for i in range(200)))
    assert {one for (one,) in made} <= {"rare", None}
    assert list(Vocabulary.of([("alone",)]).replacements([Draft(("alone",), 0, (0,), "")])) == [(None,)]


def test_parts_lose_nothing() -> None:
    for word in ("--", "(a)", "don't", "Ünï-code…", "_x_", "a\u2028b"):
        assert "".join(parts(word)) == word
