"""Measures artifacts side by side, each in its own processes, together with the uncompressed model in torch and as fp32
ONNX.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compress.core import catalogue
from compress.core.artifact import RESULTS, Artifact, digest, write_whole
from compress.core.cache import entry
from compress.core.cores import available_cores
from compress.core.disk import DiskFull, full_disk_errors
from compress.core.errors import CompressError
from compress.core.machine import cpu_model, machine, packages, providers, versions
from compress.core.measurement import Measurement, Measurements
from compress.core.progress import say, warn
from compress.core.version import VERSION
from compress.data import leakage, loading, readable
from compress.measure import former, generation, lost_examples, prediction, slices
from compress.measure.journal import journal
from compress.measure.line_up import FP32_ONNX, FP32_TORCH, line_up
from compress.measure.plan import VARIANT, Plan
from compress.measure.run import measure
from compress.measure.suite import Suite as Suite
from compress.measure.suite import read_suite as read_suite
from compress.models.load import check_kind, check_labels, resolve_model
from compress.runtimes import choice
from compress.runtimes.runtime import Runtime, as_measured
from compress.tasks.task import DescribedTask, Task
from compress.techniques.apply import apply


def run(
    artifacts: Sequence[tuple[str, Artifact]],
    suite: Suite,
    out: Path,
    *,
    cache: Path,
    task: DescribedTask | Mapping[str, Any] | None = None,
    existing: former.Existing = "refuse",
    split: str = "evaluation",
) -> Measurements:
    """Measure artifacts and their two baselines, and save `measurements.json`. Killed, the same call goes on.

    The uncompressed model that the first artifact came from, and its fp32 ONNX export (made once into the cache), are
    measured in the same rounds. An artifact that fails is listed with the reason; the others are measured.

    Args:
        artifacts: (name, artifact), at least one; one that is a baseline, or twice the same, is measured once.
        suite: what to measure.
        out: the folder for `measurements.json`.
        cache: where exports and quality results are kept by content.
        task: the task to be measured on; the artifacts' own where None.
        existing: what becomes of other measurements that are in the folder.
        split: the rows to measure on.

    Raises:
        CompressError: there is no task, its data cannot be read, the uncompressed model is gone or has other labels, or an
            artifact is of another kind than the task, or not a single model could be measured.
    """
    former.check_folder(out)
    suite = suite.with_defaults()
    asked = suite.asked()
    written = task or next((one.task for _, one in artifacts if one.task is not None), None)
    if written is None:
        raise CompressError(
            f"{artifacts[0][1].folder} has no task to be measured on. Name one, for example `--task sst2 --data DIR`."
        )
    described = written if isinstance(written, DescribedTask) else loading.described_task(written)
    resolved, data = described.task, described.data
    rows = loading.load(resolved, data, split)
    overlap = leakage.check(resolved, data)
    root = _root(artifacts[0][1])
    if resolved.is_generative:
        readable.check(resolved, rows.rows)
        suite = suite.for_generation()
    if root.format == "torch":
        check_labels(root.folder, resolved)
    for _, artifact in artifacts:
        # One without a config fails when it is opened, and is listed with the reason.
        if (artifact.folder / "config.json").is_file():
            check_kind(artifact.folder, resolved)
    key = _plan(artifacts, root, suite, resolved, rows, asked)
    if (known := former.reusable(out, key, existing)) is not None:
        return known
    notes = _other_roots(artifacts, root)
    if overlap is not None and overlap.sentence(resolved.name):
        notes.append(overlap.sentence(resolved.name).rstrip("."))
    if as_measured(root) != root:
        notes.append(f"{FP32_TORCH} is stored in {root.precision}; it was measured in fp32")
    baseline = _fp32_onnx(root, suite, cache, described, notes)
    entries = line_up(artifacts, root, baseline, asked)
    with journal(out, key) as notebook:
        plan = Plan(
            conditions=suite.timed(),
            threads=suite.threads or 1,
            device=suite.device,
            options=suite.options,
            rounds=suite.rounds,
            repeats=suite.repeats,
            journal=notebook,
        )
        measured = [entry.measured() for entry in entries if entry.is_first]
        say(f"Measuring {len(measured)} models on {len(rows.rows)} examples with {plan.threads} threads.")
        kind = generation if resolved.is_generative else prediction
        evaluation = kind.evaluation(entries, resolved, data, rows, suite, cache)
        parts = slices.slices(evaluation.task, data, rows, evaluation.labels, suite.slices)
        found = measure(entries, evaluation, plan)
        without_model = evaluation.without_model(data)
        measurements = Measurements(
            suite={**suite.to_json(), **_definitions(suite.options, asked)},
            machine={**machine(gpu=True), "onnxruntime_providers": providers()},
            task={**evaluation.task.to_json(), "data": data},
            split={**rows.identity, **evaluation.read},
            artifacts=tuple(measured),
            measurements=tuple(found.measurements),
            references=evaluation.references,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            notes=(*notes, *found.notes),
            baselines=_scores(without_model),
            without_model=tuple(without_model),
            slices=parts,
            plan=key,
        )
        failed = measurements.unmeasured()
        if len(failed) == len(measured):
            notebook.remove()  # nothing in it is worth going on from
            raise CompressError(f"Nothing could be measured, so nothing was written. {_reasons(failed)}")
        if existing == "keep":
            former.set_aside(out, key)
        with full_disk_errors(out):
            former.remove_outputs(out)
            _save_outputs(evaluation.outputs, rows, out)
            lost_examples.save(evaluation.lost(), out)
            measurements.save(out)
        notebook.remove()
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


def _scores(without_model: Sequence[Measurement]) -> dict[str, dict[str, float]]:
    """The values of baselines without a model, by baseline and metric; those that exist."""
    found: dict[str, dict[str, float]] = {}
    for one in without_model:
        if one.value is not None:
            found.setdefault(one.artifact, {})[one.name] = one.value
    return found


def _reasons(failed: Mapping[str, str]) -> str:
    return " ".join(f"{name}: {reason.rstrip('.')}." for name, reason in failed.items())


def _plan(
    artifacts: Sequence[tuple[str, Artifact]],
    root: Artifact,
    suite: Suite,
    task: Task,
    split: loading.Split,
    asked: Sequence[Runtime],
) -> str:
    """A hash over all that decides what is measured, and on what machine."""
    models = [(name, one.fingerprint(), digest(one.files)) for name, one in [("", root), *artifacts]]
    described = {name: value for name, value in task.to_json().items() if name not in ("files", "hub")}
    versions_here = packages() | {one.packages[0]: one.version() or "" for one in asked}
    here = [cpu_model(), available_cores(), providers(), versions_here, VERSION, RESULTS]
    return digest([models, suite.to_json(), described, split.identity, here])


def _save_outputs(outputs: Mapping[str, Sequence[str]], split: loading.Split, out: Path) -> None:
    """`outputs/<artifact>.jsonl`: what each generated, beside the source and the reference where it is known."""
    for name, texts in outputs.items():
        file = former.output_file(out, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        columns = [split.rows[one] for one in ("row_hash", "text", *(("label",) if split.is_labelled else ()))]
        keys = ("row_hash", "source", "reference", "output") if split.is_labelled else ("row_hash", "source", "output")
        rows = (dict(zip(keys, row, strict=True)) for row in zip(*columns, texts, strict=True))
        write_whole(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _definitions(options: Sequence[str], asked: Sequence[Runtime]) -> dict[str, Any]:
    """What the session options stand for: a speed is stated with its options, not with their names alone; and of each runtime
    that was asked for its version, with its own options."""
    of_baseline = catalogue.find("runtimes", choice.DEFAULTS["onnx"]).options
    found: dict[str, Any] = {"session_options": {name: of_baseline[name] for name in options if name in of_baseline}}
    if asked:
        known = {one.name: [name for name in options if name in one.options] or [one.served_with] for one in asked}
        own = {one.name: {name: one.options[name] for name in known[one.name]} for one in asked}
        found["runtimes"] = {one.name: {"version": one.version(), "options": own[one.name]} for one in asked}
    return found


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
    root = resolve_model(where)
    if root.fingerprint() != origin["fingerprint"]:
        raise CompressError(
            f"{artifact.folder} was made from another model than the one that is in {where} now (or by an older version of "
            "compress). Put the former one back, or make the artifact again."
        )
    return root


def _other_roots(artifacts: Sequence[tuple[str, Artifact]], root: Artifact) -> list[str]:
    """A note for each artifact whose root is not the model that all are compared with."""
    mine = root.fingerprint()
    theirs = [(name, one.root()) for name, one in artifacts]
    return [
        f"{name} came from another uncompressed model ({one.get('model') or one['folder']}) than the one it is compared with"
        for name, one in theirs
        if one["fingerprint"] != mine
    ]


def _fp32_onnx(root: Artifact, suite: Suite, cache: Path, task: DescribedTask, notes: list[str]) -> Artifact | None:
    """The root's fp32 ONNX export, made once into the cache; None with a note where it cannot be made."""
    if root.format == "onnx":
        return None
    technique = catalogue.find("techniques", "export")
    settings = technique.settings(provider=suite.device)
    made_by = [root.fingerprint(), digest(root.files), suite.device, versions(), VERSION]

    def make(folder: Path) -> None:
        apply(technique, root, settings, folder / FP32_ONNX, task=task, cache=cache)

    try:
        kept = entry(cache / "baselines" / digest(made_by), make)
        return Artifact.open(kept.folder / FP32_ONNX, verify=False)  # the cache has compared the hashes
    except DiskFull:
        raise
    except CompressError as error:
        warn(f"There is no fp32 ONNX baseline: {error}")
        notes.append(f"there is no fp32 ONNX baseline: {error}")
        return None
