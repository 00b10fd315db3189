"""A technique turns one artifact into another; `apply` does so safely: checked first, reused if finished, written whole."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

from compress import destination, out_of_memory, temporary
from compress.artifact import RESULTS, SCRATCH, Artifact, Step
from compress.disk import full_disk_told
from compress.distributed import is_main_process, world_size
from compress.errors import CompressError
from compress.first_opening import open_once
from compress.progress import say
from compress.settings import Settings
from compress.work_folder import SUFFIX, Aside, discard, finish, settle, work_folder

OF_THE_DATA = {
    *("files", "hub", "generator", "text_columns", "label_column", "absent_labels", "empty_text_is_bad", "bad_rows"),
    *("holdout", "limit", "seed", "metrics"),
}
"""Settings of a task that say where its rows are and which are read; what was read is in the fingerprint by its content."""
INTEGERS = ("int8", "int4", "nf4")
"""Precisions of torch artifacts that serve as they are: bitsandbytes' and GPTQ's."""


@dataclass(frozen=True)
class Reference:
    """Marks a setting that names another artifact (`teacher`): a folder, a hub id, or a pipeline's step."""


ArtifactPath = Annotated[str, Reference()]
"""The type of a setting that names another artifact."""


@dataclass(frozen=True)
class OnDisk:
    """Marks a setting that is the path of something that is read: an adapter, a file of texts."""


ReadPath = Annotated[str, OnDisk()]
"""The type of a setting that is the path of something that is read."""


@dataclass(frozen=True)
class Work:
    """Everything a technique is given to work with."""

    source: Artifact
    settings: Any
    folder: Path
    """Where the new artifact's files are written."""
    scratch: Path
    """Checkpoints and the like: kept when the step is interrupted, removed when it is finished."""
    cache: Path
    """What is keyed by content and may serve other steps: teacher logits, exports, quality results."""
    task: Mapping[str, Any] | None
    """The description of the task and its data, see `compress.tasks`."""
    inputs: Mapping[str, Artifact] = field(default_factory=dict)
    """The artifacts that settings refer to, see `references`."""

    @property
    def name(self) -> str:
        """The new artifact's name, for messages."""
        return self.folder.name.removesuffix(SUFFIX)


@dataclass(frozen=True)
class Made:
    """What a technique says about what it wrote."""

    format: str
    precision: str
    parts: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What a loader needs of the artifact: it replaces the source's facts of the same name."""
    step_facts: Mapping[str, Any] = field(default_factory=dict)
    """What the report tells of the step: counts, losses, curves, parity."""


@dataclass(frozen=True)
class Technique:
    """One technique: what `compress/techniques/<name>.py` defines as `TECHNIQUE`."""

    name: str
    settings: type[Settings]
    run: Callable[[Work], Made]
    accepts: frozenset[str]
    """The formats of artifacts it takes."""
    gives: Callable[[Any], tuple[str, str]]
    """(settings) -> the format and the precision of what it makes, so that a pipeline can be checked beforehand."""
    example: str
    """A command line that works, shown at the end of the help."""
    reads: Callable[[Any, Mapping[str, Any] | None], Mapping[str, Any]] | None = None
    """(settings, task) -> the identity of the data it will read (hashes, rows); None when it reads none."""
    compresses: bool = True
    """False when its result is a model to compress rather than a compressed one (import, finetune)."""
    in_task_order: bool = False
    """Whether it is given classifiers with their outputs in the order of the task's labels (`compress.task_heads`)."""
    needs_task: bool = False
    """Whether it cannot run without a task and its data."""
    check: Callable[[Any, Artifact, Mapping[str, Any] | None], None] | None = None
    """(settings, source, task): raises a CompressError for what cannot work, before a weight is loaded."""


