"""The classes of transformers that open a kind of model."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from compress.models.pretrained import raw_config, trusts_remote_code
from compress.tasks.kinds import Kind


def auto_class(kind: Kind) -> Any:
    """The `AutoModelFor...` of a kind, or the class that it defines."""
    module, _, name = kind.auto_class.rpartition(":")
    return getattr(importlib.import_module(module or "transformers"), name)


def unequal_class(folder: Path, kind: Kind) -> Any:
    """The model's own class where its config says that layers have widths of their own, else None."""
    from transformers import AutoConfig

    from compress.models.families.layer_widths import SETTING

    if SETTING not in raw_config(folder):
        return None
    opener = auto_class(kind)
    by_config = getattr(opener, "_model_mapping", None)
    if by_config is None:
        return opener
    return by_config[type(AutoConfig.from_pretrained(folder, trust_remote_code=trusts_remote_code()))]
