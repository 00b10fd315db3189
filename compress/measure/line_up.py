"""The participants of a benchmark: the baselines first, then every artifact, each in the requested runtimes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from compress.core.artifact import Artifact
from compress.core.measurement import name_in
from compress.measure.plan import BASELINE, ROOT, VARIANT, Entry
from compress.runtimes import choice
from compress.runtimes.runtime import Runtime, as_measured

FP32_TORCH, FP32_ONNX = "fp32-torch", "fp32-onnx"


def line_up(
    artifacts: Sequence[tuple[str, Artifact]], root: Artifact, baseline: Artifact | None, asked: Sequence[Runtime] = ()
) -> list[Entry]:
    """The baselines first, then every artifact that is not among those before it; names are made unique.

    Args:
        root: the uncompressed model; one that is itself ONNX is what speeds are compared with.
        baseline: its fp32 ONNX export.
        asked: the runtimes in which each artifact of theirs is measured; by default the one of its format.
    """
    given = [(FP32_TORCH, root, ROOT) if root.format == "torch" else (FP32_ONNX, root, BASELINE)]
    if baseline is not None:
        given.append((FP32_ONNX, baseline, BASELINE))
    known = {one.fingerprint() for _, one, _ in given}
    for name, artifact in artifacts:
        if artifact.fingerprint() not in known:
            known.add(artifact.fingerprint())
            taken = {other for other, _, _ in given}
            unique = next(one for n in count(1) if (one := name if n == 1 else f"{name}-{n}") not in taken)
            given.append((unique, artifact, VARIANT))
    return [entry for name, one, role in given for entry in _in_each(name, as_measured(one), role, asked)]


def _in_each(name: str, artifact: Artifact, role: str, asked: Sequence[Runtime]) -> list[Entry]:
    """An artifact once for each runtime; a baseline in that of its format first, since it is what others are compared with.
    Where no runtime opens it, once, with the reason. Where runtimes were asked for, each name says in which it is."""
    opening = [one for one in asked if artifact.format in one.formats]
    usual = choice.default(artifact)
    if role != VARIANT or not asked:
        opening = [usual, *(one for one in opening if one.name != usual.name)]
    if not opening:
        named = name_in(name, asked[0].name)
        return [Entry(named, artifact, asked[0], role, name, refused=choice.not_opened(artifact, asked))]
    return [
        Entry(name_in(name, one.name) if asked else name, artifact, one, role, name, is_first=number == 0)
        for number, one in enumerate(opening)
    ]
