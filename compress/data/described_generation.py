"""Checks the settings of a generative task config: prefix, prompt, lengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from compress.core.errors import CompressError
from compress.core.settings import Settings, build
from compress.tasks.kinds.template import SOURCE
from compress.tasks.task import Generation, Task

Text = Annotated[str, Field(min_length=1)]
Tokens = Annotated[int, Field(ge=1)]


class GenerationKeys(Settings):
    """The keys under `task:` that become a `Generation`; None where the task's own value stays."""

    languages: Annotated[list[Text], Field(min_length=2, max_length=2)] | None = None
    """Those of source and target, by name or code."""
    prefix: str | None = None
    """What stands before each source for an encoder-decoder; T5 gets `summarize: ` where it is not set."""
    prompt: str | None = None
    """What a decoder reads; `{source}` stands for the source."""
    line_end: str | None = None
    """What line ends within a source become, as ` | `."""
    max_source: Tokens | None = None
    max_target: Tokens | None = None
    empty: Literal["drop", "keep", "error"] | None = None
    """What becomes of rows with an empty source or target."""
    dialogue: bool | None = None
    """Whether a source's lines are turns of a dialogue: then Lead-3 is its first three turns."""
    documents: Literal["rows", "paragraphs", "wikitext"] | None = None
    separate: bool | None = None


def with_generation(task: Task, given: Mapping[str, Any]) -> Task:
    """The task with what its description says of generation.

    Raises:
        CompressError: a value does not fit.
    """
    keys = {key: given[key] for key in GenerationKeys.model_fields if key in given}
    said = build(GenerationKeys, keys, f"task '{task.name}'").model_dump(exclude_none=True)
    if SOURCE not in said.get("prompt", SOURCE):
        raise CompressError(f"Task '{task.name}': the prompt has no {SOURCE} in it, so every row would read alike.")
    if "dialogue" in said:
        said["is_dialogue"] = said.pop("dialogue")
    if "languages" in said:
        said["languages"] = tuple(said["languages"])
    generation = replace(task.generation or Generation(), **said)
    return replace(task, generation=generation, empty_text_is_bad=generation.empty != "keep")
