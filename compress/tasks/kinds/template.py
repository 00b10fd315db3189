"""What a task of one's own is made from: its keys under `task:`, and what is usual for its kind; data of the kind's file."""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = "{source}"

LABELLED = ("text", "label", "model_labels")
"""Keys of tasks with labels, the known ones too."""
GENERATION = ("source", "empty")
"""Keys of all generative tasks."""
PAIRS = (*GENERATION, "target", "prefix", "prompt", "line_end", "max_source", "max_target", "dialogue")
"""Keys of generative tasks with references."""


@dataclass(frozen=True)
class Template:
    """The keys of a task config with one value of `Task.kind`."""

    noun: str
    """What such a task is, in a message: `a regression`."""
    metrics: tuple[str, ...]
    """The names of its usual metrics; the first decides."""
    keys: tuple[str, ...]
    """The keys it takes beside those of every task."""
    own_keys: tuple[str, ...] = ()
    """Further keys of a task of one's own."""
    needed: tuple[str, ...] = ("text", "label", "data")
    """The keys that a task of one's own must have."""
    text: str = "text"
    """The key that names the column of the texts, or the two columns."""
    label: str = "label"
    """The key that names the column of the labels, or of the texts that are to be written."""
    pairs: bool = True
    """Whether an example may be two texts."""
    usual_columns: tuple[str, str] = ("", "")
    """What the columns of text and label are called where nothing else is said."""
    aliases: tuple[str, ...] = ()
    """Other names of the kind."""
    t5_prefix: str = ""
    """What T5 read before a source when it was pretrained; `{0}` and `{1}` are the two languages."""
    prompt: str = SOURCE
    """What a decoder reads where the task has no prompt of its own, with the source in it."""
    prompt_of_languages: str = ""
    """The same where the task names its languages, `{0}` and `{1}`."""
    with_several: str = ""
    """The value of `Task.kind` of the same tasks with any number of labels (`multi_label: true`)."""
