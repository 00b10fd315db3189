"""Training checkpoints: a mark that is written last makes each one valid, and training never continues from an invalid
one.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from compress.core.artifact import is_main_process
from compress.core.cache import MARK, opened, seal
from compress.core.progress import say, warn

KEPT = 2
"""The best one and the newest; the two newest where the best is the newest, or none is sought."""


def last_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint; incomplete ones are removed, with a message for each."""
    whole = whole_checkpoints(folder)
    if is_main_process():
        for checkpoint in _newest_first(folder):
            if checkpoint in whole:
                continue
            if (checkpoint / MARK).is_file():
                warn(f"{checkpoint} is damaged, or the best one before it is, so training does not continue from it.")
            else:
                say(f"{checkpoint} was not finished, so training does not continue from it.")
            shutil.rmtree(checkpoint, ignore_errors=True)
    return whole[0] if whole else None


def whole_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints whose files are as they were written, the newest first.

    One that names a best checkpoint is whole only if that one is: its weights are what training may end with.
    """
    found = [one for one in _newest_first(folder) if opened(one) is not None]
    return [one for one in found if (best := _best(one)) is None or best in found]


def finish(checkpoint: Path) -> None:
    """Mark a checkpoint as complete after all processes have written their files, and remove older ones."""
    seal(checkpoint, synced=True)
    best = _best(checkpoint)
    others = [one for one in _newest_first(checkpoint.parent) if one not in (best, checkpoint)]
    for one in others[KEPT - len({best or checkpoint, checkpoint}) :]:
        shutil.rmtree(one, ignore_errors=True)


def unfinish(checkpoint: Path) -> None:
    """Before files of a checkpoint are written, again perhaps: until `finish` it is not whole."""
    (checkpoint / MARK).unlink(missing_ok=True)


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*"), key=lambda one: int(one.name.rsplit("-", 1)[1]), reverse=True)


def _best(checkpoint: Path) -> Path | None:
    """The checkpoint that was the best when this one was written; its path then may have been another."""
    step = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8")).get("best_global_step")
    return checkpoint.with_name(f"checkpoint-{step}") if step else None
