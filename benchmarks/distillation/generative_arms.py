"""The arms for generative models: a summarizer whose teacher does harm, and a decoder on text that it wrote itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs import Job
from plan import TRIAL_SEED, Arm, Choice, Chosen, Contrast, Entry, Settings

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


def _rate_of(loss: str) -> Choice:
    return Choice(
        f"decoder-{loss}",
        f"learning rate of a decoder's student, {loss}",
        RATES,
        lambda name, one, chosen: decoder(name, TRIAL_SEED, LOSSES[loss], one),
        minutes=2 if loss == "on-policy" else 0.8,
    )


def _arm_of(loss: str, summary: str) -> Arm:
    return Arm(
        f"decoder-{loss}",
        f"decoder's student on its teacher's own text: {summary}",
        lambda name, seed, chosen: decoder(name, seed, LOSSES[loss], chosen(f"decoder-{loss}")),
        minutes=2.2 if loss == "on-policy" else 1,
        splits=("holdout", "evaluation"),
        judged_on=("evaluation",),
    )


E_QUESTION = "(e) A summarizer whose teacher was trained with label smoothing"
F_QUESTION = "(f) A decoder on its own text"
SUMMARY_SPLITS = {"splits": ("evaluation", "test"), "judged_on": ("test",)}
"""The given summarizer was trained on all rows that could be held out of the training split, so that they favour its students.
Recipes are chosen on the 818 validation dialogues in their place, and judged on the 819 of the test split."""


def _plain(name: str, seed: int, chosen: Chosen, rows: int | None = ROWS) -> Job:
    """Without its teacher, from the same start."""
    return summarizer(name, seed, {"alpha": 0.0, "tuned": chosen("summarizer").get("tuned", False)}, rows)


SUMMARIES = (
    Entry(
        E_QUESTION,
        Choice(
            "summarizer",
            "how a student learns from the summarizer, 4,000 dialogues",
            RECIPES,
            lambda name, one, chosen: summarizer(name, TRIAL_SEED, one),
            minutes=8.5,
            split="evaluation",
        ),
    ),
    Entry(
        E_QUESTION,
        arms=(
            Arm(
                "summarizer-best",
                "student of the summarizer, 4,000 dialogues, what won",
                lambda name, seed, chosen: summarizer(name, seed, chosen("summarizer")),
                minutes=7,
                **SUMMARY_SPLITS,
            ),
            Arm("summarizer-plain", "the same student without its teacher", _plain, minutes=7, **SUMMARY_SPLITS),
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
            Arm(
                "summarizer-best-all",
                "student of the summarizer, all dialogues, what won on 4,000",
                lambda name, seed, chosen: summarizer(name, seed, chosen("summarizer"), None),
                minutes=24,
                **SUMMARY_SPLITS,
            ),
            Arm(
                "summarizer-plain-all",
                "the same student without its teacher, all dialogues",
                lambda name, seed, chosen: _plain(name, seed, chosen, None),
                minutes=22,
                **SUMMARY_SPLITS,
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
