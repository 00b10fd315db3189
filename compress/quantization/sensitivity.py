"""Ranks what can be quantized by what it loses alone: one layer, or group of layers, is quantized at a time.

The fp32 graph is exported and calibrated once, and its outputs are computed once. A trial writes a part of the one scheme, so
what is in it is quantized exactly as in the whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.errors import CompressError
from compress.core.progress import bar
from compress.core.temporary import temporary_folder
from compress.onnx.graph import Graph
from compress.quantization import exclusion
from compress.quantization.graphs.dynamic import weights_scheme
from compress.quantization.graphs.layers import refuse_quantized
from compress.quantization.graphs.qdq import write_scheme
from compress.quantization.held_out import HeldOut, Outputs
from compress.quantization.int8_settings import Int8Settings
from compress.quantization.scheme import Scheme
from compress.quantization.units import Unit, shares
from compress.tasks.task import DescribedTask


def scheme_of(graph: Path, mode: str, folder: Path, described: DescribedTask | None, settings: Int8Settings) -> Scheme:
    """How everything that the settings name is quantized.

    Args:
        graph: a classifier's, in fp32.
        mode: `dynamic` or `static`, which calibrates.
        folder: the artifact's, which holds its tokenizer and config.

    Raises:
        CompressError: there is nothing to quantize, or the calibration set does not fit.
    """
    if mode == "static":
        from compress.quantization.calibrate import static_schemes

        return static_schemes({"model": graph}, ("model",), folder, described, settings)["model"]
    exclusion.check(settings, [graph])
    loaded = Graph.load(graph)
    refuse_quantized(loaded, graph)
    found = weights_scheme(loaded, embeddings=settings.embeddings, exclude=settings.exclude)
    if not found:
        raise CompressError(
            f"{graph} has no matrix product with a constant weight of a worthwhile size to quantize"
            f"{' outside the excluded names' if settings.exclude else ''}. Give a float classifier's export."
        )
    return found


@dataclass(frozen=True)
class Loss:
    """What a quantized model loses against fp32 on the same rows."""

    divergence: float
    """The mean over the answers of KL(fp32 || quantized), at least 0; of numbers the mean squared difference. Infinite where an
    output is no number."""
    changed: float | None
    """The share of examples with another prediction, 0 to 1; None for numbers, which all change a little."""
    drop: float
    """How much worse the task's metric is, in points; below 0 where it is better, infinite where it does not exist."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON dictionary; what is infinite is None."""
        return {name: value if value is None or math.isfinite(value) else None for name, value in asdict(self).items()}


class Trials:
    """An fp32 graph and a scheme, of which any part can be tried on the same held-out rows."""

    def __init__(self, graph: Path, scheme: Scheme, held_out: HeldOut, *, threads: int) -> None:
        self.graph, self.scheme, self.held_out, self.threads = graph, scheme, held_out, threads

    @cached_property
    def reference(self) -> Outputs:
        """What fp32 outputs."""
        return self.held_out.outputs(self.graph, threads=self.threads)

    @cached_property
    def reference_predictions(self) -> Any:
        """What fp32 predicts."""
        return self.held_out.predicted(self.reference)

    def predicted(self, layers: Iterable[str]) -> Any:
        """What the model predicts with these layers quantized."""
        return self.held_out.predicted(self._outputs(layers))

    def loss(self, layers: Iterable[str]) -> Loss:
        """What the model loses with these layers of the scheme quantized."""
        outputs = self._outputs(layers)
        predicted, reference = self.held_out.predicted(outputs), self.reference_predictions
        changed = None
        if self.held_out.task.law.chooses:
            pairs = zip(predicted, reference, strict=True)
            changed = float(np.mean([not np.array_equal(ours, theirs) for ours, theirs in pairs]))
        return Loss(self._divergence(outputs), changed, self.held_out.drop(predicted, reference))

    def _outputs(self, layers: Iterable[str]) -> Outputs:
        wanted = set(layers)
        part = Scheme({name: layer for name, layer in self.scheme.items() if name in wanted})
        with temporary_folder() as folder:
            path = folder / "trial.onnx"
            write_scheme(self.graph, path, part)
            return self.held_out.outputs(path, threads=self.threads)

    def _divergence(self, outputs: Outputs) -> float:
        """The sum over the outputs: of scores by the task's law, of any others the mean squared difference."""
        import torch

        total = 0.0
        for name, theirs in self.reference.items():
            ours = outputs[name]
            if not np.isfinite(ours).all():
                return math.inf
            if theirs.ndim == 2:
                law, scores = self.held_out.task.law, torch.from_numpy(ours)
                total += float(law.divergence(scores, torch.from_numpy(theirs), 1.0).mean())
            else:
                total += float(np.square(ours - theirs).mean())
        return max(total, 0.0)  # rounding may leave a little less than nothing


@dataclass(frozen=True)
class Finding:
    """What quantizing one layer or group alone loses, and what it brings."""

    unit: Unit
    loss: Loss
    share: float
    """Of what quantizing everything brings, 0 to 1, see `compress.quantization.units.shares`."""

    @property
    def loss_per_share(self) -> float:
        """The divergence for each whole that it brings: the higher, the sooner it should stay in floating point."""
        return self.loss.divergence / self.share if self.share else math.inf

    def to_json(self) -> dict[str, Any]:
        """As a JSON dictionary."""
        per_share = self.loss_per_share
        return {
            "name": self.unit.name,
            "group": self.unit.group,
            "layers": list(self.unit.layers),
            **self.loss.to_json(),
            "bytes": self.unit.bytes,
            "multiply_adds": self.unit.multiply_adds,
            "share": self.share,
            "loss_per_share": per_share if math.isfinite(per_share) else None,
        }


def ranked(trials: Trials, units: Sequence[Unit]) -> list[Finding]:
    """Each unit quantized alone; first those that lose most for what they bring. One trial for each."""
    brings, found = shares(units), []
    with bar("trials of one layer at a time", len(units)) as running:
        for unit in units:
            found.append(Finding(unit, trials.loss(unit.layers), brings[unit.name]))
            running.advance(note=unit.name)
    return sorted(found, key=lambda one: (-one.loss_per_share, one.unit.name))


@dataclass(frozen=True)
class Sensitivity:
    """A ranking, and what it was measured on."""

    findings: tuple[Finding, ...]
    """First those that lose most for what they bring."""
    everything: Loss
    """With all of them quantized."""
    facts: Mapping[str, Any]
    """The model, the mode, the metric and fp32's score in it, how many rows of which split, and their mean length in tokens."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON dictionary."""
        return {
            **self.facts,
            "everything": self.everything.to_json(),
            "findings": [one.to_json() for one in self.findings],
        }
