"""Additional rows that only the teacher labels: unlabelled texts, and training texts with words replaced.

They are made once, kept on disk by everything that decides them, and read in place from there. No text of a split that is
chosen or measured on is among them, and no text twice.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.core.artifact import digest, hash_file
from compress.core.cache import entry
from compress.core.errors import CompressError
from compress.core.progress import say, warn
from compress.data import unlabelled
from compress.data.rows import Example
from compress.data.splits import ROWS, arrow_rows
from compress.distillation.augmentation.words import Draft, drafts, number_of_copies
from compress.tasks.task import Task

if TYPE_CHECKING:
    from datasets import Dataset

VERSION = 1
"""Of the words' choice: another makes other rows of the same data."""
BATCH = 1000
OWN_VOCABULARY = "the task's own vocabulary"


@dataclass(frozen=True)
class Extra:
    """Rows without labels, and what they are."""

    rows: Dataset
    """`text`, `text_pair` for pairs, `label` (see `no_label`) and `row_hash`, as in the training rows."""
    facts: dict[str, Any]
    """`rows_unlabelled`, `rows_augmented`, their shares of all rows trained on, `augmented_by`, `words_replaced_share` (of
    the words of the texts that were changed), and `extra_rows_left_out`, a count for each reason."""
    identity: dict[str, Any]
    """What decides the rows beside the training split: hashes of files, settings."""


def check(task: Task, text: Path | None, masked_lm: Path | None = None) -> None:
    """Look at the files before anything is loaded.

    Raises:
        CompressError: the task's rows are tagged words, a file is missing, a folder is empty, columns are not those of the task's
            texts, a task of pairs is given plain text, or the masked language model's folder holds no model.
    """
    if text is not None:
        unlabelled.check(task, text)
    if masked_lm is not None:
        from compress.models.load import checkpoint_artifact

        checkpoint_artifact(masked_lm, masked_lm.name)


def identity(text: Path | None, masked_lm: Path | None) -> dict[str, Any]:
    """Hashes of the files of texts, and of the masked language model.

    Raises:
        CompressError: something is missing.
    """
    found: dict[str, Any] = {}
    if text is not None:
        found["text"] = {file.name: hash_file(file) for file in unlabelled.text_files(text)}
    if masked_lm is not None:
        from compress.models.load import checkpoint_artifact

        found["masked_lm"] = checkpoint_artifact(masked_lm, masked_lm.name).origin["weights"]
    return found


def extra_rows(
    task: Task,
    rows: Dataset,
    *,
    text: Path | None,
    augment: float,
    masked_lm: Path | None,
    seed: int,
    cache: Path,
    forbidden: Iterable[Dataset] = (),
) -> Extra:
    """Unlabelled texts of a file or folder, and copies of training texts with some of their words replaced.

    Args:
        rows: the training split as it was loaded, with its texts.
        text: a file or folder; None for none. See `compress.data.unlabelled`.
        augment: copies for each training row: 0.5 makes one of half of them, 2 makes two of each.
        masked_lm: the folder of a masked language model that chooses the words; where it has no trained head, with a
            warning, and where there is none, words are drawn from the training split.
        seed: decides which rows and words; with the same data and model, equal seeds give equal rows.
        cache: the folder for content-keyed results.
        forbidden: splits, as they were loaded, none of whose texts may come back: evaluation, holdout, test.

    Raises:
        CompressError: see `check`; or `augment` is below 0, or rows cannot be read.
    """
    if not 0 <= augment < math.inf:
        raise CompressError(f"augment is {augment}; it is the number of copies for each training row, 0 or more.")
    masked_lm = masked_lm if augment else None
    check(task, text, masked_lm)
    splits = tuple(forbidden)
    settings = {"augment": augment, "seed": seed} if augment else {}
    is_this = {**identity(text, masked_lm), **settings}
    decided_by = [VERSION, is_this, rows._fingerprint, [split._fingerprint for split in splits], task.to_json()]
    making = _Making(task, rows, text, augment, masked_lm, seed, splits)
    kept = entry(cache / "extra-rows" / digest(decided_by), lambda folder: making.write(folder / ROWS))
    found = dict(kept.facts)
    made = arrow_rows(kept.folder / ROWS, found.pop("content"))
    say(f"{found['rows_unlabelled']} unlabelled and {found['rows_augmented']} augmented rows for the teacher to label.")
    return Extra(made, found, is_this)


