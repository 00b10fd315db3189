"""Trims a model's vocabulary to what its task's texts need: fewer pieces, fewer embeddings, a narrower output head.

Fewer tokens for a language or task: Abdaoui et al. 2020, "Load What You Need: Smaller Versions of Multilingual BERT". There
unseen words may become unknown; here the tokenizer stays closed, see `compress.pruning.pieces`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import hash_file
from compress.core.errors import CompressError
from compress.core.paths import named
from compress.core.progress import say
from compress.data import loading, unlabelled
from compress.data.model_rows import model_rows
from compress.data.tokens import same_tokenizer
from compress.pruning.pieces import chosen, ids_of, required
from compress.pruning.prune_settings import Prune
from compress.pruning.token_rows import keep_tokens_, named_ids
from compress.pruning.trimmed_tokenizer import Trimmed, state_of, trimmed
from compress.tasks.task import DescribedTask

LONGEST = 1_000_000
"""Rows are counted as long as the model and the task let them be."""
BATCH = 1000

Ids = list[int]


def trimmed_(model: Any, its_tokenizer: Any, settings: Prune, described: DescribedTask) -> tuple[Any, dict[str, Any]]:
    """Trims a model in place to the pieces that its task's training rows need.

    Args:
        settings: of `compress prune`: min_count, vocab_size, corpus.

    Returns:
        The trimmed tokenizer, and the facts to record.

    Raises:
        CompressError: the tokenizer is of another kind, the required pieces are more than `vocab_size`, or nothing would go.
    """
    state, before = state_of(its_tokenizer), _parameters(model)
    rows = list(_rows(its_tokenizer, model.config, settings, described))
    ids = ids_of(state)
    of_id = {number: piece for piece, number in ids.items()}
    seen = Counter({of_id[number]: count for number, count in _counts(rows).items() if number in of_id})
    by_config = {of_id[number] for number in named_ids(model) if number in of_id}
    most = settings.vocab_size
    kept = chosen(state, seen, keep=by_config, least=settings.min_count, most=most)
    if most is not None and len(kept) > most:
        raise CompressError(
            f"The special tokens and single characters of this tokenizer are {len(kept):,} tokens, more than vocab_size "
            f"{most:,}. Set it to {len(kept):,} or more."
        )
    if len(kept) == len(ids):
        raise CompressError(
            f"All {len(ids):,} tokens are kept, so nothing would be pruned. Raise min_count or lower vocab_size."
        )
    found = trimmed(its_tokenizer, kept)
    keep_tokens_(model, found.ids)
    facts = {
        "vocabulary": {
            "pieces_before": len(ids),
            "pieces_after": len(kept),
            "pieces_seen": len(seen),
            "pieces_required": len(required(state) | by_config),
            "min_count": settings.min_count,
            **_changes(rows, _rows(found.tokenizer, model.config, settings, described), found),
            "bytes_saved": 4 * (before - _parameters(model)),
        }
    }
    say(sentence(facts["vocabulary"]))
    return found.tokenizer, facts


def sentence(facts: dict[str, Any]) -> str:
    """What was trimmed, in a sentence."""
    return (
        f"{facts['pieces_after']:,} of {facts['pieces_before']:,} tokens kept, {facts['bytes_saved'] / 1e6:.1f} MB less in fp32; "
        f"{facts['tokens_changed_share']:.2%} of the corpus's tokens are split otherwise."
    )


def check(settings: Prune, described: DescribedTask | None) -> None:
    """Looks at the task and the files before a model is loaded.

    Raises:
        CompressError: there is no task, its recovery would compare tokens, or a file of the corpus cannot be read.
    """
    if described is None:
        raise CompressError(
            "The method vocabulary keeps the pieces of a task's training rows. Name the task: `--task sst2 --data DIR`."
        )
    if settings.epochs and settings.matches:
        raise CompressError(
            "The pruned model has another tokenizer than its teacher, so their hidden layers cannot be matched token by token. "
            "Leave out hidden_weight, attention_weight, relation_weight and embedding_weight; or prune first, and then run "
            "`compress distill` with the pruned model as the teacher."
        )
    if settings.corpus is not None:
        unlabelled.check(described.task, named(settings.corpus))


def check_model(settings: Prune, folder: Path, described: DescribedTask | None) -> None:
    """Whether the model's tokenizer can be trimmed, and the trimmed model recover as it was asked for.

    Raises:
        CompressError: it cannot.
    """
    from compress.models import load as models

    state_of(models.tokenizer(folder))
    if settings.epochs and models.generates(folder) and (settings.alpha.highest > 0 or settings.on_policy):
        raise CompressError(
            "The pruned model has another vocabulary than its teacher, so their next tokens cannot be compared. Let it learn "
            "from the references or from what the teacher writes: --alpha 0 or --alpha 0 --sequence-kd 1, without --on-policy."
        )


def identity(settings: Prune, described: DescribedTask) -> dict[str, Any]:
    """What decides the counts: the training split, and hashes of further files.

    Raises:
        CompressError: one cannot be read.
    """
    from compress.data.tokenized import split_identity

    found: dict[str, Any] = {"train": split_identity(described, "train")}
    if settings.corpus is not None:
        files = unlabelled.text_files(named(settings.corpus))
        found["corpus"] = {file.name: hash_file(file) for file in files}
    return found


def check_reopened(folder: Path, its_tokenizer: Any) -> None:
    """Whether the saved tokenizer is opened as the one that was saved.

    Raises:
        CompressError: it gives other ids.
    """
    from compress.models import load as models

    if not same_tokenizer(models.tokenizer(folder), its_tokenizer):
        raise CompressError(
            f"The trimmed {type(its_tokenizer).__name__} is not read from its folder as it was written there. Choose another "
            "method, such as structured or layers."
        )


def _rows(its_tokenizer: Any, config: Any, settings: Prune, described: DescribedTask) -> Iterator[Ids]:
    """The ids of each training row as the model reads it, those of each reference, and those of further texts."""
    task, data = described.task, described.data
    train = loading.load(task, data, "train").rows
    read = model_rows(train, task, its_tokenizer, config, length=LONGEST, labels=task.is_generative)
    for row in read.rows:
        yield row["input_ids"].tolist()
        if task.is_generative and config.is_encoder_decoder:
            yield row["labels"][row["labels"] >= 0].tolist()
    if settings.corpus is not None:
        texts = (" ".join(one) for one in unlabelled.read(task, named(settings.corpus), unlabelled.Skipped()))
        while batch := [text for text, _ in zip(texts, range(BATCH), strict=False)]:
            yield from its_tokenizer(batch, verbose=False)["input_ids"]


def _counts(rows: Sequence[Ids]) -> dict[int, int]:
    numbers, counts = np.unique(np.concatenate([np.asarray(row, np.int64) for row in rows]), return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def _changes(before: Sequence[Ids], after: Iterator[Ids], found: Trimmed) -> dict[str, Any]:
    """How the corpus is split now: the share of its tokens that are pieces no more, of its rows that differ, and its tokens."""
    kept = set(found.ids)
    former = np.asarray(found.ids)
    gone = sum(int(number) not in kept for row in before for number in row)
    tokens, now, differ = sum(map(len, before)), 0, 0
    for old, new in zip(before, after, strict=True):
        now += len(new)
        differ += not np.array_equal(old, former[np.asarray(new, np.int64)])
    return {
        "corpus_tokens": tokens,
        "tokens_changed_share": gone / max(tokens, 1),
        "rows_changed_share": differ / max(len(before), 1),
        "tokens_per_row_before": tokens / max(len(before), 1),
        "tokens_per_row_after": now / max(len(before), 1),
    }


def _parameters(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
