"""A technique request from a command or a Python function: names become artifacts, settings and a task."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact, finished
from compress.core.errors import BudgetNotMet
from compress.core.paths import named
from compress.core.references import references
from compress.core.settings import Settings
from compress.data import given
from compress.models.sources import resolve_model
from compress.tasks.task import DescribedTask
from compress.tasks.technique import Technique
from compress.techniques.apply import apply, as_described, check, check_destination, check_free, planned


@dataclass(frozen=True)
class Request:
    """A technique, what it starts from, and where its result goes."""

    technique: Technique[Any]
    source: Artifact
    settings: Settings
    out: Path
    task: DescribedTask | None
    inputs: Mapping[str, Artifact]
    replace: bool
    """Whether another artifact at `out` may be replaced."""

    @staticmethod
    def read(
        technique: Technique[Any],
        model: str | Path | Artifact,
        out: str | Path,
        values: Mapping[str, Any],
        where: str,
        *,
        also: Iterable[str] = (),
        task: str | Path | Mapping[str, Any] | None = None,
        data: str | Path | Mapping[str, Any] | None = None,
        rows: int | None = None,
        allow_overlap: bool = False,
        force: bool = False,
    ) -> Request:
        """A user's request, resolved.

        Args:
            model: an artifact, its folder, a Hugging Face folder, or a hub id.
            values: the settings that were given; artifacts and paths may stand where settings name them.
            where: what an error about them names, see `compress.core.settings.build`.
            also: names that could have been meant beside those of the settings.
            task, data, rows, allow_overlap: see `compress.data.given.given`.
            force: whether another artifact at `out` may be replaced.

        Raises:
            CompressError: a setting, a model or the task is unknown or does not fit.
        """
        settings = technique.read(written(values), where, also=also)
        source = resolve_model(model)
        artifacts = {str(one.folder): one for value in values.values() for one in _artifacts(value)}
        inputs = {name: artifacts.get(one) or resolve_model(one) for name, one in references(settings).items()}
        described = given.given(task, data, rows, source.task, "train", allow_overlap=allow_overlap)
        return Request(technique, source, settings, named(out), as_described(described), inputs, force)

    def run(self) -> Artifact:
        """The artifact, made or found finished; see `compress.techniques.apply.apply`.

        Raises:
            BudgetNotMet: it was made and kept, and does not keep a limit of its settings. It is the error's `result`.
        """
        made = apply(
            self.technique,
            self.source,
            self.settings,
            self.out,
            task=self.task,
            inputs=self.inputs,
            replace=self.replace,
        )
        reason = self.technique.unmet(made) if self.technique.unmet else None
        if reason is not None:
            raise BudgetNotMet(reason, made)
        return made

    def check(self) -> Artifact:
        """The artifact as it would be made, without making it.

        Raises:
            CompressError: as `run`, for all that can be known beforehand.
        """
        check(self.technique, self.source, self.settings, self.task)
        check_destination(self.out, self.source, self.settings, self.task, self.inputs)
        step = planned(self.technique, self.source, self.settings, self.task, self.inputs)
        expected = self.source.after(step, self.out, task=self.task.description if self.task else None)
        if not finished(self.out, expected.fingerprint()):
            check_free(self.out, self.replace)
        return expected


def written(value: Any) -> Any:
    """A Python value as it would be written in YAML: a path and an artifact as text, NumPy's numbers as Python's."""
    if isinstance(value, Mapping):
        return {key: written(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [written(one) for one in value]
    if isinstance(value, Artifact | Path):
        return str(value.folder if isinstance(value, Artifact) else value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def _artifacts(value: Any) -> list[Artifact]:
    return [one for one in (value if isinstance(value, list | tuple) else [value]) if isinstance(one, Artifact)]
