"""Measures artifacts side by side, each in processes of its own, beside the uncompressed model in torch and as fp32 ONNX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from compress import __version__, catalogue, shipped
from compress.artifact import Artifact, digest
from compress.errors import CompressError
from compress.measure.evaluation import Evaluation
from compress.measure.inputs import Condition
from compress.measure.machine import available_cores, machine, providers
from compress.measure.together import BASELINE, ROOT, Entry, Plan, measure
from compress.measurement import Measurements
from compress.models import bring, check_labels
from compress.progress import say, warn
from compress.settings import Settings, build, read_yaml
from compress.tasks import loading
from compress.technique import apply, versions

FP32_TORCH, FP32_ONNX = "fp32-torch", "fp32-onnx"
MAX_LENGTH = 128
"""Tokens of an example where no training step of the artifacts says otherwise: the training techniques' own default."""


class TimedCondition(Settings):
    """One line of a suite's `conditions`."""

    batch: int = Field(ge=1, description="Examples at once.")
    length: Literal["real"] | int = Field(description="Tokens in each, or `real`.")
    calls: int = Field(ge=1, description="Timed calls in each round.")


class Suite(Settings):
    """What to measure and how carefully: a file in `benchmarks/`."""

    name: str = Field("", description="The file's name where it says none.")
    device: Literal["cpu", "cuda"] = Field("cpu", description="Where the models run.")
    threads: int | None = Field(None, ge=1, description="Threads of each worker; 2, or 1 on a single core, by default.")
    rounds: int = Field(10, ge=1, description="How often every artifact is visited under every condition.")
    repeats: int = Field(2, ge=0, le=2, description="How often a disturbed round is measured again.")
    options: tuple[str, ...] = Field(("ours",), min_length=1, description="Session options of ONNX Runtime, by name.")
    conditions: tuple[TimedCondition, ...] = Field(min_length=1, description="What is timed; memory at fixed lengths.")
    batch_size: int = Field(32, ge=1, description="Examples in a batch when the quality is measured.")
    max_length: int | None = Field(None, ge=4, description="Tokens after which a text is cut; as trained by default.")
    seed: int = Field(0, description="For the examples timed at real lengths.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        from compress.onnx.sessions import session_choice

        for name in self.options:
            session_choice(name)
        keys = [one.key for one in self.timed()]
        if len(set(keys)) < len(keys):
            raise ValueError(f"the condition {max(keys, key=keys.count)} is there twice")
        return self

    def timed(self) -> tuple[Condition, ...]:
        """The conditions as the measuring code takes them."""
        return tuple(Condition(one.batch, one.length, one.calls) for one in self.conditions)

    def with_defaults(self) -> Suite:
        """The same with the number of threads that this machine gives it."""
        return self.model_copy(update={"threads": self.threads or min(2, available_cores())})


def read_suite(name: str) -> Suite:
    """The suite in a YAML file, or a shipped one by its name.

    Raises:
        CompressError: there is none, or a setting in it is unknown, missing or does not fit.
    """
    file = shipped.find("benchmarks", name)
    values, lines = read_yaml(file)
    return build(Suite, {"name": file.stem, **values}, str(file), lines)


def run(
    artifacts: Sequence[tuple[str, Artifact]],
    suite: Suite,
    out: Path,
    *,
    cache: Path,
    task: Mapping[str, Any] | None = None,
) -> Measurements:
    """Measure artifacts and their two baselines, and save `measurements.json`.

    The uncompressed model that the first artifact came from, and its fp32 ONNX export (made once into the cache), are
    measured in the same rounds. An artifact that fails is listed with the reason; the others are measured.

    Args:
        artifacts: (name, artifact), at least one; one that is a baseline, or twice the same, is measured once.
        suite: what to measure.
        out: the folder for `measurements.json`.
        cache: where exports and quality results are kept by content.
        task: the task to be measured on; the artifacts' own where None.

    Raises:
        CompressError: there is no task, its data cannot be read, or the uncompressed model is gone or has other labels.
    """
    suite = suite.with_defaults()
    described = task or next((one.task for _, one in artifacts if one.task is not None), None)
    if described is None:
        raise CompressError(
            f"{artifacts[0][1].folder} has no task to be measured on. Name one, for example `--task sst2 --data DIR`."
        )
    resolved, data = loading.resolve(dict(described))
    split = loading.load(resolved, data, "evaluation")
    root = _root(artifacts[0][1])
    if root.format == "torch":
        check_labels(root.folder, resolved)
    notes = _other_roots(artifacts, root)
    baseline = _fp32_onnx(root, suite, cache, described, notes)
    entries = _line_up(artifacts, root, baseline)
    evaluation = Evaluation(
        resolved,
        [catalogue.find("metrics", name) for name in resolved.metrics],
        split,
        suite.max_length or _trained_length([one.artifact for one in entries]),
        cache,
        root=entries[0].name,
    )
    plan = Plan(
        runtimes=[catalogue.find("runtimes", name) for name in catalogue.names("runtimes")],
        conditions=suite.timed(),
        threads=suite.threads or 1,
        device=suite.device,
        options=suite.options,
        rounds=suite.rounds,
        repeats=suite.repeats,
        batch_size=suite.batch_size,
        seed=suite.seed,
    )
    say(f"Measuring {len(entries)} models on {len(split.rows)} examples with {plan.threads} threads.")
    found = measure(entries, evaluation, plan)
    measurements = Measurements(
        suite={**suite.model_dump(mode="json"), "session_options": _definitions(suite.options)},
        machine={**machine(gpu=True), "onnxruntime_providers": providers()},
        task={**resolved.to_json(), "data": data},
        split={**split.identity, "max_length": evaluation.max_length},
        artifacts=tuple(entry.measured() for entry in entries),
        measurements=tuple(found.measurements),
        references=evaluation.references,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        notes=(*notes, *found.notes),
    )
    measurements.save(out)
    return measurements


def _definitions(options: Sequence[str]) -> dict[str, Any]:
    """What the session options stand for: a speed is stated with its options, not with their names alone."""
    from compress.onnx.sessions import session_choice

    return {name: session_choice(name).to_dict() for name in options}


def _root(artifact: Artifact) -> Artifact:
    """The uncompressed model that an artifact came from.

    Raises:
        CompressError: its folder is gone or holds another model.
    """
    origin = artifact.root()
    if origin["fingerprint"] == artifact.fingerprint():
        return artifact
    folder = Path(origin["folder"])
    if not folder.is_dir():
        raise CompressError(
            f"{artifact.folder} was made from {folder}, which is gone, and nothing is compared without its origin. "
            "Put that folder back, or make the artifact again."
        )
    root = bring(str(folder))
    if root.fingerprint() != origin["fingerprint"]:
        raise CompressError(
            f"{artifact.folder} was made from another model than the one that is in {folder} now. "
            "Put the former one back, or make the artifact again."
        )
    return root


def _other_roots(artifacts: Sequence[tuple[str, Artifact]], root: Artifact) -> list[str]:
    """A note for each artifact that came from another model than the one all are compared with."""
    mine = root.fingerprint()
    return [
        f"{name} came from another uncompressed model ({one.root()['folder']}) than the one it is compared with"
        for name, one in artifacts
        if one.root()["fingerprint"] != mine
    ]


def _fp32_onnx(root: Artifact, suite: Suite, cache: Path, task: Mapping[str, Any], notes: list[str]) -> Artifact | None:
    """The root's fp32 ONNX export, made once into the cache; None with a note where it cannot be made."""
    if root.format == "onnx":
        return None
    technique = catalogue.find("techniques", "export")
    settings = technique.settings(provider=suite.device)
    made_by = [root.fingerprint(), digest(root.files), suite.device, versions(), __version__]
    out = cache / "baselines" / digest(made_by)
    try:
        return apply(technique, root, settings, out, task=task, cache=cache, replace=True)
    except CompressError as error:
        warn(f"There is no fp32 ONNX baseline: {error}")
        notes.append(f"there is no fp32 ONNX baseline: {error}")
        return None


def _line_up(artifacts: Sequence[tuple[str, Artifact]], root: Artifact, baseline: Artifact | None) -> list[Entry]:
    """The baselines first, then every artifact that is not among those before it; names are made unique."""
    # A root that is itself ONNX is what speeds are compared with.
    entries = [Entry(FP32_TORCH, root, ROOT) if root.format == "torch" else Entry(FP32_ONNX, root, BASELINE)]
    if baseline is not None:
        entries.append(Entry(FP32_ONNX, baseline, BASELINE))
    for name, artifact in artifacts:
        if artifact.fingerprint() in {one.artifact.fingerprint() for one in entries}:
            continue
        names = {one.name for one in entries}
        unique = next(one for n in count(1) if (one := name if n == 1 else f"{name}-{n}") not in names)
        entries.append(Entry(unique, artifact))
    return entries


def _trained_length(artifacts: Sequence[Artifact]) -> int:
    """The longest text that any of them was trained on, in tokens."""
    lengths = [step.settings.get("max_length") for one in artifacts for step in one.steps]
    return max((int(one) for one in lengths if one is not None), default=MAX_LENGTH)
