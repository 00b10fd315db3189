"""A benchmark request from the command or the Python function: names become artifacts, a suite and a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact
from compress.core.cache import default_cache
from compress.core.errors import CompressError
from compress.core.measurement import Measurements
from compress.core.paths import named
from compress.data import given
from compress.measure import benchmark
from compress.measure import confirm as confirming
from compress.measure.former import Existing, check_folder
from compress.models.sources import resolve_model


def measured(
    artifacts: Sequence[str | Path | Artifact] | Mapping[str, str | Path | Artifact],
    out: str | Path,
    *,
    suite: str | Path = "cpu",
    runtimes: str | Sequence[str] = (),
    slices: str | Sequence[str] = (),
    task: str | Path | Mapping[str, Any] | None = None,
    data: str | Path | Mapping[str, Any] | None = None,
    rows: int | None = None,
    allow_overlap: bool = False,
    force: bool = False,
    confirm: str | None = None,
) -> Measurements:
    """The measurements of artifacts and their two baselines, saved in `out`; see `compress.measure.benchmark.run`.

    Args:
        artifacts: artifacts, folders or hub ids; where they are a mapping, by the names that the report shows.
        suite: a shipped one's name, or a YAML file.
        runtimes: in which artifacts are measured, by name, instead of the suite's.
        slices: columns of the evaluation data by which results are also shown, instead of the suite's.
        task, data, rows, allow_overlap: see `compress.data.given.given`.
        force: whether other measurements in `out` may be replaced.
        confirm: the split, such as `test`, on which the recommended variant is measured once more.

    Raises:
        CompressError: one of these is unknown, or nothing can be measured.
    """
    folder = named(out)
    check_folder(folder)
    if isinstance(artifacts, str | Path | Artifact):
        artifacts = [artifacts]
    brought = (
        [(name, resolve_model(one)) for name, one in artifacts.items()]
        if isinstance(artifacts, Mapping)
        else [(_name(one), resolve_model(one)) for one in artifacts]
    )
    if not brought:
        raise CompressError("No artifact is named, so there is nothing to measure. Give one or more.")
    described = given.given(task, data, rows, brought[0][1].task, "evaluation", allow_overlap=allow_overlap)
    if confirm is not None:
        confirming.check_split(confirm, described)
    chosen = benchmark.read_suite(
        str(suite),
        [runtimes] if isinstance(runtimes, str) else runtimes,
        [slices] if isinstance(slices, str) else slices,
    )
    cache = default_cache(folder)
    existing: Existing = "replace" if force else "refuse"
    found = benchmark.run(brought, chosen, folder, cache=cache, task=described, existing=existing)
    if confirm is not None:
        confirming.confirm(found, brought, chosen, folder, split=confirm, cache=cache, task=described)
    return found


def _name(one: str | Path | Artifact) -> str:
    return Path(one.folder if isinstance(one, Artifact) else one).resolve().name
