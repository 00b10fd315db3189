"""The settings of a step that differ from the technique's defaults, and the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from compress.core import catalogue
from compress.core.errors import CompressError


def changed_and_default(technique: str, settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two parts of the settings: those with another value than the default, and those with it.

    A technique that this version does not have has no known defaults: all its settings count as changed.

    Args:
        technique: its name.
        settings: by today's names.
    """
    defaults = _defaults(technique)
    changed = {name: value for name, value in settings.items() if _differs(value, defaults, name)}
    return changed, {name: value for name, value in settings.items() if name not in changed}


def _differs(value: Any, defaults: Mapping[str, Any], name: str) -> bool:
    return name not in defaults or _plain(value) != _plain(defaults[name])


def _defaults(technique: str) -> dict[str, Any]:
    try:
        known = catalogue.find("techniques", technique).settings.model_fields
    except CompressError:
        return {}
    return {
        name: field.get_default(call_default_factory=True) for name, field in known.items() if not field.is_required()
    }


def _plain(value: Any) -> str:
    """As a manifest holds it: a tuple is a list there, a path a text, and 2.0 is 2."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True, default=str)
