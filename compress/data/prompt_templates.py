"""Makes the model's input from a row's source: line ends, an encoder-decoder's prefix, a decoder's prompt."""

from __future__ import annotations

import re

from compress.tasks.kinds.template import SOURCE
from compress.tasks.task import Generation, Task


def source_text(task: Task, source: str) -> str:
    """The source with its line ends as the task wants them.

    >>> from compress.data.description import resolve
    >>> task, _ = resolve({"name": "samsum", "line_end": " | "})
    >>> source_text(task, "Ada: Hi!\\r\\nBob: Hello.")
    'Ada: Hi! | Bob: Hello.'
    """
    line_end = settings(task).line_end
    # A function, since a backslash in a replacement would mean something.
    return source if line_end is None else re.sub(r"\s*[\r\n]+\s*", lambda _: line_end, source)


def prefix(task: Task, model_type: str) -> str:
    """The prefix of a source: the task's own, or else that of the model family's pretraining.

    T5 (Raffel et al. 2020, appendix D) learned its tasks by prefixes. mT5 and the other families had none.

    Args:
        task: a summarization or a translation.
        model_type: that of the model's config: `t5`, `bart`.
    """
    said = settings(task)
    if said.prefix is not None:
        return said.prefix
    if model_type != "t5":
        return ""
    usual = task.template.t5_prefix
    return "" if "{0}" in usual and not said.languages else usual.format(*said.languages)


def prompt(task: Task) -> tuple[str, str]:
    """The parts of a prompt before and after the source."""
    said, template = settings(task), task.template
    usual = template.prompt
    if said.languages and template.prompt_of_languages:
        usual = template.prompt_of_languages.format(*said.languages, source=SOURCE)
    before, _, after = (said.prompt or usual).partition(SOURCE)
    return before, after


def settings(task: Task) -> Generation:
    """The task's settings of generation."""
    return task.generation or Generation()
