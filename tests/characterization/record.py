"""Records what the product does, for the tests to compare: `python -m tests.characterization.record`.

It is run again only where behaviour is meant to change, and then CHANGELOG.md says so. With names (`trainings`, one of these as
`seq2seq/qat`, `scores`, or a pipeline's kind) it records those alone.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from tests.characterization.cases import PIPELINES, TRAININGS
from tests.characterization.observed import OLD, measured, pipeline, reported, scores, training

RECORDED = Path(__file__).parent / "recorded"


def write(name: str, value: Any) -> None:
    """A file of the recording, one line for each of its parts."""
    (RECORDED / name).parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{json.dumps(key)}: {json.dumps(one, separators=(',', ':'))}" for key, one in value.items()]
    (RECORDED / name).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main(*parts: str) -> None:
    """Record the parts, all of them by default."""
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made).resolve()
        old = Path(shutil.copytree(OLD, scratch / "runs"))
        if "scores" in parts or not parts:
            write("scores.json", scores())
        chosen = TRAININGS if "trainings" in parts or not parts else TRAININGS.keys() & set(parts)
        if chosen:
            before = json.loads((RECORDED / "trainings.json").read_text(encoding="utf-8"))
            made = {name: training(TRAININGS[name], old, scratch / name) for name in TRAININGS if name in chosen}
            write("trainings.json", {name: one for name in TRAININGS if (one := made.get(name, before.get(name)))})
        for kind in [one for one in PIPELINES if one in parts or not parts]:
            folder = pipeline(kind, old, scratch / "pipelines" / kind)
            write(f"{kind}/measured.json", measured(folder))
            text = (folder / "measurements.json").read_text(encoding="utf-8").replace(str(scratch), "/recorded")
            write(f"{kind}/measurements.json", json.loads(text))
            write(f"{kind}/report.json", reported(RECORDED / kind / "measurements.json", folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