@dataclass
class _Making:
    """The columns of the rows, and counts."""

    task: Task
    rows: Dataset
    text: Path | None
    augment: float
    masked_lm: Path | None
    seed: int
    forbidden: tuple[Dataset, ...]
    left_out: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    masked_words: Any = None

    def write(self, path: Path) -> dict[str, Any]:
        """Writes the Arrow file; gives the facts, and a hash of the content."""
        from datasets.arrow_writer import ArrowWriter

        features = self.rows.features
        content, kept, facts = hashlib.sha256(), Counter[str](), self._facts()
        writer = ArrowWriter(features=features, path=str(path), writer_batch_size=BATCH)
        try:
            for kind, texts in self._new():
                of_words = self.task.reads_words
                one = Example(tuple(texts[0].split()) if of_words else texts, None, of_words)
                cells = {**one.cells, "label": no_label(self.task, len(one.texts)), "row_hash": one.row_hash}
                writer.write({name: cells[name] for name in features})
                content.update(f"{one.row_hash}\n".encode())
                kept[kind] += 1
            writer.finalize()
        finally:
            writer.close()
        for kind, wanted in (("unlabelled", self.text is not None), ("augmented", self.augment > 0)):
            facts[f"rows_{kind}"] = kept[kind]
            facts[f"{kind}_share"] = kept[kind] / (len(self.rows) + kept.total())
            if wanted and not kept[kind]:
                warn(f"There are no {kind} rows: {_counted(self.left_out)}.")
        if self.words["all"]:
            facts["words_replaced_share"] = self.words["replaced"] / self.words["all"]
        return {**facts, "extra_rows_left_out": dict(self.left_out), "content": content.hexdigest()}

    def _facts(self) -> dict[str, Any]:
        """Settles which of the two chooses the words."""
        if not self.augment:
            return {}
        facts = {"augmented_by": OWN_VOCABULARY}
        if self.masked_lm is not None:
            from compress.distillation.augmentation.masked_words import MaskedWords, NoHead

            try:
                self.masked_words = MaskedWords.load(self.masked_lm)
                facts["augmented_by"] = f"masked language model {self.masked_lm.resolve().name}"
            except NoHead as reason:
                warn(f"{reason}: words are drawn from {OWN_VOCABULARY}.")
                facts["masked_lm_not_used"] = str(reason)
        return facts

    def _new(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """`unlabelled` or `augmented`, and texts that are neither among the training rows, nor forbidden, nor twice."""
        seen = {text_key(texts) for texts in texts_of(self.rows)}
        kept_out = {text_key(texts) for split in self.forbidden for texts in texts_of(split)}
        for kind, texts in self._made():
            key = text_key(texts)
            if key in kept_out:
                self.left_out["in_another_split"] += 1
            elif key in seen:
                self.left_out["duplicate"] += 1
            else:
                seen.add(key)
                yield kind, texts

    def _made(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        if self.text is not None:
            skipped = unlabelled.Skipped()
            for texts in unlabelled.read(self.task, self.text, skipped):
                yield "unlabelled", (" ".join(texts),) if self.task.reads_words else texts
            self.left_out.update({"empty": skipped.empty, "bad": skipped.bad})
        if self.augment:
            for draft, replacements in self._replaced():
                texts = draft.filled(replacements)
                if text_key(texts) == text_key(draft.texts):
                    self.left_out["unchanged"] += 1
                    continue
                self.words["replaced"] += sum(word is not None for word in replacements)
                self.words["all"] += len(draft.words)
                yield "augmented", texts

    def _replaced(self) -> Iterator[tuple[Draft, tuple[str | None, ...]]]:
        made, again = itertools.tee(drafts(texts_of(self.rows), len(self.rows), self.augment, self.seed))
        total = number_of_copies(len(self.rows), self.augment)
        if self.masked_words is not None:
            replacements = self.masked_words.replacements(made, total)
        else:
            from compress.distillation.augmentation.vocabulary import Vocabulary

            replacements = Vocabulary.of(texts_of(self.rows)).replacements(made)
        count = 0
        for count, both in enumerate(zip(again, replacements, strict=True), start=1):  # noqa: B007 - counted to the end
            yield both
        self.left_out["unchanged"] += total - count  # no word in them that could be replaced


def no_label(task: Task, words: int) -> float | list[float]:
    """What stands for the label of a row that has none: -100, which `torch.nn.functional.cross_entropy` ignores, for a class and
    for the tag of each word; NaN for a number and for each of several labels."""
    none: float = task.law.no_label
    if task.reads_words:
        return [none] * words
    return [none] * task.num_labels if task.law.several else none


def texts_of(rows: Dataset) -> Iterator[tuple[str, ...]]:
    """The texts of loaded rows; a sentence's words as one text."""
    names = [name for name in ("text", "text_pair") if name in rows.column_names]
    for batch in rows.select_columns(names).iter(BATCH):
        for texts in zip(*(batch[name] for name in names), strict=True):
            yield texts if isinstance(texts[0], str) else (" ".join(texts[0]),)  # a sentence's words


def text_key(texts: tuple[str, ...]) -> bytes:
    """Equal for texts that differ in case and white space only: many models read those alike."""
    plain = "\x1f".join(" ".join(text.split()).casefold() for text in texts)
    return hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _counted(left_out: Mapping[str, int]) -> str:
    return (
        ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in left_out.items() if count) or "none read"
    )
