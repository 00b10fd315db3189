"""Real rows for comparing two models: the task's training texts, else its evaluation texts, else built-in sentences.

Of the evaluation split the texts alone are read, to compare a model with the one that it was made of: nothing is chosen on it.
"""

from __future__ import annotations

from typing import Any

from compress.data.model_rows import Row, model_inputs, model_rows, prompts_of
from compress.models.reading_length import cut_at
from compress.tasks.task import DescribedTask

ROWS = 24
PROMPTS, TOKENS = 8, 128
"""For decoders, whose logits are compared at each token of a prompt: so many of these take a gigabyte at most."""
SENTENCES = (
    "It works.",
    "The handle broke after a week, and nobody answered my letters.",
    "A quiet, careful film that trusts its audience, even where the plot does not.",
    "No!",
    "The battery lasts two days, which is more than the box promises.",
    "Awful. I want my money back.",
    "What a charming book!",
    "The screen is too dark outside and too bright at night.",
    "Delivery took nine days; the parcel was wet, the manual missing, and the plug did not fit.",
    "She plays the lead with warmth and wit.",
    "I have read it twice and shall read it again.",
    "The sound is thin, but for this price one cannot complain.",
    "Two hours of my life that nobody will give back to me.",
    "Fine.",
    "The hotel lies by the sea, the rooms are clean, and breakfast is served until eleven.",
    "It stopped working after two days.",
    "Not as bad as the critics say, and not as good as the trailer.",
    "The second part is slow, the third is worse, and the end makes no sense at all.",
    "My daughter loves this toy.",
    "Where is the station? It is behind the old bridge, on the left.",
    "The company will publish its results for the third quarter on Thursday.",
    "Easy to set up, quiet, and it does what it should.",
    "The jokes are old and the songs are older.",
    "Would buy again.",
)
WITHOUT_TASK = "built-in sentences, since the model has no task"
WITHOUT_TEXTS = "built-in sentences, since the task has no training or evaluation texts here"


def rows(
    its_tokenizer: Any,
    config: Any,
    described: DescribedTask | None,
    count: int | None = None,
    *,
    generates: bool = False,
) -> tuple[list[Row], str]:
    """Rows as a model reads them, see `compress.data.model_rows`, and where they are from.

    Args:
        count: how many at most; `ROWS` by default, and `PROMPTS` of a decoder that generates.
        generates: whether the model does.

    Raises:
        CompressError: the task's data cannot be read.
    """
    is_decoder = generates and not config.is_encoder_decoder
    count = count or (PROMPTS if is_decoder else ROWS)
    length = TOKENS if is_decoder or not generates else None
    task, found, where = _texts(described, count)
    if found is not None:
        return model_rows(found, task, its_tokenizer, config, length=length).rows[:count], where
    if generates:
        return prompts_of(SENTENCES[:count], None, its_tokenizer, config, length=length).rows, where
    length = cut_at(TOKENS, its_tokenizer, config)
    encoded = [its_tokenizer(text, truncation=True, max_length=length) for text in SENTENCES[:count]]
    return [model_inputs(row, its_tokenizer) for row in encoded], where


def _texts(described: DescribedTask | None, count: int) -> tuple[Any, Any, str]:
    """The task, the first rows of its training split, or without labels of its evaluation split, None where it has neither;
    and where they are from."""
    if described is None:
        return None, None, WITHOUT_TASK
    from compress.data import loading

    task, data = described.task, described.data
    for split in ("train", "evaluation"):
        try:
            found = loading.load(task, data, split).rows
        except loading.NoSuchSplit:
            continue
        if split == "evaluation" and "label" in found.column_names:
            found = found.remove_columns("label")
        where = f"{task.name}, {split}" + (", its texts alone" if split == "evaluation" else "")
        return task, found.select(range(min(count, len(found)))), where
    return task, None, WITHOUT_TEXTS
