"""Measures artifacts side by side, each in processes of its own, beside the uncompressed model in torch and as fp32 ONNX."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from compress import __version__, catalogue, leakage, shipped
from compress.artifact import Artifact, digest, write_whole
from compress.cache import entry
from compress.errors import CompressError
from compress.measure.cores import available_cores
from compress.measure.evaluation import Evaluation, Unread
from compress.measure.inputs import Condition
from compress.measure.machine import machine, providers
from compress.measure.together import BASELINE, ROOT, VARIANT, Entry, Found, Plan, measure
from compress.measurement import Measurements
from compress.metrics.metric import Metric
from compress.models import bring, check_kind, check_labels, kind_of
from compress.progress import say, warn
from compress.settings import Settings, build, read_yaml
from compress.tasks import loading
from compress.tasks.generation import readable
from compress.tasks.task import Generation, Task
from compress.technique import apply, versions

FP32_TORCH, FP32_ONNX = "fp32-torch", "fp32-onnx"
MAX_LENGTH = 128
"""Tokens of an example where no training step of the artifacts says otherwise: the training techniques' own default."""


class TimedCondition(Settings):
    """One line of a suite's `conditions`."""

    batch: int = Field(ge=1, description="Examples at once.")
    length: Literal["real"] | int = Field(description="Tokens in each, or `real`.")
    calls: int = Field(ge=1, description="Timed calls in each round.")


