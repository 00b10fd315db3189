"""A measurement: one quantity of one artifact, with its unit, its raw values and its condition."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from compress.core.artifact import write_whole
from compress.core.errors import CompressError

FORMAT = 1
FILE = "measurements.json"
CONFIRMATION = "confirmation"
"""The folder beside it with the measurements of the recommended variant on a split that chose nothing."""
EXACT: Any = {"extra": "forbid"}
"""How a file is read back: a field that there is not is a mistake."""


def name_in(name: str, runtime: str) -> str:
    """An artifact's name in a benchmark with several runtimes: `student (onnx_runtime)`."""
    return f"{name} ({runtime})"


@dataclass(frozen=True)
class Measurement:
    """One quantity of one artifact.

    `value` is None exactly when `absent` says why it could not be measured; it is never a stand-in such as 0 or 999.
    """

    __pydantic_config__ = EXACT

    artifact: str
    """The fingerprint of the artifact measured."""
    name: str
    """What was measured, with its unit in the name: `accuracy`, `latency_seconds`, `peak_memory_bytes`."""
    value: float | None
    unit: str
    """`seconds`, `bytes`, `examples/second`, `tokens/second`, `bytes/token`, `count`, `ratio`, `share` (0 to 1),
    `coefficient` (-1 to 1), `points` (0 to 100, as BLEU and chrF are given) or `perplexity`."""
    higher_is_better: bool
    condition: Mapping[str, Any] = field(default_factory=dict)
    """What it was read under: runtime, threads, batch, length, split, session options, part of the latency."""
    samples: int = 0
    """How many examples or timings stand behind the value."""
    interval: tuple[float, float] | None = None
    """The 95 % interval of the value, where one is known."""
    raw: tuple[float, ...] = ()
    """Every timing, in order, or what else the value was made from."""
    per_example: tuple[float, ...] = ()
    """One score for each evaluation example in the split's order (1 right, 0 wrong), where the metric has one."""
    predictions: tuple[float, ...] = ()
    """One class id or score for each evaluation example in the split's order."""
    statistics: tuple[tuple[float, ...], ...] = ()
    """[examples][columns] for a metric of sums over the split (ROUGE's, BLEU's counts, a perplexity's log-likelihoods): its
    score is made from the columns' sums, so what is compared or resampled are these rows."""
    disturbed: tuple[int, ...] = ()
    """Of timings: the rounds, from 0, in which other processes used the processors. They are in `raw`, and in no ratio."""
    absent: str | None = None
    """Why there is no value."""
    notes: tuple[str, ...] = ()
    """What a reader must know: a noisy round, a signature, a count of rows cut."""


@dataclass(frozen=True)
class Measured:
    """One artifact as it was when it was measured: enough for a report after its folder is deleted."""

    __pydantic_config__ = EXACT

    name: str
    """Short and unique in its run: the folder's or the step's name; the baselines are `fp32-torch` and `fp32-onnx`."""
    fingerprint: str
    folder: str
    manifest: Mapping[str, Any]
    role: str = "variant"
    """`root` for the uncompressed torch model, `baseline` for its fp32 ONNX export, `variant` for every other one."""


@dataclass(frozen=True)
class Measurements:
    """The results of one benchmark run: artifacts measured together on one machine with one suite."""

    __pydantic_config__ = EXACT

    suite: Mapping[str, Any]
    machine: Mapping[str, Any]
    """CPU model, cores, features, memory, versions of packages, GPU where there is one."""
    task: Mapping[str, Any]
    split: Mapping[str, Any]
    """The identity of the evaluation split: files' hashes, rows."""
    artifacts: tuple[Measured, ...]
    measurements: tuple[Measurement, ...]
    references: tuple[float, ...] = ()
    """The evaluation split's labels, in order."""
    created: str = ""
    """ISO time in UTC."""
    notes: tuple[str, ...] = ()
    baselines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What takes no model, on the same split: `{"lead-3": {"rouge_l": 0.24, ...}}` in the units of the metrics."""
    without_model: tuple[Measurement, ...] = ()
    """The same as measurements, so that a model can be compared with them on the same rows: `artifact` holds the baseline's name.
    The first note says what it predicts. Empty where an older version wrote none."""
    slices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Which slice each example is in, by length, label or another column, in the split's order, -1 for none:
    `{"length": {"names": ["1 to 7 words", ...], "rows": [0, 3, ...]}}`."""
    plan: str = ""
    """A hash over all that decided what was measured, and on what machine; empty where an older version wrote none."""

    def unmeasured(self) -> dict[str, str]:
        """The artifacts that could not be run, by name, with the reason: neither their quality nor their speed is known."""
        found = {}
        for artifact in self.artifacts:
            of_runs = [
                one for one in self.measurements if one.artifact == artifact.fingerprint and "runtime" in one.condition
            ]
            of_runs = [one for one in of_runs if not one.name.endswith("_bytes")]
            if all(one.value is None for one in of_runs):
                found[artifact.name] = next((one.absent for one in of_runs if one.absent), "nothing was asked of it")
        return found

    def save(self, folder: Path) -> Path:
        """Write `measurements.json` into the folder, completely or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / FILE
        write_whole(target, json.dumps({"format": FORMAT, **asdict(self)}, indent=1, allow_nan=False) + "\n")
        return target

    @staticmethod
    def open(path: Path) -> Measurements:
        """Read a `measurements.json`, or the one inside a folder.

        Raises:
            CompressError: there is none, or it was written by another version of the format.
        """
        file = path / FILE if path.is_dir() else path
        if not file.is_file():
            raise CompressError(f"{path} holds no {FILE}. Make one with `compress benchmark ARTIFACT -o {path}`.")
        from pydantic import TypeAdapter, ValidationError

        try:
            raw = json.loads(file.read_bytes())
            if not isinstance(raw, dict):
                raise ValueError(f"it holds {type(raw).__name__}, not a mapping")
            if raw.pop("format", None) != FORMAT:
                raise CompressError(f"{file} was written in another format than {FORMAT}. Measure again.")
            found: Measurements = TypeAdapter(Measurements).validate_python(raw)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise CompressError(
                f"{file} is not a file of measurements ('{place}': {first['msg']}). Measure again."
            ) from error
        except OSError as error:
            raise CompressError(f"{file} cannot be read ({error.strerror}).") from error
        except (ValueError, RecursionError) as error:
            raise CompressError(f"{file} is not a file of measurements ({error}). Measure again.") from error
        return found
