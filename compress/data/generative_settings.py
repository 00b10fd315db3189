"""What a user may set of a generative task, and how it is scored where nothing else is said."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from compress.data.file_settings import FileSettings
from compress.tasks.task import TextKind

Split = Literal["train", "holdout", "evaluation", "test"]
Text = Annotated[str, Field(min_length=1)]
Tokens = Annotated[int, Field(ge=1)]
Languages = Annotated[list[Text], Field(min_length=2, max_length=2)]


class Described(FileSettings):
    """A generative task as it stands under `task:`; None where the task's own value stays."""

    name: Text
    kind: TextKind | None = None
    data: Text | dict[Split, Text] | None = None
    """A folder, or a file for each split."""
    source: Text | None = None
    """The column of the texts that a model reads."""
    target: Text | None = None
    """The column of the texts that it shall write."""
    languages: Languages | None = None
    """Those of source and target, by name or code."""
    metric: Text | list[Text] | None = None
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
    bad_rows: Literal["error", "skip"] | None = None
    holdout: Annotated[float, Field(gt=0, lt=1)] | None = None
    limit: dict[Split, Annotated[int, Field(ge=1)]] | None = None
    seed: int | None = None
    allow_overlap: bool | None = None
    """Whether evaluation rows may stand in the training rows."""
