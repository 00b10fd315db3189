"""Sources and targets as token ids: two rows for an encoder-decoder; a prompt and its continuation for a decoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.core.errors import CompressError
from compress.core.labels import NO_LABEL
from compress.data import prompt_templates as texts
from compress.data.token_cache import BATCH, IDS, kept
from compress.data.tokens import tokenizer_identity
from compress.tasks.task import Task

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Side:
    """The truncation counts of sources or targets."""

    limit: int
    """The most tokens a row may have there, those that mark its ends included."""
    cut_rows: int = 0
    """How many rows were longer."""
    cut_tokens: int = 0
    """How many tokens they had too many."""
    longest: int = 0
    """Tokens of the longest, before it was cut."""

    def sentence(self, name: str, rows: int) -> str:
        """`12 of 100 sources were cut at 512 tokens, by 3400 tokens in all`; empty where none was."""
        if not self.cut_rows:
            return ""
        return f"{self.cut_rows} of {rows} {name} were cut at {self.limit} tokens, by {self.cut_tokens} tokens in all"


@dataclass(frozen=True)
class Pairs:
    """A split's rows as token ids, in their order and without padding.

    `rows` has `input_ids`, `row_hash`, and `labels` where the rows have targets. For a decoder there is also `prompt`: so
    many first tokens of `input_ids` are what it reads before it writes; its labels are of the length of `input_ids`, and
    -100 within the prompt.
    """

    rows: Dataset
    sources: Side
    targets: Side | None
    """None where the rows have no targets."""

    @property
    def notes(self) -> tuple[str, ...]:
        """A note for sources and targets that were truncated."""
        sides = (("sources", self.sources), ("targets", self.targets))
        found = (side.sentence(name, len(self.rows)) for name, side in sides if side is not None)
        return tuple(sentence for sentence in found if sentence)


def for_encoder_decoder(
    rows: Dataset, task: Task, tokenizer: Any, model_type: str, start: int | None, cache: Path | None = None
) -> Pairs:
    """The rows of `compress.data.loading.load` as an encoder-decoder reads and writes them.

    A target ends with the tokenizer's own mark, or else its end of text. A mark at its beginning is left out where the
    decoder starts from the same token: it would learn to begin twice.

    Args:
        rows: with the columns `text`, `row_hash` and, for targets, `label`.
        task: tells prefix, line ends and the greatest lengths.
        tokenizer: of the model.
        model_type: of the model's config, which decides the prefix where the task has none.
        start: the config's `decoder_start_token_id`.
        cache: where token ids are kept.

    Raises:
        CompressError: a greatest length leaves no room for text.
    """
    said, before = texts.settings(task), texts.prefix(task, model_type)
    opening, closing = _marks(tokenizer, "text")
    of_target, ends = _marks(tokenizer, "text_target")
    begins = of_target[1:] if of_target[:1] == [start] else of_target
    ends = ends or ([tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else [])
    taken = len(opening) + len(_plain(tokenizer, [before])[0]) + len(closing)
    _check_room("max_source", said.max_source, taken, "prefix and marks take")
    _check_room("max_target", said.max_target, len(begins) + len(ends), "its marks take")

    def batches(counts: dict[str, int]) -> Iterator[Mapping[str, Sequence[Any]]]:
        for batch in rows.iter(batch_size=BATCH):
            sources = _plain(tokenizer, [before + texts.source_text(task, text) for text in batch["text"]])
            columns = {"input_ids": _within(opening, sources, closing, said.max_source, counts, "source")}
            if "label" in batch:
                targets = _plain(tokenizer, batch["label"], "text_target")
                columns["labels"] = _within(begins, targets, ends, said.max_target, counts, "target")
            yield {**columns, "row_hash": batch["row_hash"]}

    decided_by = ["encoder-decoder", rows._fingerprint, tokenizer_identity(tokenizer), before, begins, ends]
    found, counts = kept([*decided_by, *_lengths(task)], _columns(rows), batches, cache)
    return _pairs(found, counts, task)


def for_decoder(rows: Dataset, task: Task, tokenizer: Any, cache: Path | None = None) -> Pairs:
    """The rows of `compress.data.loading.load` as a decoder reads and continues them: the prompt, then the target.

    A source that is too long is cut at its end, so that what the prompt says after it stays. The target follows after a
    space, unless the prompt ends with one or with a line end, and ends with the end of text.

    Args:
        rows: with the columns `text`, `row_hash` and, for targets, `label`.
        task: tells the prompt, line ends and the greatest lengths (of the whole prompt, and of the target).
        tokenizer: of the model, a fast one.
        cache: where token ids are kept.

    Raises:
        CompressError: a greatest length leaves no room for text, or the tokenizer is a slow one or has no end of text.
    """
    said, (before, after) = texts.settings(task), texts.prompt(task)
    if tokenizer.eos_token_id is None or not tokenizer.is_fast:
        raise CompressError(
            "A decoder's tokenizer must be a fast one and have an end of text (`eos_token`); this has not."
        )
    opening, _ = _marks(tokenizer, "text")
    room = said.max_source - len(opening)
    _check_room("max_source", room, len(_plain(tokenizer, [before + after])[0]), "the prompt without its source takes")
    _check_room("max_target", said.max_target, 1, "the end of text takes")

    def batches(counts: dict[str, int]) -> Iterator[Mapping[str, Sequence[Any]]]:
        for batch in rows.iter(batch_size=BATCH):
            sources = [texts.source_text(task, text) for text in batch["text"]]
            reads = [f"{before}{source}{after}" for source in sources]
            prompts = _plain(tokenizer, reads)
            for number, ids in enumerate(prompts):
                _count(counts, "source", len(opening) + len(ids), said.max_source)
                if len(ids) > room:
                    reads[number], prompts[number] = _fitting(tokenizer, before, sources[number], after, room)
            columns: dict[str, list[Any]] = {"input_ids": [[*opening, *ids] for ids in prompts]}
            columns["prompt"] = lengths = [len(ids) for ids in columns["input_ids"]]
            if "label" in batch:
                targets = _continued(tokenizer, reads, prompts, batch["label"])
                written = _within([], targets, [tokenizer.eos_token_id], said.max_target, counts, "target")
                columns["labels"] = [[NO_LABEL] * length + ids for length, ids in zip(lengths, written, strict=True)]
                columns["input_ids"] = [read + ids for read, ids in zip(columns["input_ids"], written, strict=True)]
            yield {**columns, "row_hash": batch["row_hash"]}

    decided_by = ["decoder", rows._fingerprint, tokenizer_identity(tokenizer), before, after]
    found, counts = kept([*decided_by, *_lengths(task)], {**_columns(rows), "prompt": "int32"}, batches, cache)
    return _pairs(found, counts, task)


def _plain(tokenizer: Any, given: Sequence[str], side: str = "text") -> list[list[int]]:
    """The ids of each text without the tokenizer's marks, however long."""
    found: list[list[int]] = tokenizer(**{side: list(given)}, add_special_tokens=False, verbose=False)["input_ids"]
    return found


