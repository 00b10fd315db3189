"""Compares an ONNX file with its torch model on real rows at several shapes, and refuses large differences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from compress.core.errors import CompressError, listing
from compress.models.families import read_token
from compress.runtimes.graph_files import OpenGraph, open_graph
from compress.runtimes.rows import Rows, given_by_name
from compress.runtimes.session_choices import DEFAULT, SessionChoice
from compress.tasks import kinds
from compress.tasks.kinds import Kind
from compress.tasks.kinds.laws import CATEGORICAL, Law

Row = dict[str, np.ndarray]  # one sentence, unpadded: each value [length] or [1, length], integers

# Relative to the largest logit (1 at least). fp32: the same sums in another order, through up to 24 layers, differ by
# 1e-6 to 1e-5; the faults we know (a dropped mask, a wrong position) move logits by 1e-2 and more.
# fp16: 11 bits of mantissa round each activation by up to 5e-4, and the layers add these up to some 1e-3 to 1e-2.
TOLERANCE = {"fp32": 1e-4, "fp16": 3e-2}
REPORTED = ("int8", "int4", "bf16")
"""Precisions whose gap is reported and not judged."""
WAY_OUT = {
    "fp32": "What was written must not be used; please report the model's family.",
    "fp16": "This model loses too much in 16 bits: keep it in fp32, or try bf16 or int8.",
}


@dataclass(frozen=True)
class Parity:
    """The difference between an ONNX graph's outputs (logits, a vector) and its source's.

    largest_gap: by shape, the largest absolute difference of a logit. scale: the source's largest absolute logit.
    tolerance: the largest gap allowed, None where the precision is compared for information only (int8, int4).
    equal_predictions: the share of answers (0 to 1, one a row or a token) with the same prediction; None for a regression.
    """

    precision: str
    rows: int
    largest_gap: dict[str, float]
    scale: float
    tolerance: float | None
    equal_predictions: float | None
    compared: int = 0
    """Of generative models: the tokens that `equal_predictions` is the share of."""

    @property
    def is_within_tolerance(self) -> bool:
        return self.tolerance is None or all(gap <= self.tolerance for gap in self.largest_gap.values())

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Step:
    """One output of a graph and of its source, at one shape."""

    shape: str
    wanted: np.ndarray
    """The source's, without what stands at padding."""
    found: np.ndarray
    """The graph's, in the same shape."""
    same: np.ndarray | None = None
    """For each answer whether both predict the same, [answers], boolean; None where nothing is predicted."""


def measured(steps: Iterable[Step], rows: int, precision: str, *, by_token: bool = False) -> Parity:
    """How far graphs are from their source in all of some steps.

    Args:
        rows: how many were compared.
        by_token: whether the answers are tokens, which are counted then.
    """
    if not rows:
        raise CompressError("The comparison of an export with its source needs at least one encoded row.")
    if precision not in (*TOLERANCE, *REPORTED):
        raise CompressError(f"Unknown precision '{precision}' to compare. Known: {listing((*TOLERANCE, *REPORTED))}.")
    gaps: dict[str, float] = {}
    scale, same = 0.0, []
    for step in steps:
        gap = np.abs(step.found - step.wanted)
        # A NaN compares as nothing: it is the largest gap there can be.
        largest = float(gap.max()) if np.isfinite(gap).all() else float("inf")
        gaps[step.shape] = max(gaps.get(step.shape, 0.0), largest)
        scale = max(scale, float(np.abs(step.wanted).max()))
        if step.same is not None:
            same.append(step.same)
    tolerance = TOLERANCE[precision] * max(1.0, scale) if precision in TOLERANCE else None
    answers = np.concatenate(same) if same else None
    share = None if answers is None else float(answers.mean())
    return Parity(
        precision, rows, gaps, scale, tolerance, share, len(answers) if by_token and answers is not None else 0
    )


def refuse_gap(parity: Parity, path: Path) -> Parity:
    """The parity of a graph where no gap is beyond the tolerance (fewer than 16 bits have none: theirs is only reported).

    Raises:
        CompressError: one is.
    """
    if not parity.is_within_tolerance:
        shape, gap = max(parity.largest_gap.items(), key=lambda item: item[1])
        raise CompressError(
            f"{path} is not its source: at shape '{shape}' a logit differs by {gap:.3g}, beyond the tolerance of "
            f"{parity.tolerance:.3g} for {parity.precision}. {WAY_OUT[parity.precision]}"
        )
    return parity


def refuse_shape(path: Path, name: str, found: Sequence[int], wanted: Sequence[int]) -> None:
    """Raises a CompressError where a graph gives an output of another shape than its source."""
    if tuple(found) != tuple(wanted):
        raise CompressError(
            f"{path} gives {name} of {list(found)} where its source gives {list(wanted)}. Export it again."
        )


