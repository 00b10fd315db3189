"""WikiText-2: which word comes next? Articles of an encyclopedia as one long text, perplexity.

Held out of its training split are whole articles. A training file of word tokens (`<unk>` for rare words) is read as it stands.
"""

from __future__ import annotations

from compress.tasks.task import Generation, Hub, Source, Task


def _files(split: str) -> tuple[Source, ...]:
    return tuple(Source(f"wiki.{split}.{ending}", format="text", text=("text",)) for ending in ("raw", "tokens"))


TASK = Task(
    name="wikitext2",
    kind="language_modelling",
    text_columns=("text",),
    label_column="",
    metrics=("perplexity",),
    files={"train": _files("train"), "evaluation": _files("valid"), "test": _files("test")},
    hub=Hub("Salesforce/wikitext", "wikitext-2-raw-v1", {"train": "train", "evaluation": "validation", "test": "test"}),
    generation=Generation(documents="wikitext", separate=False),
)