def apply(
    technique: Technique,
    source: Artifact,
    settings: Settings,
    out: Path,
    *,
    task: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Artifact] | None = None,
    cache: Path | None = None,
    replace: bool = False,
    aside: Aside | None = None,
) -> Artifact:
    """Run a technique, or find that its result is there already.

    Args:
        source: the artifact to start from.
        out: the folder of the new artifact.
        task: the task, where it is not the source's own.
        inputs: the artifacts that settings refer to, by the setting's name.
        cache: where content-keyed intermediate results live; beside `out` by default.
        replace: whether another artifact at `out` may be replaced.
        aside: moves an artifact that is replaced to where it is kept; without, it is removed.

    Raises:
        CompressError: the formats do not fit, the settings cannot work, or `out` holds something else.
    """
    task = task if task is not None else source.task
    inputs = inputs or {}
    cache = cache or default_cache(out)
    check(technique, source, settings, task)
    check_destination(out, source, settings, task, inputs)
    step = planned(technique, source, settings, task, inputs)
    expected = source.after(step, out, task=task)
    settle(out, replace=replace, aside=aside)
    if (there := _reusable(expected, replace, aside)) is not None:
        return there
    for artifact in (source, *inputs.values()):
        artifact.check_files()
    started = time.perf_counter()
    with full_disk_told(out), work_folder(out, expected.fingerprint()) as folder:
        if (there := _reusable(expected, replace, aside)) is not None:  # another process was faster
            discard(folder)
            return there
        scratch = folder / SCRATCH
        with out_of_memory.named(f"'{out.name}' ({technique.name})", dict(settings)), temporary.kept_in(scratch):
            first, *rest = (_in_order(technique, one, task, scratch) for one in (source, *inputs.values()))
            given = dict(zip(inputs, rest, strict=True))
            made = technique.run(Work(first, settings, folder, scratch, cache, task, given))
        seconds = round(time.perf_counter() - started, 3)
        told = Step(
            **step.identity(),
            compresses=step.compresses,
            facts={**made.step_facts, "seconds": seconds},
            versions=versions(),
        )
        artifact = source.after(
            told,
            folder,
            task=task,
            format=made.format,
            precision=made.precision,
            parts=dict(made.parts),
            facts={**source.facts, **made.facts},
        )
        if is_main_process():
            open_once(artifact, out.name)
        return finish(artifact, out, aside)


def check_destination(
    out: Path,
    source: Artifact,
    settings: Settings,
    task: Mapping[str, Any] | None,
    inputs: Mapping[str, Artifact],
) -> None:
    """Whether the technique's result may be written to `out`.

    Raises:
        CompressError: nothing can be made there, or it would destroy something that is read.
    """
    data = (task or {}).get("data")
    files = data.values() if isinstance(data, Mapping) else [data]
    read = [str(getattr(settings, name)) for name in _marked(settings, OnDisk) if getattr(settings, name)]
    destination.check(out, {"the model": source, **inputs}, [*read, *(str(file) for file in files if file)])


def _reusable(expected: Artifact, replace: bool, aside: Aside | None) -> Artifact | None:
    """The finished artifact at its place where it is the one that is expected; None where there is nothing, or it may go.

    Raises:
        CompressError: something is there that may not be replaced.
    """
    out = expected.folder
    if finished(out, expected.fingerprint()):
        try:
            artifact = Artifact.open(out)
        except CompressError as error:
            if not replace:
                raise
            say(f"{error} It is made again.")
        else:
            say(f"{out} is finished already, with the same settings and data: reused.")
            return _up_to_date(artifact, expected)
    check_free(out, replace, aside)
    return None


def _up_to_date(artifact: Artifact, expected: Artifact) -> Artifact:
    """A reused artifact whose data or ancestors have been moved remembers where they are now."""
    if (artifact.task, artifact.ancestors) == (expected.task, expected.ancestors) or not is_main_process():
        return artifact
    moved = dataclasses.replace(artifact, task=expected.task, ancestors=expected.ancestors)
    try:
        moved.write_manifest()
    except OSError:  # a finished artifact may lie where nothing can be written
        say(f"{artifact.folder} cannot be written to, so its manifest goes on naming the data's former place.")
    return moved


def check_free(out: Path, replace: bool, aside: Aside | None = None) -> None:
    """Whether another artifact may be made at `out`.

    Raises:
        CompressError: something is there that may not be replaced, or not without being asked for.
    """
    if out.exists():
        destination.check_replaceable(out, is_kept=aside is not None)
        if not replace:
            raise CompressError(
                f"{out} holds another artifact. Choose another folder with -o, or replace it with --force."
            )


def _in_order(technique: Technique, artifact: Artifact, task: Mapping[str, Any] | None, scratch: Path) -> Artifact:
    if not technique.in_task_order or task is None:
        return artifact
    from compress.task_heads import in_task_order
    from compress.tasks import loading

    return in_task_order(artifact, loading.resolve(dict(task))[0], scratch)


