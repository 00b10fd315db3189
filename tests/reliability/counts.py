"""How much of each kind is tried: a little in CI, and as much as `make reliability` says through the environment."""

from __future__ import annotations

import json
import os
from pathlib import Path

KILLS = int(os.environ.get("COMPRESS_KILLS", "9"))
FAULTS = int(os.environ.get("COMPRESS_FAULTS", "1"))
"""Sizes of a full disk for each command."""
INPUTS = int(os.environ.get("COMPRESS_INPUTS", "20"))
"""Made-up inputs for each kind of file."""
SEED = int(os.environ.get("COMPRESS_RELIABILITY_SEED", "0"))
RESULTS = os.environ.get("COMPRESS_RELIABILITY_RESULTS")
"""A file that takes a JSON line for each thing that was tried, for `docs/reliability.md`."""


def record(what: str, **found: object) -> None:
    """Note what was tried and what came of it."""
    if RESULTS:
        with Path(RESULTS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"what": what, **found}) + "\n")
