"""The arms for generative models: a summarizer whose teacher does harm, and a decoder on text that it generated itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs import Job
from plan import Arm, Choice, Contrast, Entry, Make, Settings

SUMMARIZER, DECODER = "bart-samsum", "stories260k"
OWN_TEXT = "own-text"
ROWS = 4000
RECIPES: Mapping[str, Settings] = {
    "word-level": {"alpha": 0.5},
    "sharpened": {"alpha": 0.5, "temperature": 0.5},
    "alpha-0.2": {"alpha": 0.2},
    "sharpened-alpha-0.2": {"alpha": 0.2, "temperature": 0.5},
    "without-smoothing": {"alpha": 0.5, "tuned": True},
    "sequence-level": {"alpha": 0.0, "sequence_kd": 0.25, "beams": 4},
}
"""Ways to learn from the summarizer, which was trained with label smoothing. `tuned`: from one more epoch of it without."""


def samsum(rows: int | None = ROWS) -> dict[str, Any]:
    """The task as the summarizer was trained on it; the same rows for every seed, whose teacher's outputs are kept."""
    limit = {"limit": {"train": rows}} if rows else {}
    return {"name": "samsum", "data": "SAMSum", "line_end": " | ", "max_source": 256, **limit}


def summarizer(name: str, seed: int, given: Settings, rows: int | None = ROWS) -> Job:
    """A student of 3 encoder and 2 decoder layers, one epoch."""
    settings = {
        "encoder_layers": 3,
        "decoder_layers": 2,
        "epochs": 1.0,
        "learning_rate": 3e-4,
        "keep_checkpoint": "last",
        **{key: value for key, value in given.items() if key != "tuned"},
        "seed": seed,
    }
    return Job(name, "distill", _tuned() if given.get("tuned") else SUMMARIZER, samsum(rows), settings)


def _tuned() -> Job:
    settings = {"epochs": 1.0, "learning_rate": 5e-5, "keep_checkpoint": "last", "label_smoothing": 0.0, "seed": 0}
    return Job("tuned-summarizer", "finetune", SUMMARIZER, samsum(), settings)


def _of_summarizer(rows: int | None) -> Make:
    return lambda name, seed, settings, chosen: summarizer(name, seed, settings, rows)


def _without_summarizer(rows: int | None) -> Make:
    """The same students without their teacher, from the same start."""
    return lambda name, seed, settings, chosen: summarizer(
        name, seed, {"alpha": 0.0, "tuned": settings.get("tuned", False)}, rows
    )


LOSSES: Mapping[str, Settings] = {
    "plain": {"alpha": 0.0},
    "forward": {"alpha": 1.0},
    "reverse": {"alpha": 1.0, "divergence": "reverse_kl"},
    "jsd": {"alpha": 1.0, "divergence": "jsd"},
    "on-policy": {"alpha": 1.0, "on_policy": 0.5},
}
RATES = {f"{rate:g}": {"learning_rate": rate} for rate in (1e-3, 2e-3, 4e-3)}


def decoder(name: str, seed: int, *given: Settings) -> Job:
    """A student of 3 of the decoder's 5 layers, three epochs."""
    settings: dict[str, Any] = {"layers": 3, "epochs": 3.0, "max_length": 256, "keep_checkpoint": "last", "seed": seed}
    task = {"name": OWN_TEXT, "kind": "language_modelling", "data": OWN_TEXT, "separate": True, "holdout": 0.15}
    return Job(name, "distill", DECODER, task, settings | {key: value for one in given for key, value in one.items()})


def _of_decoder(loss: str) -> Make:
    return lambda name, seed, settings, chosen: decoder(name, seed, LOSSES[loss], settings)


def _rate_of(loss: str) -> Choice:
    return Choice(
        f"decoder-{loss}",
        f"learning rate of a decoder's student, {loss}",
        RATES,
        _of_decoder(loss),
        minutes=2 if loss == "on-policy" else 0.8,
    )


def _arm_of(loss: str, summary: str) -> Arm:
    return Arm(
        f"decoder-{loss}",
        f"decoder's student on its teacher's own text: {summary}",
        _of_decoder(loss),
        minutes=2.2 if loss == "on-policy" else 1,
        choice=f"decoder-{loss}",
        splits=("holdout", "evaluation"),
        judged_on=("evaluation",),
    )


E_QUESTION = "(e) A summarizer whose teacher was trained with label smoothing"
F_QUESTION = "(f) A decoder on its own text"
SUMMARIZER_CHOICE = "summarizer"


def _summaries(name: str, summary: str, job: Make, minutes: float) -> Arm:
    """An arm that is judged on the 819 dialogues of the test split alone.

    The given summarizer was trained on all rows that could be held out of the training split, which would favour its students.
    Recipes are chosen on the 818 validation dialogues in their place.
    """
    return Arm(name, summary, job, minutes, SUMMARIZER_CHOICE, splits=("evaluation", "test"), judged_on=("test",))


SUMMARIES = (
    Entry(
        E_QUESTION,
        Choice(
            SUMMARIZER_CHOICE,
            "how a student learns from the summarizer, 4,000 dialogues",
            RECIPES,
            _of_summarizer(ROWS),
            minutes=8.5,
            split="evaluation",
        ),
    ),
    Entry(
        E_QUESTION,
        arms=(
            _summaries(
                "summarizer-best",
                "student of the summarizer, 4,000 dialogues, the best way to learn from it",
                _of_summarizer(ROWS),
                minutes=7,
            ),
            _summaries(
                "summarizer-plain", "the same student without its teacher", _without_summarizer(ROWS), minutes=7
            ),
        ),
    ),
)
OWN_TEXTS = (
    *(Entry(F_QUESTION, _rate_of(loss)) for loss in LOSSES),
    Entry(
        F_QUESTION,
        arms=(
            _arm_of("plain", "without its teacher"),
            _arm_of("forward", "forward KL"),
            _arm_of("reverse", "reverse KL"),
            _arm_of("jsd", "Jensen-Shannon"),
            _arm_of("on-policy", "forward KL, half of the batches its own samples"),
        ),
    ),
)
ALL_SUMMARIES = (
    Entry(
        E_QUESTION,
        arms=(
            _summaries(
                "summarizer-best-all",
                "student of the summarizer, all dialogues, the way that was best with 4,000",
                _of_summarizer(None),
                minutes=24,
            ),
            _summaries(
                "summarizer-plain-all",
                "the same student without its teacher, all dialogues",
                _without_summarizer(None),
                minutes=22,
            ),
        ),
    ),
)
CONTRASTS = (
    Contrast("a summarizer trained with label smoothing; 4,000 dialogues", "summarizer-best", "summarizer-plain"),
    Contrast("the same; all 14,000 dialogues", "summarizer-best-all", "summarizer-plain-all"),
    *(
        Contrast(f"a decoder on its own text: {words}", f"decoder-{loss}", "decoder-plain")
        for loss, words in (
            ("forward", "forward KL"),
            ("reverse", "reverse KL"),
            ("jsd", "Jensen-Shannon"),
            ("on-policy", "half of the batches its own samples"),
        )
    ),
)