def compare(
    path: Path,
    source: nn.Module | Path,
    rows: Sequence[Row],
    *,
    precision: str = "fp32",
    padding: dict[str, int] | None = None,
    threads: int = 1,
    options: SessionChoice = DEFAULT,
    law: Law = CATEGORICAL,
    kind: Kind | None = None,
) -> Parity:
    """The gap between the graph at `path` and its `source`, a torch model or another ONNX file, on encoded `rows`.

    Shapes: `batch 1`, each row as it is; `padded`, all rows in one batch, filled up to the longest with `padding` (a
    value by input name, 0 where not given; the mask always gets 0); `unpadded`, all rows cut to the shortest one but for
    their last token, which may be the one that is read. All outputs of the kind are compared; where a row has an entry for each
    token, those of real tokens.

    Args:
        law: what an answer's logits mean.
        kind: of the model; by default one with `logits` a row.
    """
    graph = open_graph(path, threads=threads, options=options, precision=precision)
    steps = _steps(path, graph, source, rows, padding or {}, threads, law, kind or kinds.by_adapter(""))
    return measured(steps, len(rows), precision)


def check(
    path: Path,
    source: nn.Module | Path,
    rows: Sequence[Row],
    *,
    precision: str = "fp32",
    padding: dict[str, int] | None = None,
    threads: int = 1,
    options: SessionChoice = DEFAULT,
    law: Law = CATEGORICAL,
    kind: Kind | None = None,
) -> Parity:
    """`compare`, and a CompressError where a gap is beyond the tolerance (int8 has none: it is only reported)."""
    parity = compare(
        path, source, rows, precision=precision, padding=padding, threads=threads, options=options, law=law, kind=kind
    )
    return refuse_gap(parity, path)


def _steps(
    path: Path,
    graph: OpenGraph,
    source: nn.Module | Path,
    rows: Sequence[Row],
    padding: Mapping[str, int],
    threads: int,
    law: Law,
    kind: Kind,
) -> Iterator[Step]:
    flat = [{name: np.asarray(value).reshape(-1) for name, value in row.items()} for row in rows]
    shapes: dict[str, list[Row]] = {
        "batch 1": [{name: value[None] for name, value in row.items()} for row in flat],
        "padded": [_padded(flat, padding)],
        "unpadded": [_cut(flat)],
    }
    reference = _reference(source, graph.inputs, threads)
    for shape, batch in [(shape, batch) for shape, batches in shapes.items() for batch in batches]:
        found, wanted = (_given(kind, one, batch) for one in (graph.outputs(batch), reference(batch)))
        differs = law.differs(*(_answers(kind, one, batch) for one in (found, wanted))) if law.chooses else None
        for name, theirs in wanted.items():
            refuse_shape(path, name, found[name].shape, theirs.shape)
            mine, theirs = (_real(one, batch["attention_mask"], kind, name) for one in (found[name], theirs))
            is_first = name == kind.outputs[0].name  # an answer is made of all outputs, and counts once
            yield Step(shape, theirs, mine, ~differs if is_first and differs is not None else None)


def _given(kind: Kind, found: Mapping[str, np.ndarray], batch: Row) -> dict[str, np.ndarray]:
    """The outputs of a kind, by name."""
    return {one.name: given_by_name(found, one.name, len(kind.outputs)) for one in kind.outputs}


def _real(values: np.ndarray, mask: np.ndarray, kind: Kind, name: str) -> np.ndarray:
    """An output without what stands at padding: behind the end of a row there is nothing to compare."""
    by_row = next(one.of for one in kind.outputs if one.name == name) == "row"
    return values if by_row else values[np.asarray(mask, bool)]


def _answers(kind: Kind, found: Mapping[str, np.ndarray], batch: Row) -> np.ndarray:
    """The answers, [answers, outcomes], where an outcome that does not exist is never chosen."""
    tensors, read = ({name: torch.from_numpy(np.array(one)) for name, one in some.items()} for some in (found, batch))
    answers = kind.answers(tensors, read)
    values = answers.values if answers.valid is None else answers.values.masked_fill(~answers.valid, -torch.inf)
    return np.asarray(values.numpy())


def _padded(rows: Sequence[Row], padding: Mapping[str, int]) -> Row:
    columns = {name: tuple(np.asarray(row[name], np.int64) for row in rows) for name in rows[0]}
    return Rows(columns, {**padding, "attention_mask": 0}).batch(range(len(rows)))


def _cut(rows: Sequence[Row]) -> Row:
    shortest = min(len(row["input_ids"]) for row in rows)
    return {name: np.stack([np.r_[row[name][: shortest - 1], row[name][-1:]] for row in rows]) for name in rows[0]}


def _reference(source: nn.Module | Path, names: Sequence[str], threads: int) -> Any:
    if not isinstance(source, nn.Module):
        return open_graph(source, threads=threads).outputs

    def run(batch: Row) -> dict[str, np.ndarray]:
        was_training = source.training
        device = next(source.parameters()).device
        source.eval()
        try:
            with torch.no_grad():
                feeds = {name: torch.from_numpy(np.asarray(batch[name], np.int64)).to(device) for name in names}
                found = read_token.outputs(source, feeds)
                return {name: np.asarray(one.float().cpu().numpy()) for name, one in found.items()}
        finally:
            source.train(was_training)

    return run
