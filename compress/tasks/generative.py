"""How a generative task is scored where nothing else is said."""

from __future__ import annotations

from compress.tasks.task import TextKind

SUMMARIZATION_METRICS = ("rouge_l", "rouge1", "rouge2", "rouge_lsum")


METRICS: dict[TextKind, tuple[str, ...]] = {
    "summarization": SUMMARIZATION_METRICS,
    "translation": ("bleu", "chrf"),
    "language_modelling": ("perplexity",),
}
"""By a task's kind; the first decides."""
