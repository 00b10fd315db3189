"""What a generative task is scored by, and what stands beside its scores: the first three sentences or turns."""

from __future__ import annotations

from collections.abc import Iterable

from compress.metrics.generation import find
from compress.metrics.generation.bleu import bleu
from compress.metrics.generation.lead import lead
from compress.metrics.generation.metric import GenerationMetric
from compress.tasks.task import Generation, Task


def metrics(task: Task) -> tuple[GenerationMetric, ...]:
    """The task's metrics, the first of which decides; BLEU with the tokenizer for the language that is translated to."""
    languages = (task.generation or Generation()).languages
    return tuple(bleu(languages[1]) if name == "bleu" and languages else find(name) for name in task.metrics)


def lead_baseline(task: Task, sources: Iterable[str]) -> list[str]:
    """Lead-3 of each source: its first three turns where the task's texts are dialogues, else its first sentences."""
    by_lines = task.generation is not None and task.generation.is_dialogue
    return [lead(source, by="lines" if by_lines else "sentences") for source in sources]
