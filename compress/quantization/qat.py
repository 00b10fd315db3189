"""Trains a model in the integers that it will be served with, and hands over the graph that computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from compress.core.artifact import Artifact, wait_until
from compress.core.cache import entry, opened
from compress.core.cores import available_cores
from compress.core.errors import CompressError
from compress.core.labels import ANSWERED, LABELS, TARGETS
from compress.data import calibration
from compress.quantization.calibrate import static_scheme
from compress.quantization.graphs.qdq import write_scheme
from compress.quantization.int8_settings import Int8Settings
from compress.quantization.qat_modules import attach, watch
from compress.quantization.qat_settings import Qat
from compress.quantization.scheme import Scheme
from compress.runtimes.sessions import logits, open_session
from compress.tasks.kinds.laws import Law
from compress.training.objectives import Hold

SCHEME = "scheme.safetensors"
ROWS = 1000
"""Held-out rows on which the graph is compared with the model that was trained."""
TOLERANCE = 0.05
"""As a share of the largest logit. A sum that is rounded otherwise in its last bit can move a later layer's input to the
next integer, and that integer the next layers': on 1,000 sentences a logit of a 6-layer model moved by up to 0.03 of it."""

DROPOUTS = ("dropout", "attention_dropout", "activation_dropout", "layerdrop")
"""What modules of transformers call a share that they drop by themselves."""

Batch = dict[str, np.ndarray]


def start(
    graph: Path | None, source: Artifact, task: Mapping[str, Any] | None, settings: Int8Settings, scratch: Path
) -> Scheme:
    """The scheme of static quantization, which training starts from; calibrated once, by the process with the graph.

    Raises:
        CompressError: see `compress.quantization.calibrate.static_scheme`.
    """
    kept = scratch / "start"
    if graph is not None:
        whole = graph

        def make(folder: Path) -> None:
            static_scheme(whole, source.folder, task, settings).save(folder / SCHEME)

        entry(kept, make)
    wait_until(lambda: opened(kept) is not None, "the first process to calibrate")
    return Scheme.load(kept / SCHEME)


class Following:
    """Ranges follow what training shows them up to a share of it, and rest from there on."""

    def __init__(self, model: nn.Module, until: float) -> None:
        self.model, self.until = model, until

    def start(self) -> None:
        """Whether they follow still is in the checkpoint, with the ranges."""

    def after_step(self, progress: float) -> None:
        if progress >= self.until:
            watch(self.model, False)

    def is_done(self, progress: float) -> bool:
        return progress >= self.until


class Together:
    """Several holds as one."""

    def __init__(self, holds: Sequence[Hold]) -> None:
        self.holds = holds

    def start(self) -> None:
        for hold in self.holds:
            hold.start()

    def after_step(self, progress: float) -> None:
        for hold in self.holds:
            hold.after_step(progress)

    def is_done(self, progress: float) -> bool:
        return all(hold.is_done(progress) for hold in self.holds)


@contextmanager
def in_integers(model: Any, scheme: Scheme, settings: Qat, zeros: Hold | None) -> Iterator[Hold | None]:
    """A model that computes with a scheme while this lasts, and what holds its zeros and ranges.

    Args:
        settings: `step_sizes`, `freeze_observers_at` and `dropout` of `compress qat`.
        zeros: what holds the zeros of a pruned model.
    """
    learned = settings.step_sizes == "learned"
    attach(model, scheme, learned=learned)
    holds = [zeros] if zeros else []
    if not learned:
        watch(model, True)
        holds.append(Following(model, settings.freeze_observers_at))
    shares = {} if settings.dropout else dict(_dropouts(model))
    for module, name in shares:
        setattr(module, name, 0.0)
    yield Together(holds) if holds else None
    for (module, name), share in shares.items():
        setattr(module, name, share)


