"""A technique turns one artifact into another: what defines one, what it is given, and what it says of its result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from compress.core import setting_names
from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.settings import Lines, Settings, build
from compress.core.unread_settings import ReadWhen
from compress.core.work_folder import SUFFIX
from compress.tasks.task import DescribedTask

S = TypeVar("S", bound=Settings)
Given = TypeVar("Given", bound=Settings, covariant=True)
"""The settings of a technique. `Work[TrainingSettings]` is the work of any technique whose settings include those."""


@dataclass(frozen=True)
class Work(Generic[Given]):
    """Everything a technique is given to work with."""

    source: Artifact
    settings: Given
    folder: Path
    """Where the new artifact's files are written."""
    scratch: Path
    """Checkpoints and the like: kept when the step is interrupted, removed when it is finished."""
    cache: Path
    """What is keyed by content and may serve other steps: teacher logits, exports, quality results."""
    task: DescribedTask | None
    """The task and its data."""
    inputs: Mapping[str, Artifact] = field(default_factory=dict)
    """The artifacts that settings refer to, see `references`."""

    @property
    def name(self) -> str:
        """The new artifact's name, for messages."""
        return self.folder.name.removesuffix(SUFFIX)

    @property
    def described(self) -> DescribedTask:
        """The task and its data, of a technique that cannot do without.

        Raises:
            CompressError: there is none.
        """
        if self.task is None:
            raise CompressError(
                f"{self.source.folder} has no task of its own. Name it, for example `--task sst2 --data DIR`."
            )
        return self.task


@dataclass(frozen=True)
class Made:
    """A technique's description of its result."""

    format: str
    precision: str
    parts: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What a loader needs of the artifact: it replaces the source's facts of the same name."""
    step_facts: Mapping[str, Any] = field(default_factory=dict)
    """What the report tells of the step: counts, losses, curves, parity."""


@dataclass(frozen=True)
class Technique(Generic[S]):
    """One technique: what `compress/techniques/<name>.py` defines as `TECHNIQUE`."""

    name: str
    settings: type[S]
    run: Callable[[Work[S]], Made]
    accepts: frozenset[str]
    """The formats of artifacts it takes."""
    gives: Callable[[S], tuple[str, str]]
    """(settings) -> the format and the precision of what it makes, so that a pipeline can be checked beforehand."""
    example: str
    """A command line that works, shown at the end of the help."""
    reads: Callable[[S, DescribedTask | None], Mapping[str, Any]] | None = None
    """(settings, task) -> the identity of the data it will read (hashes, rows); None when it reads none."""
    compresses: bool = True
    """False when its result is a model to compress rather than a compressed one (import, finetune)."""
    in_task_order: bool = False
    """Whether it is given classifiers with their outputs in the order of the task's labels (`compress.models.task_heads`)."""
    needs_task: bool = False
    """Whether it cannot run without a task and its data."""
    read_when: tuple[ReadWhen, ...] = ()
    """When its settings are read: one that is given and that nothing would read is refused."""
    check: Callable[[S, Artifact, DescribedTask | None], None] | None = None
    """(settings, source, task): raises a CompressError for what cannot work, whatever lies in the source's folder."""
    check_model: Callable[[S, Artifact, DescribedTask | None], None] | None = None
    """The same for what the source's config and tokenizer tell, before a weight is loaded; not called while the source is yet to
    be made by a step of the same pipeline."""

    unmet: Callable[[Artifact], str | None] | None = None
    """(what was made) -> why it does not keep a limit that its settings set; None where it does. A command then exits with 3."""
    expects: Callable[[S, Artifact, DescribedTask], str | None] | None = None
    """(settings, source, task) -> one line on what its result is expected to gain, for a dry run; None: nothing is known."""

    def read(self, values: Mapping[str, Any], where: str, lines: Lines | None = None, *, also: Iterable[str] = ()) -> S:
        """The settings for the values a user wrote, some perhaps under the names they had before.

        Args:
            where, lines, also: see `compress.core.settings.build`.

        Raises:
            CompressError: a setting is unknown, given by two names, or does not fit.
        """
        now, places = setting_names.current(self.name, values, where, lines or {})
        return build(self.settings, now, where, places, also=also)
