"""Compares the graphs that QAT wrote with the model that was trained in their integers, on held-out rows.

An answer is a row's, a word's, or the next token at each token of the references: whatever the kind of task, one compares scores,
and what they choose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compress.core.cores import available_cores
from compress.core.errors import CompressError
from compress.core.labels import NO_LABEL, inputs_of
from compress.data.collate import row_lengths
from compress.models.kinds import kind_of_model, law_of_model
from compress.quantization import agreement
from compress.runtimes.onnx_generation import open_generator_in
from compress.runtimes.runtime import Serving
from compress.runtimes.sessions import open_session, outputs
from compress.tasks.kinds.answers import Answers
from compress.tasks.kinds.laws import CATEGORICAL, Law
from compress.training.data import TrainingData

ROWS, BATCH = 1000, 32
"""Held-out rows on which the graphs are compared with the model that was trained."""
ROWS_OF_TEXT, BATCH_OF_TEXT = 64, 8
"""The same of a generative model, which is compared at each token of the references."""
TOLERANCE = 0.05
"""As a share of the largest logit. A sum that is rounded otherwise in its last bit can move a later layer's input to the
next integer, and that integer the next layers': on 1,000 sentences a logit of a 6-layer model moved by up to 0.03 of it."""
PERTURBATION = 1e-6
"""About what fp32 leaves open in a sum of some hundred numbers, as a share of it."""

Batch = Mapping[str, Any]


def held_out(data: TrainingData, its_tokenizer: Any, *, generates: bool) -> list[dict[str, Any]]:
    """The first held-out rows as padded batches with labels, the shortest first."""
    count, size = (ROWS_OF_TEXT, BATCH_OF_TEXT) if generates else (ROWS, BATCH)
    rows = data.holdout.select(range(min(count, len(data.holdout))))
    order = np.argsort(row_lengths(rows), kind="stable").tolist()
    return [
        data.collate([rows[place] for place in order[first : first + size]], its_tokenizer, {})
        for first in range(0, len(order), size)
    ]


def open_graphs(folder: Path, parts: Mapping[str, str]) -> Any:
    """The graphs in a folder, by part, as what is called like a torch model."""
    threads = available_cores()
    if "model" not in parts:
        return open_generator_in(folder, parts, Serving(threads=threads))
    session = open_session(folder / parts["model"], threads=threads)
    names = [item.name for item in session.get_inputs()]

    def run(**inputs: Tensor) -> dict[str, Tensor]:
        none = torch.zeros_like(inputs["input_ids"])  # segments, where the tokenizer tells none
        feeds = {name: inputs.get(name, none).numpy() for name in names}
        return {name: torch.from_numpy(one) for name, one in outputs(session, feeds).items()}

    return run


def law_of(model: Any) -> Law:
    """What the scores of one of a model's answers mean: a next token is one of several classes."""
    return CATEGORICAL if kind_of_model(model).generates else law_of_model(model)


@torch.no_grad()
def answers(model: Any, bare: Any, batch: Batch) -> Answers:
    """A model's answers for a batch, in fp32: those of its kind, or its next tokens, row after row.

    Args:
        model: in torch, or what is called as one (`open_graphs`).
        bare: the torch model, which knows its kind and what a decoder reads of references.
    """
    kind, labels = kind_of_model(bare), batch["labels"]
    if not kind.generates:
        found = kind.answers(kind.named(model(**inputs_of(batch))), batch)
        return Answers(found.values.float(), found.targets)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    if bare.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = bare.prepare_decoder_input_ids_from_labels(labels=labels)
        logits = model(**inputs, use_cache=False).logits
    else:
        positions = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
        logits = model(**inputs, position_ids=positions, use_cache=False).logits[:, :-1]
        labels = labels[:, 1:]
    counts = labels != NO_LABEL
    return Answers(logits[counts].float(), labels[counts])


def predicted(model: Any, bare: Any, batches: Sequence[Batch]) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """A model's predictions, see `compress.quantization.agreement.predictions`, and the labels in the same order."""
    law, found, labels = law_of(bare), [], []
    for batch in batches:
        one = answers(model, bare, batch)
        found.append(agreement.predictions(one.values.numpy(), law))
        labels.append(np.asarray(one.targets))
    return np.concatenate(found), np.concatenate(labels)


