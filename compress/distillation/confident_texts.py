"""Leaves out unlabelled texts of which the teachers are not sure, before a student is trained on them.

A text stays where the most likely class has at least a given probability: Sohn et al. 2020, "FixMatch: Simplifying
Semi-Supervised Learning with Consistency and Confidence", equation 4; Xie et al. 2020, "Self-training with Noisy Student
improves ImageNet classification", section 3. There the class itself is the target; here it stays the softened distribution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from compress.core.progress import say, warn
from compress.data.collate import batches_by_length, row_lengths
from compress.distillation import laws
from compress.distillation.augmentation.extra_rows import Extra
from compress.distillation.objective import OUTPUT, soft_targets
from compress.distillation.students import Student
from compress.distillation.transfer_set import TransferSet
from compress.models.kinds import kind_of_model

BATCH = 256


def confident(found: TransferSet, extra: Extra | None, student: Student, least: float) -> TransferSet:
    """A transfer set without the unlabelled texts of which its teachers, taken together, are less sure.

    The teachers' outputs are those that the transfer set has; nothing is asked again. Augmented copies of training rows stay.

    Args:
        extra: its rows that are no training rows: unlabelled texts, augmented ones behind them, then those of a file of answers.
        least: the probability, see `compress.distillation.laws.confidence`.

    Returns:
        Its facts tell the texts that stayed, and under `min_confidence` how many did not.
    """
    facts = found.facts
    unlabelled, augmented = (int(facts.get(f"rows_{kind}", 0)) for kind in ("unlabelled", "augmented"))
    hashes: list[str] = [] if extra is None else extra.rows["row_hash"]
    texts = {*hashes[:unlabelled], *hashes[unlabelled + augmented :]}
    unsure = _unsure(found, student, texts, least)
    told: dict[str, Any] = {"min_confidence": {"least": least, "left_out": len(unsure), "of": len(texts)}}
    say(
        f"{len(unsure):,} of {len(texts):,} unlabelled texts are left out: their most likely class has a probability below "
        f"{least:g}."
    )
    if not unsure:
        return replace(found, facts={**facts, **told})
    if len(unsure) == len(texts):
        warn("No unlabelled text is left. Lower --min-confidence.")
    data = found.data
    if "rows_unlabelled" in facts:
        stayed = unlabelled - len(unsure.intersection(hashes[:unlabelled]))
        every = len(data.texts) - len(hashes) + stayed + augmented
        told |= {"rows_unlabelled": stayed, "unlabelled_share": stayed / every, "augmented_share": augmented / every}
    kept = [place for place, value in enumerate(data.train["row_hash"]) if value not in unsure]
    train = data.train.add_column("place", list(range(len(data.train)))).select(kept)
    rows = data.texts.select([place for place, value in enumerate(data.texts["row_hash"]) if value not in unsure])
    return replace(found, data=replace(data, train=train, texts=rows), facts={**facts, **told})


def _unsure(found: TransferSet, student: Student, texts: set[str], least: float) -> set[str]:
    """The hashes of those texts of which the teachers are less sure; of a text in several rows each row must be sure."""
    import torch

    data, kind, config = found.data, kind_of_model(student.model), found.stages[-1]
    outputs = {name: values for name, values in found.extras.items() if name.startswith(OUTPUT)}
    places = [place for place, value in enumerate(data.train["row_hash"]) if value in texts]
    unsure: set[str] = set()
    for some in batches_by_length(row_lengths(data.train.select(places)), BATCH):
        rows: list[Mapping[str, Any]] = [{**data.train[places[one]], "place": places[one]} for one in some]
        batch = data.collate(rows, student.tokenizer, outputs)
        with torch.no_grad():
            answers, teachers = soft_targets(kind, batch, len(config.teacher_weights))
            sure = laws.confidence(config.law, answers, teachers, config.teacher_weights, len(rows)) >= least
        unsure.update(row["row_hash"] for row, is_sure in zip(rows, sure.tolist(), strict=True) if not is_sure)
    return unsure