def _marks(tokenizer: Any, side: str) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer puts before and after any text, which it may do otherwise for targets (mBART)."""
    whole, plain = tokenizer(**{side: "a"})["input_ids"], _plain(tokenizer, ["a"], side)[0]
    begin = next((at for at in range(len(whole)) if whole[at : at + len(plain)] == plain), len(whole))
    return whole[:begin], whole[begin + len(plain) :]


def _within(
    opening: list[int], plain: list[list[int]], closing: list[int], limit: int, counts: dict[str, int], side: str
) -> list[list[int]]:
    """Each text between its marks, cut at its end so that all of it has `limit` tokens at most."""
    marks = len(opening) + len(closing)
    for ids in plain:
        _count(counts, side, len(ids) + marks, limit)
    return [[*opening, *ids[: limit - marks], *closing] for ids in plain]


def _fitting(tokenizer: Any, before: str, source: str, after: str, room: int) -> tuple[str, list[int]]:
    """The prompt with as much of its source as there is room for, and its ids."""
    offsets = tokenizer(source, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
    left = room - len(_plain(tokenizer, [before + after])[0])
    while True:
        # Where source and prompt meet, tokens may join or part, so a prompt may need a token more than its parts.
        end = offsets[left - 1][1] if left > 0 else 0
        read = f"{before}{source[:end].rstrip()}{after}"
        ids = _plain(tokenizer, [read])[0]
        if len(ids) <= room or left <= 0:
            return read, ids[:room]
        left -= len(ids) - room


def _continued(tokenizer: Any, reads: list[str], prompts: list[list[int]], targets: Sequence[str]) -> list[list[int]]:
    """The ids of each target as they follow its prompt."""
    spaces = ["" if not read or read[-1].isspace() else " " for read in reads]
    wholes = _plain(tokenizer, [f"{r}{s}{t}" for r, s, t in zip(reads, spaces, targets, strict=True)])
    found = []
    for prompt, whole, space, target in zip(prompts, wholes, spaces, targets, strict=True):
        joined = whole[: len(prompt)] != prompt  # the last of the prompt and the first of the target became one token
        found.append(_plain(tokenizer, [space + target])[0] if joined else whole[len(prompt) :])
    return found


def _check_room(name: str, limit: int, taken: int, what: str) -> None:
    if limit <= taken:
        raise CompressError(f"{name} leaves no room for text: {what} {taken} tokens of {limit}. Raise {name}.")


def _lengths(task: Task) -> list[Any]:
    said = texts.settings(task)
    return [said.line_end, said.max_source, said.max_target]


def _columns(rows: Dataset) -> dict[str, str]:
    labels = {"labels": IDS} if "label" in rows.column_names else {}
    return {"input_ids": IDS, **labels, "row_hash": "string"}


def _pairs(rows: Dataset, counts: Mapping[str, int], task: Task) -> Pairs:
    said = texts.settings(task)
    names = ("cut_rows", "cut_tokens", "longest")
    sources = Side(said.max_source, *(counts[f"source_{name}"] for name in names))
    if "labels" not in rows.column_names:
        return Pairs(rows, sources, None)
    return Pairs(rows, sources, Side(said.max_target, *(counts[f"target_{name}"] for name in names)))


def _count(counts: dict[str, int], side: str, length: int, limit: int) -> None:
    counts[f"{side}_longest"] = max(counts.get(f"{side}_longest", 0), length)
    counts[f"{side}_cut_rows"] = counts.get(f"{side}_cut_rows", 0) + (length > limit)
    counts[f"{side}_cut_tokens"] = counts.get(f"{side}_cut_tokens", 0) + max(length - limit, 0)
