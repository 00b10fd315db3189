"""Settings that refer to another artifact, or to an input file or folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from compress.core.settings import Settings


@dataclass(frozen=True)
class Reference:
    """Marks a setting that names another artifact (`teacher`): a folder, a hub id, or a pipeline's step."""


ArtifactPath = Annotated[str, Reference()]
"""The type of a setting that names another artifact."""


@dataclass(frozen=True)
class OnDisk:
    """Marks a setting that is the path of an input: an adapter, a file of texts."""


ReadPath = Annotated[str, OnDisk()]
"""The type of a setting that is the path of something that is read."""


def references(settings: Settings) -> dict[str, str]:
    """The references in settings, by setting name; several references of one setting are `name.0`, `name.1`."""
    found: dict[str, str] = {}
    for name in marked(settings, Reference):
        value = getattr(settings, name)
        if not value:
            continue
        if isinstance(value, str):
            found[name] = value
        else:
            found |= {f"{name}.{number}": one for number, one in enumerate(value)}
    return found


def marked(settings: Settings, mark: type) -> list[str]:
    """The names of the settings whose type has a mark."""
    return [
        name
        for name, info in type(settings).model_fields.items()
        if any(isinstance(one, mark) for one in info.metadata) or f"{mark.__name__}()" in str(info.annotation)
    ]