def planned(
    technique: Technique,
    source: Artifact,
    settings: Settings,
    task: Mapping[str, Any] | None,
    inputs: Mapping[str, Artifact],
) -> Step:
    """The step as it will be recorded, as far as it is known before it runs; its identity decides the fingerprint."""
    plain = settings.model_dump(mode="json")
    for name, artifact in inputs.items():
        setting, _, number = name.partition(".")
        if number:
            plain[setting][int(number)] = artifact.fingerprint()
        else:
            plain[setting] = artifact.fingerprint()
    on_disk = _marked(settings, OnDisk)
    for name, value in plain.items():  # the content is in the data, and where that lies is this machine's affair
        if isinstance(value, str) and (name in on_disk or Path(value).is_absolute()):
            plain[name] = Path(value).name
    data = dict(technique.reads(settings, task)) if technique.reads else {}
    if task is not None:
        data["serves"] = serves(task)
    if world_size() > 1:  # each trains on its share of the rows, and the order of the sums is another
        data["processes"] = world_size()
    return Step(
        technique=technique.name,
        settings=plain,
        inputs={name: artifact.fingerprint() for name, artifact in inputs.items()},
        data=data,
        compresses=technique.compresses,
        results=RESULTS,
    )


def serves(task: Mapping[str, Any]) -> dict[str, Any]:
    """What of a task decides how an artifact answers: kind, labels, prefix, lengths. It is part of every fingerprint, so that
    what is served is what was measured; where the data lies and how much of it is read is not.

    Raises:
        CompressError: the task is not one.
    """
    from compress.tasks import loading

    described = loading.resolve(dict(task))[0]
    kept = {name: value for name, value in described.to_json().items() if name not in OF_THE_DATA}
    return {**kept, "texts": len(described.text_columns)}


def finished(out: Path, fingerprint: str) -> bool:
    """Whether `out` holds the finished artifact with that fingerprint."""
    if not Artifact.is_one(out):
        return False
    try:
        return Artifact.open(out, verify=False).fingerprint() == fingerprint
    except CompressError:
        return False


def check(technique: Technique, source: Artifact, settings: Settings, task: Mapping[str, Any] | None) -> None:
    """All that can be known to be wrong before a weight is loaded.

    Raises:
        CompressError: the source is of a format or precision that the technique does not take, or the settings cannot work.
    """
    if source.format not in technique.accepts:
        raise CompressError(_not_taken(technique, source))
    if source.format == "torch" and source.precision in INTEGERS:
        raise CompressError(
            f"{source.folder} holds weights in {source.precision}, which {technique.name} cannot start from. "
            "Start from the artifact it was made from."
        )
    if technique.needs_task and task is None:
        raise CompressError(
            f"{source.folder} has no task of its own, and {technique.name} needs one. "
            "Name it, for example `--task sst2 --data DIR`."
        )
    if technique.check:
        technique.check(settings, source, task)


def _not_taken(technique: Technique, source: Artifact) -> str:
    if source.format == "config":
        file = source.folder
        if any(file.parent.glob("*.safetensors")):
            return f"{file} is the config of a model. Give the folder: compress {technique.name} {file.parent}"
        return f"{file} is a config without weights. `compress finetune` makes a model of it."
    takes = " or ".join(sorted(technique.accepts))
    return (
        f"{technique.name} takes an artifact in the format {takes}, and {source.folder} is in {source.format}. "
        "Start from the artifact it came from."
    )


def references(settings: Settings) -> dict[str, str]:
    """What the settings refer to, by the setting's name; where a setting names several, by `name.0`, `name.1`."""
    found: dict[str, str] = {}
    for name in _marked(settings, Reference):
        value = getattr(settings, name)
        if not value:
            continue
        if isinstance(value, str):
            found[name] = value
        else:
            found |= {f"{name}.{number}": one for number, one in enumerate(value)}
    return found


def _marked(settings: Settings, mark: type) -> list[str]:
    """The names of the settings whose type carries a mark."""
    return [
        name
        for name, info in type(settings).model_fields.items()
        if any(isinstance(one, mark) for one in info.metadata) or f"{mark.__name__}()" in str(info.annotation)
    ]


def default_cache(out: Path) -> Path:
    """The cache beside an artifact: `.compress-cache` in the folder that holds it."""
    return out.resolve().parent / ".compress-cache"


def versions() -> dict[str, str]:
    """The versions of the packages that decide results, without importing them."""
    found = {}
    for package in ("torch", "transformers", "onnx", "onnxruntime", "onnxruntime-gpu", "numpy", "datasets"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