def _dropouts(model: Any) -> Iterator[tuple[tuple[nn.Module, str], float]]:
    """Each share that is dropped at random: of a module of its own, or of one that drops by itself (BART, T5's attention)."""
    for module in model.modules():
        for name in ("p",) if isinstance(module, nn.Dropout) else DROPOUTS:
            share = getattr(module, name, None)
            if isinstance(share, float):
                yield (module, name), share


def batches_of(rows: Any, its_tokenizer: Any) -> tuple[list[Batch], np.ndarray]:
    """The first held-out rows as padded batches, and the labels of their answers in the same order, [answers]."""
    few = rows.select(range(min(ROWS, len(rows))))
    encoded = [{**calibration.model_inputs(row, its_tokenizer), **calibration.targets(row)} for row in few]
    found = list(calibration.batches(encoded, 32, its_tokenizer.pad_token_id or 0))
    labels = [batch.pop(LABELS) for batch in found]
    if ANSWERED in found[0]:
        labels = [one[batch[ANSWERED].astype(bool)] for one, batch in zip(labels, found, strict=True)]
    return found, np.concatenate(labels)


def _answers(logits: np.ndarray, batch: Batch) -> np.ndarray:
    """[batch, outputs] as it is; of [batch, tokens, outputs] the tokens that are answers."""
    return logits[batch[ANSWERED].astype(bool)] if ANSWERED in batch else logits


def torch_logits(model: Any, batches: Sequence[Batch]) -> np.ndarray:
    """What a model answers in fp32, [answers, outputs]."""
    device = next(model.parameters()).device
    names = _inputs(model) - set(TARGETS)
    model.eval()
    with torch.no_grad():
        found = [
            model(**{key: torch.from_numpy(batch[key]).to(device) for key in batch if key in names}).logits
            for batch in batches
        ]
    return np.concatenate(
        [_answers(one.float().cpu().numpy(), batch) for one, batch in zip(found, batches, strict=True)]
    )


def onnx_logits(graph: Path, batches: Sequence[Batch]) -> np.ndarray:
    """What a graph answers, [answers, outputs]."""
    session = open_session(graph, threads=available_cores())
    names = {item.name for item in session.get_inputs()}
    return np.concatenate([_answers(logits(session, {key: batch[key] for key in names}), batch) for batch in batches])


def rounded(graph: Path, scheme: Scheme, scratch: Path) -> Path:
    """A graph in a scheme's integers, in a folder that goes when the step is done."""
    file = scratch / "start.onnx"
    write_scheme(graph, file, scheme)
    return file


def compared(graph: Path, answers: np.ndarray, trained: np.ndarray, law: Law) -> dict[str, Any]:
    """How far a graph's answers are from those of the model that was trained in its integers.

    Args:
        graph: for the message.
        law: of the answers.
        answers: the graph's logits, [answers, outputs].
        trained: the model's.

    Raises:
        CompressError: a row has another class although its highest logits are further apart than the tolerance.
    """
    tolerance = TOLERANCE * max(1.0, float(np.abs(trained).max()))
    found = {"rows": len(trained), "largest_gap": float(np.abs(answers - trained).max()), "tolerance": tolerance}
    if not law.chooses:
        return found
    differs = law.differs(answers, trained)
    certain = law.margin(trained) > tolerance
    if (differs & certain).any():
        raise CompressError(
            f"{graph} is not the model that was trained: {int((differs & certain).sum())} of {len(trained)} held-out rows "
            f"have another class although their logits are more than {tolerance:.2g} apart. It must not be used; please "
            "report the model's family."
        )
    return {**found, "rows_that_differ": int(differs.sum())}


def unlike(answers: np.ndarray, reference: np.ndarray, law: Law) -> int | float:
    """On how many rows two models disagree; of a regression's scores, their mean absolute difference."""
    if not law.chooses:
        return float(np.abs(answers - reference).mean())
    return int(law.differs(answers, reference).sum())


def _inputs(model: Any) -> set[str]:
    import inspect

    forward: Callable[..., Any] = model.forward
    return set(inspect.signature(forward).parameters)