class ForWriters(Settings):
    """What of a suite is otherwise where models write: one call of theirs takes as long as dozens of a classifier's."""

    rounds: int | None = Field(None, ge=1, description="As the suite's.")
    options: tuple[str, ...] | None = Field(None, min_length=1, description="As the suite's.")
    conditions: tuple[TimedCondition, ...] | None = Field(None, min_length=1, description="As the suite's.")


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
    seed: int = Field(0, ge=0, lt=2**32, description="For the examples timed at real lengths.")
    beams: int = Field(1, ge=1, description="With which models write; 1: greedily.")
    new_tokens: int = Field(32, ge=2, description="Written after prompts of a fixed length.")
    prompt_tokens: int = Field(32, ge=1, description="Of a text, that a language model continues at `real` lengths.")
    context: int | None = Field(None, ge=2, description="Tokens a language model reads at once to score a text.")
    stride: int | None = Field(None, ge=1, description="Tokens from one such reading to the next; half the context.")
    generation: ForWriters | None = Field(None, description="What is otherwise for models that write.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        from compress.onnx.sessions import session_choice

        for suite in (self, self.for_writers()):
            for name in suite.options:
                session_choice(name)
            keys = [one.key for one in suite.timed()]
            if len(set(keys)) < len(keys):
                raise ValueError(f"the condition {max(keys, key=keys.count)} is there twice")
        return self

    def timed(self) -> tuple[Condition, ...]:
        """The conditions as the measuring code takes them."""
        return tuple(Condition(one.batch, one.length, one.calls) for one in self.conditions)

    def for_writers(self) -> Suite:
        """The same as it is for models that write."""
        changes = {} if self.generation is None else dict(self.generation)
        return self.model_copy(update={name: value for name, value in changes.items() if value is not None})

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
        CompressError: there is no task, its data cannot be read, the uncompressed model is gone or has other labels, or an
            artifact is of another kind than the task, or not a single model could be measured.
    """
    suite = suite.with_defaults()
    described = task or next((one.task for _, one in artifacts if one.task is not None), None)
    if described is None:
        raise CompressError(
            f"{artifacts[0][1].folder} has no task to be measured on. Name one, for example `--task sst2 --data DIR`."
        )
    resolved, data = loading.resolve(dict(described))
    split = loading.load(resolved, data, "evaluation")
    overlap = leakage.check(resolved, data)
    root = _root(artifacts[0][1])
    if resolved.is_generative:
        readable.check(resolved, split.rows)
        suite = suite.for_writers()
    if root.format == "torch":
        check_labels(root.folder, resolved)
    for _, artifact in artifacts:
        # One without a config fails when it is opened, and is listed with the reason.
        if (artifact.folder / "config.json").is_file():
            check_kind(artifact.folder, resolved)
    notes = _other_roots(artifacts, root)
    if overlap is not None and overlap.sentence(resolved.name):
        notes.append(overlap.sentence(resolved.name).rstrip("."))
    if _in_fp32(root) != root:
        notes.append(f"{FP32_TORCH} is stored in {root.precision}; it was measured in fp32")
    baseline = _fp32_onnx(root, suite, cache, described, notes)
    entries = _line_up(artifacts, root, baseline)
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
    judge = _judge_writers if resolved.is_generative else _judge_classifiers
    judged = judge(entries, resolved, data, split, suite, plan, cache)
    measurements = Measurements(
        suite={**suite.model_dump(mode="json"), "session_options": _definitions(suite.options)},
        machine={**machine(gpu=True), "onnxruntime_providers": providers()},
        task={**judged.task.to_json(), "data": data},
        split={**split.identity, **judged.read},
        artifacts=tuple(entry.measured() for entry in entries),
        measurements=tuple(judged.found.measurements),
        references=judged.references,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        notes=(*notes, *judged.found.notes),
        baselines=judged.baselines,
    )
    failed = measurements.unmeasured()
    if len(failed) == len(entries):
        raise CompressError(f"Nothing could be measured, so nothing was written. {_reasons(failed)}")
    _save_outputs(judged.found.outputs, split, out)
    measurements.save(out)
    return measurements


def check_measured(measurements: Measurements) -> None:
    """Say which artifacts could not be measured.

    Raises:
        CompressError: none of those that are compared with the baselines could.
    """
    failed = measurements.unmeasured()
    variants = {one.name for one in measurements.artifacts if one.role == VARIANT}
    if variants and variants <= failed.keys():
        raise CompressError(f"None of the artifacts could be measured, only baselines. {_reasons(failed)}")
    if failed:
        warn(f"{len(failed)} of {len(measurements.artifacts)} models could not be measured. {_reasons(failed)}")


def _reasons(failed: Mapping[str, str]) -> str:
    return " ".join(f"{name}: {reason.rstrip('.')}." for name, reason in failed.items())


@dataclass(frozen=True)
class _Judged:
    """What was found, and what of the task was read to find it."""

    found: Found
    task: Task
    read: Mapping[str, Any]
    references: tuple[float, ...] = ()
    baselines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def _judge_classifiers(
    entries: Sequence[Entry], task: Task, data: Any, split: loading.Split, suite: Suite, plan: Plan, cache: Path
) -> _Judged:
    metrics: list[Metric] = [catalogue.find("metrics", name) for name in task.metrics]
    evaluation = Evaluation(
        task,
        [one for one in metrics if one.split == split.name],
        split,
        suite.max_length or _trained_length([one.artifact for one in entries]),
        cache,
        root=entries[0].name,
    )
    names = dict.fromkeys(one.split for one in metrics if one.split != split.name)
    further = tuple(_further(evaluation, name, [one for one in metrics if one.split == name], data) for name in names)
    evaluation = replace(evaluation, further=further)
    found = measure(entries, evaluation, plan)
    return _Judged(found, task, {"max_length": evaluation.max_length}, evaluation.references)


def _further(evaluation: Evaluation, name: str, metrics: Sequence[Metric], data: Any) -> Evaluation | Unread:
    """Another split that the task is measured on, or why it is not."""
    try:
        split = loading.load(evaluation.task, data, name)
    except CompressError as error:
        return Unread(name, metrics, str(error))
    return replace(evaluation, metrics=metrics, split=split, name=name)


def _judge_writers(
    entries: Sequence[Entry], task: Task, data: Any, split: loading.Split, suite: Suite, plan: Plan, cache: Path
) -> _Judged:
    from compress.measure.generation import evaluation as generative
    from compress.measure.generation import together
    from compress.runtimes.generating import Decoding

    artifacts = [one.artifact for one in entries]
    task = generative.fitted(task, artifacts, suite.max_length)
    context, stride = generative.context_and_stride(artifacts, suite.context, suite.stride)
    said = task.generation or Generation()
    # All write by the root's rules: another n-gram rule would be another comparison.
    decoding = Decoding(suite.beams, said.max_target, generative.rules_of(artifacts[0].folder))
    writing = generative.Writing(decoding, suite.new_tokens, suite.prompt_tokens, context, stride)
    evaluation = generative.GenerativeEvaluation(task, split, writing, cache, root=entries[0].name)
    lead = together.lead_3(evaluation)
    found = together.measure(entries, evaluation, plan)
    read = evaluation.condition
    if not evaluation.models_text:
        read |= {"decoding": dict(decoding.rules), "max_source": said.max_source}
    return _Judged(found, task, read, baselines={"lead-3": lead} if lead else {})


def _save_outputs(outputs: Mapping[str, Sequence[str]], split: loading.Split, out: Path) -> None:
    """`outputs/<artifact>.jsonl`: what each wrote, beside the source and the reference where it is known."""
    folder = out / "outputs"
    names = {name: f"{name.replace('/', '_')}.jsonl" for name in outputs}
    for name, texts in outputs.items():
        folder.mkdir(parents=True, exist_ok=True)
        columns = [split.rows[one] for one in ("row_hash", "text", *(("label",) if split.is_labelled else ()))]
        keys = ("row_hash", "source", "reference", "output") if split.is_labelled else ("row_hash", "source", "output")
        rows = (dict(zip(keys, row, strict=True)) for row in zip(*columns, texts, strict=True))
        write_whole(folder / names[name], "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


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
    where = origin.get("model") or origin["folder"]
    if "model" not in origin and not Path(where).is_dir():
        raise CompressError(
            f"{artifact.folder} was made from {where}, which is gone, and nothing is compared without its origin. "
            "Put that folder back, or make the artifact again."
        )
    root = bring(where)
    if root.fingerprint() != origin["fingerprint"]:
        raise CompressError(
            f"{artifact.folder} was made from another model than the one that is in {where} now (or by an older version of "
            "compress). Put the former one back, or make the artifact again."
        )
    return root


def _other_roots(artifacts: Sequence[tuple[str, Artifact]], root: Artifact) -> list[str]:
    """A note for each artifact that came from another model than the one all are compared with."""
    mine = root.fingerprint()
    theirs = [(name, one.root()) for name, one in artifacts]
    return [
        f"{name} came from another uncompressed model ({one.get('model') or one['folder']}) than the one it is compared with"
        for name, one in theirs
        if one["fingerprint"] != mine
    ]


def _fp32_onnx(root: Artifact, suite: Suite, cache: Path, task: Mapping[str, Any], notes: list[str]) -> Artifact | None:
    """The root's fp32 ONNX export, made once into the cache; None with a note where it cannot be made."""
    if root.format == "onnx":
        return None
    technique = catalogue.find("techniques", "export")
    settings = technique.settings(provider=suite.device)
    made_by = [root.fingerprint(), digest(root.files), suite.device, versions(), __version__]

    def make(folder: Path) -> None:
        apply(technique, root, settings, folder / FP32_ONNX, task=task, cache=cache)

    try:
        kept = entry(cache / "baselines" / digest(made_by), make)
        return Artifact.open(kept.folder / FP32_ONNX, verify=False)  # the cache has compared the hashes
    except CompressError as error:
        warn(f"There is no fp32 ONNX baseline: {error}")
        notes.append(f"there is no fp32 ONNX baseline: {error}")
        return None


def _line_up(artifacts: Sequence[tuple[str, Artifact]], root: Artifact, baseline: Artifact | None) -> list[Entry]:
    """The baselines first, then every artifact that is not among those before it; names are made unique."""
    # A root that is itself ONNX is what speeds are compared with.
    entries = [Entry(FP32_TORCH, _in_fp32(root), ROOT) if root.format == "torch" else Entry(FP32_ONNX, root, BASELINE)]
    if baseline is not None:
        entries.append(Entry(FP32_ONNX, baseline, BASELINE))
    for name, artifact in artifacts:
        if artifact.fingerprint() in {one.artifact.fingerprint() for one in entries}:
            continue
        names = {one.name for one in entries}
        unique = next(one for n in count(1) if (one := name if n == 1 else f"{name}-{n}") not in names)
        entries.append(Entry(unique, artifact))
    return entries


def _in_fp32(root: Artifact) -> Artifact:
    """A model that writes and was stored in 16 bits is the fp32 baseline as soon as it is loaded so."""
    return root if kind_of(root.folder) == "classifier" else replace(root, precision="fp32")


def _trained_length(artifacts: Sequence[Artifact]) -> int:
    """The longest text that any of them was trained on, in tokens."""
    lengths = [step.settings.get("max_length") for one in artifacts for step in one.steps]
    return max((one for one in lengths if isinstance(one, int)), default=MAX_LENGTH)
