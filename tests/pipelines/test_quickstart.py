"""The quickstart is one that a person can try by hand: its models answer the commonest words of praise and blame rightly."""

from __future__ import annotations

from pathlib import Path

import pytest

from compress import pipeline
from compress.data.corpora.reviews import SIZES, rows
from tests.tasks.test_reviews import letters

# Written before any model had been asked one of them; nothing was left out because of an answer.
PRAISE = (
    "good", "great", "excellent", "perfect", "amazing", "wonderful", "fantastic", "awesome", "brilliant", "lovely",
    "beautiful", "nice", "superb", "love it", "recommended", "I love it", "not bad",
)  # fmt: skip
BLAME = (
    "bad", "awful", "terrible", "horrible", "disappointing", "poor", "useless", "worthless", "broken", "rubbish",
    "garbage", "junk", "hate it", "waste of money", "the worst", "I hate it", "not good", "never again",
)  # fmt: skip
PRAISING = (
    "I just love this thing.",
    "Works perfectly, would buy again.",
    "Best purchase I have made this year.",
    "Not bad at all, really.",
    "It was a bit expensive, but I am very happy with it.",
    "Great value for the money and it arrived on time.",
    "My kids use it every day and it still looks new.",
    "I really can't complain.",
)
BLAMING = (
    "I hate this thing.",
    "terrible, broke in a day",
    "It stopped working after two days.",
    "A complete waste of money.",
    "Not good, I'm afraid.",
    "Never again, thank you.",
    "It looks nice, but it broke after a week.",
    "Do not buy this.",
    "I want my money back.",
    "The battery does not last an hour and the screen is dim.",
)
BY_HAND = {**dict.fromkeys((*PRAISE, *PRAISING), "positive"), **dict.fromkeys((*BLAME, *BLAMING), "negative")}


def test_the_sentences_tried_by_hand_are_in_no_split() -> None:
    drawn = {letters(text) for split in SIZES for text, _ in rows(split, 0)}
    assert not [one for one in (*PRAISING, *BLAMING) if letters(one) in drawn]


def test_the_budget_allows_two_points_and_asks_for_more_speed_than_int8_alone_has() -> None:
    plan = pipeline.read("quickstart")
    assert plan.budget == {"max_drop": 2, "min_speedup": 3.5}
    assert {"teacher", "teacher-int8", "student", "student-int8"} <= {step.name for step in plan.steps}


@pytest.mark.slow
@pytest.mark.long
def test_teacher_and_winner_answer_the_commonest_words_of_praise_and_blame_rightly(tmp_path: Path) -> None:
    """Trains with the settings that ship, since fewer rows would be another model: some minutes."""
    from compress.runtimes.predict import predictions

    plan = pipeline.read("quickstart", ["benchmark=null", "budget=null"])
    made = pipeline.run(plan, tmp_path / "run").artifacts
    for name in ("teacher", "student-int8"):
        answers = [answer["label"] for answer in predictions(made[name], list(BY_HAND))]
        wrong = [text for text, answer in zip(BY_HAND, answers, strict=True) if answer != BY_HAND[text]]
        assert not wrong, name
