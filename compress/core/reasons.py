"""Why a step runs, continues, or is reused: shown by a dry run, and by a run before each step."""

from __future__ import annotations

from compress.core.artifact import Artifact, finished
from compress.core.errors import CompressError
from compress.core.setting_names import shown_as
from compress.core.work_folder import marked, unfinished


def why(expected: Artifact) -> str:
    """Whether a step is reused, continues, or runs, and why."""
    folder = expected.folder
    if finished(folder, expected.fingerprint()):
        return "finished, reused"
    if marked(unfinished(folder)) == expected.fingerprint():
        return "was interrupted, continues"
    if not Artifact.is_one(folder):
        return "new"
    try:
        former = Artifact.open(folder, verify=False)
    except CompressError as error:
        return f"runs again: {error}"
    return "runs again: " + _difference(former, expected)


def _difference(former: Artifact, expected: Artifact) -> str:
    if any(old.results < new.results for old, new in zip(former.steps, expected.steps, strict=False)):
        return "it was made by an older version of compress, and a bug fix since then may change the result"
    if former.origin["weights"] != expected.origin["weights"]:
        return "its input model has changed"
    if len(former.steps) != len(expected.steps):
        return "the steps before it have changed"
    for old, new in zip(former.steps, expected.steps, strict=True):
        if old.technique != new.technique:
            return f"a step before it was {old.technique}, now {new.technique}"
        was, will_be = shown_as(old.technique, old.settings), shown_as(new.technique, new.settings)
        for name in sorted({*was, *will_be}):
            before, now = was.get(name), will_be.get(name)
            if before != now:
                return f"{new.technique}'s {name} was {before}, now {now}"
        if old.inputs != new.inputs:
            return f"another input artifact of {new.technique} has changed"
        if old.data.get("serves") != new.data.get("serves"):
            return f"the task of {new.technique} has changed"
        if old.data.get("processes") != new.data.get("processes"):
            before, now = old.data.get("processes", 1), new.data.get("processes", 1)
            return f"{new.technique} ran in {before} process(es), now in {now}"
        if old.data != new.data:
            return f"the data that {new.technique} reads has changed"
    return "it was made by another version of this tool"
