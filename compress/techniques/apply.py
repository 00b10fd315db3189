"""Runs a technique safely: checked first, reused if finished, written completely or not at all."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.core import destination, out_of_memory, setting_names, temporary
from compress.core.artifact import RESULTS, SCRATCH, Artifact, Step, finished
from compress.core.cache import default_cache
from compress.core.disk import full_disk_errors
from compress.core.distributed import is_main_process, world_size
from compress.core.errors import CompressError
from compress.core.machine import versions
from compress.core.progress import say
from compress.core.references import OnDisk, marked
from compress.core.settings import Settings
from compress.core.unread_settings import refuse_unread
from compress.core.work_folder import Aside, discard, finish, settle, work_folder
from compress.tasks.task import DescribedTask, Task
from compress.tasks.technique import S, Technique, Work
from compress.techniques.first_opening import open_once

OF_THE_DATA = {
    *("files", "hub", "generator", "text_columns", "label_column", "absent_labels", "empty_text_is_bad", "bad_rows"),
    *("holdout", "limit", "seed", "metrics"),
}
"""Settings of a task that say where its rows are and which are read; what was read is in the fingerprint by its content."""


INTEGERS = ("int8", "int4", "nf4")
"""Precisions of torch artifacts that serve as they are: bitsandbytes' and GPTQ's."""


def apply(
    technique: Technique[S],
    source: Artifact,
    settings: S,
    out: Path,
    *,
    task: DescribedTask | Mapping[str, Any] | None = None,
    inputs: Mapping[str, Artifact] | None = None,
    cache: Path | None = None,
    replace: bool = False,
    aside: Aside | None = None,
) -> Artifact:
    """Run a technique, or find that its result is there already.

    Args:
        source: the artifact to start from.
        out: the folder of the new artifact.
        task: the task or its description, where it is not the source's own.
        inputs: the artifacts that settings refer to, by the setting's name.
        cache: where content-keyed intermediate results live; beside `out` by default.
        replace: whether another artifact at `out` may be replaced.
        aside: moves an artifact that is replaced to where it is kept; without, it is removed.

    Raises:
        CompressError: the formats do not fit, the settings cannot work, or `out` holds something else.
    """
    described = as_described(task if task is not None else source.task)
    description = described.description if described else None
    inputs = inputs or {}
    cache = cache or default_cache(out)
    check(technique, source, settings, described)
    check_destination(out, source, settings, described, inputs)
    step = planned(technique, source, settings, described, inputs)
    expected = source.after(step, out, task=description)
    settle(out, replace=replace, aside=aside)
    if (there := _reusable(expected, replace, aside)) is not None:
        return there
    for artifact in (source, *inputs.values()):
        artifact.check_files()
    started = time.perf_counter()
    with full_disk_errors(out), work_folder(out, expected.fingerprint()) as folder:
        if (there := _reusable(expected, replace, aside)) is not None:  # another process was faster
            discard(folder)
            return there
        scratch = folder / SCRATCH
        with out_of_memory.named(f"'{out.name}' ({technique.name})", dict(settings)), temporary.kept_in(scratch):
            first, *rest = (_in_order(technique, one, described, scratch) for one in (source, *inputs.values()))
            given = dict(zip(inputs, rest, strict=True))
            made = technique.run(Work(first, settings, folder, scratch, cache, described, given))
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
            task=description,
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
    task: DescribedTask | None,
    inputs: Mapping[str, Artifact],
) -> None:
    """Whether the technique's result may be written to `out`.

    Raises:
        CompressError: nothing can be made there, or it would destroy something that is read.
    """
    data = task.description.get("data") if task else None
    files = data.values() if isinstance(data, Mapping) else [data]
    read = [str(getattr(settings, name)) for name in marked(settings, OnDisk) if getattr(settings, name)]
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
    """Updates the recorded paths of a reused artifact whose data or ancestors have been moved."""
    if (artifact.task, artifact.ancestors) == (expected.task, expected.ancestors) or not is_main_process():
        return artifact
    moved = dataclasses.replace(artifact, task=expected.task, ancestors=expected.ancestors)
    try:
        moved.write_manifest()
    except OSError:  # a finished artifact may lie where nothing can be written
        say(f"{artifact.folder} cannot be written to, so its manifest still names the data's former place.")
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


def as_described(task: DescribedTask | Mapping[str, Any] | None) -> DescribedTask | None:
    """The task as techniques are given it; None where there is none.

    Raises:
        CompressError: the description is not one of a task.
    """
    from compress.data import loading

    return task if task is None or isinstance(task, DescribedTask) else loading.described_task(task)


def _in_order(technique: Technique[Any], artifact: Artifact, task: DescribedTask | None, scratch: Path) -> Artifact:
    if not technique.in_task_order or task is None:
        return artifact
    from compress.models.task_heads import in_task_order

    return in_task_order(artifact, task.task, scratch)


def planned(
    technique: Technique[S],
    source: Artifact,
    settings: S,
    task: DescribedTask | None,
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
    on_disk = marked(settings, OnDisk)
    for name, value in plain.items():  # the content is in the data, and where that lies is this machine's affair
        if isinstance(value, str) and (name in on_disk or Path(value).is_absolute()):
            plain[name] = Path(value).name
    data = dict(technique.reads(settings, task)) if technique.reads else {}
    if task is not None:
        data["serves"] = serves(task.task)
    if world_size() > 1:  # each trains on its share of the rows, and the order of the sums is another
        data["processes"] = world_size()
    return Step(
        technique=technique.name,
        settings=setting_names.stored(technique.name, plain),
        inputs={name: artifact.fingerprint() for name, artifact in inputs.items()},
        data=data,
        compresses=technique.compresses,
        results=RESULTS,
    )


def serves(task: Task) -> dict[str, Any]:
    """What of a task decides how an artifact answers: kind, labels, prefix, lengths. It is part of every fingerprint, so that
    what is served is what was measured; where the data lies and how much of it is read is not."""
    kept = {name: value for name, value in task.to_json().items() if name not in OF_THE_DATA}
    return {**kept, "texts": len(task.text_columns)}


def check(technique: Technique[S], source: Artifact, settings: S, task: DescribedTask | None) -> None:
    """Checks everything that can be checked before weights are loaded.

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
    refuse_unread(settings, technique.read_when)
    if technique.check:
        technique.check(settings, source, task)
    is_made = not source.steps or finished(source.folder, source.fingerprint())
    if technique.check_model and is_made:  # else what may lie in its folder is another artifact
        technique.check_model(settings, source, task)


def _not_taken(technique: Technique[Any], source: Artifact) -> str:
    if source.format == "config":
        file = source.folder
        if any(file.parent.glob("*.safetensors")):
            return f"{file} is the config of a model. Give the folder: compress {technique.name} {file.parent}"
        return f"{file} is a config without weights. `compress finetune` trains a model from it."
    takes = " or ".join(sorted(technique.accepts))
    return (
        f"{technique.name} takes an artifact in the format {takes}, and {source.folder} is in {source.format}. "
        "Start from the artifact it came from."
    )
