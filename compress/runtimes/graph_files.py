"""Opens one graph's file in the runtime that its ending names: OpenVINO for `.xml`, else ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress.runtimes.session_choices import DEFAULT, SessionChoice

Rows = Mapping[str, np.ndarray]
OPENVINO = ".xml"


@dataclass(frozen=True)
class OpenGraph:
    """A graph that can be run."""

    inputs: tuple[str, ...]
    outputs: Callable[[Rows], Mapping[str, np.ndarray]]
    """All outputs by name, [batch, ...], float32, for encoded rows; keys that the graph does not know are left out."""

    def logits(self, rows: Rows) -> np.ndarray:
        """The first output."""
        return next(iter(self.outputs(rows).values()))


def open_graph(path: Path, *, threads: int = 1, options: SessionChoice = DEFAULT, precision: str = "fp32") -> OpenGraph:
    """The graph in a file.

    Args:
        options: of ONNX Runtime.
        precision: the artifact's, of which OpenVINO makes its hint.

    Raises:
        CompressError: it cannot be opened.
    """
    if path.suffix == OPENVINO:
        from compress.runtimes.openvino_ import open_file

        compiled = open_file(path, threads=threads, precision=precision)
        return OpenGraph(compiled.inputs, lambda rows: compiled.predict({**rows}))
    from compress.runtimes import sessions

    session = sessions.open_session(path, threads=threads, options=options)
    names = tuple(item.name for item in session.get_inputs())
    return OpenGraph(names, lambda rows: sessions.outputs(session, {**rows}))