def compared(model: Any, graphs: Any, batches: Sequence[Batch], folder: Path) -> dict[str, Any]:
    """The difference between the graphs' answers and those of the trained model.

    Where an activation lies at the edge between two integers, the order of a sum decides which it becomes, and a deep model
    carries that on: in the one real summarizer that was looked at, one part in a million of the norms' weights moves logits
    by a few percent of the largest, and one part in a thousand by little more. So where the graphs of a generative model would
    write another token for certain, they are compared with its effect on the trained model. In such a model a small
    mistake of an export would not be seen here.

    Args:
        model: with its quantizers, in evaluation mode.
        graphs: opened.
        folder: theirs, for the message.

    Raises:
        CompressError: another one is best although the model's best two are further apart than the tolerance, or a score
            is no number; of a generative model, only where the graphs are further from it than it is from itself.
    """
    generates, law = kind_of_model(model).generates, law_of(model)
    scale, apart = 1.0, []
    for batch in batches:
        trained = answers(model, model, batch).values
        scale = max(scale, float(trained.abs().max()))
        apart.append(_apart(trained, answers(graphs, model, batch).values, law))
    gaps, margins = (np.concatenate(one) for one in zip(*apart, strict=True))
    tolerance = TOLERANCE * scale
    what = "tokens" if generates else "rows"
    found = {what: len(gaps), "largest_gap": float(gaps.max()), "tolerance": tolerance}
    if generates:
        found["median_gap"] = _median(gaps)
    if law.chooses:
        found[f"{what}_that_differ"] = int(np.isfinite(margins).sum())
    certain = (margins > tolerance) | ~np.isfinite(gaps)
    if not certain.any():
        return found
    if generates:
        own = np.concatenate([_own_gaps(model, batch) for batch in batches])
        found |= {
            "tokens_that_differ_for_certain": int(certain.sum()),
            "own_largest_gap": float(own.max()),
            "own_median_gap": _median(own),
        }
        if gaps[certain].max() <= found["own_largest_gap"] and found["median_gap"] <= found["own_median_gap"]:
            return found
    raise CompressError(
        f"{folder} is not the model that was trained: at {int(certain.sum())} of {len(gaps)} {what} another one is best "
        f"although the best two are more than {tolerance:.2g} apart, or a score is no number"
        f"{', and rounding does not explain it' if generates else ''}. It must not be used; please report the model's family."
    )


@contextmanager
def perturbed(model: Any) -> Iterator[None]:
    """Inside it the model's vectors (norms and biases, not quantizers') are changed by about one part in a million."""
    drawn = torch.Generator().manual_seed(0)
    some = [one for name, one in model.named_parameters() if one.dim() == 1 and "quantizer" not in name]
    before = [one.detach().clone() for one in some]
    try:
        for one in some:
            one.data *= 1 + PERTURBATION * torch.randn(one.shape, generator=drawn).to(one)
        yield
    finally:
        for one, value in zip(some, before, strict=True):
            one.data.copy_(value)


def _own_gaps(model: Any, batch: Batch) -> NDArray[np.float32]:
    """The sensitivity of a model to a perturbation: the largest difference of a score in each answer."""
    trained = answers(model, model, batch).values
    with perturbed(model):
        return _apart(trained, answers(model, model, batch).values, CATEGORICAL)[0]


def _apart(trained: Tensor, others: Tensor, law: Law) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Of each answer: the largest difference of a score (a NaN's is infinite), and how far the trained model's prediction was
    from another where the other model has another one, else NaN."""
    ours, theirs = trained.numpy(), others.numpy()
    gaps = np.nan_to_num(np.abs(ours - theirs), nan=np.inf, posinf=np.inf).max(-1)
    if not law.chooses:
        return gaps, np.full(len(gaps), np.nan)
    return gaps, np.where(law.differs(theirs, ours), law.margin(ours), np.nan)


def _median(values: NDArray[np.float32]) -> float:
    """The median; the lower one of two, as in torch."""
    return float(np.sort(values)[(len(values) - 1) // 2])
