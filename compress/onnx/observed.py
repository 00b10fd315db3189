"""Runs a graph while some of its values are observed: on rows, or in a generative export as it generates.

A decoder's activations are those of the tokens it has written itself, one after another with a cache: prompts alone, or
references all at once, would show others. So the fp32 graphs generate, and each step is observed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper

from compress.core.errors import CompressError
from compress.core.progress import track
from compress.core.temporary import temporary_folder
from compress.onnx.graph import Graph
from compress.runtimes.sessions import open_session, run

if TYPE_CHECKING:
    import torch

BATCH = 16
SHOWN = "calibration batches"
"""Beside the bar of progress."""
Observe = Callable[[str, np.ndarray], None]
"""(name of a value, what it was at real tokens): takes note of it."""
Runner = Callable[[Path, tuple[str, ...], Observe], None]
"""(a graph whose observed values are outputs too, their names, observe): runs it on data and shows each of the values."""


def observe_values(graph: Graph, names: Sequence[str], runner: Runner, observe: Observe) -> None:
    """Run a graph with some of its values as outputs; it is left as it was."""
    own = list(graph.outputs)
    with temporary_folder() as folder:
        path = folder / "observed.onnx"
        for name in names:
            if name not in own:  # an encoder's states are both
                graph.model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
        graph.save(path)
        del graph.model.graph.output[len(own) :]
        runner(path, tuple(names), observe)


def by_rows(batches: Sequence[Mapping[str, np.ndarray]], *, threads: int = 1) -> Runner:
    """Runs a graph that reads token ids and a mask on each batch, name -> [batch, length]. Padding is not observed."""

    def runner(path: Path, names: tuple[str, ...], observe: Observe) -> None:
        session = open_session(path, threads=threads)
        wanted = {item.name for item in session.get_inputs()}
        for batch in track(batches, SHOWN):
            missing = wanted - set(batch)
            if missing:
                raise CompressError(
                    f"The calibration batches have no '{sorted(missing)[0]}', which the graph wants. "
                    "Encode them with the tokenizer beside the model."
                )
            feeds = {name: np.ascontiguousarray(batch[name], np.int64) for name in wanted}
            mask = feeds.get("attention_mask")
            for name, value in zip(names, run(session, feeds, names), strict=True):
                observe(name, _unpadded(value, mask))
        if not batches:
            raise CompressError("The calibration set gave no batch. Give at least one row.")

    return runner


def _unpadded(value: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Observes only tokens that are not padding: padding's values are never read, so they must not widen a range."""
    if mask is not None and value.ndim == 3 and value.shape[:2] == mask.shape:
        return np.asarray(value[mask.astype(bool)])
    if mask is not None and value.ndim == 4 and (value.shape[0], value.shape[2]) == mask.shape:
        return np.asarray(np.moveaxis(value, 2, 1)[mask.astype(bool)])  # probabilities: a row for each query
    return value


def by_generation(
    graphs: Mapping[str, Path],
    part: str,
    folder: Path,
    prompts: Sequence[np.ndarray],
    *,
    new_tokens: int,
    padding: int | None,
) -> Runner:
    """Runs a generative export, one of whose parts is observed: greedy decoding by the model's own rules.

    Args:
        graphs: the fp32 export, by part.
        part: the one that is observed.
        folder: holds its config and generation config.
        prompts: encoded, [length] each: what the encoder reads, or a decoder.
        new_tokens: the most that is generated for each.
        padding: the token for what a batch of prompts of like length has too much; after the end of text models write it.
            Padding, and what follows a row's end, is not observed. None: each prompt by itself, and values of any shape.

    Raises:
        CompressError: there is no prompt.
    """
    if not prompts:
        raise CompressError("The calibration set gave no prompt. Give at least one row.")

    def runner(path: Path, names: tuple[str, ...], observe: Observe) -> None:
        import torch

        from compress.runtimes.onnx_generation import open_generator_in
        from compress.runtimes.rows import Rows
        from compress.runtimes.runtime import Serving
        from compress.runtimes.sessions_with_cache import ENCODER

        parts = {one: str(graph.resolve()) for one, graph in {**graphs, part: path}.items()}
        generator = open_generator_in(folder, parts, Serving(threads=1))
        opened = generator.graphs
        observed: Any = _Observed(getattr(opened, part), names, observe, padding)
        generator.graphs = replace(opened, **{part: observed})
        own = {} if padding is None else {"pad_token_id": padding}
        rows = Rows.of_prompts(prompts, padding or 0, side="left" if opened.encoder is None else "right")
        for numbers in track(list(rows.by_length(1 if padding is None else BATCH)), f"{part}: {SHOWN}"):
            feeds = {name: torch.from_numpy(values) for name, values in rows.batch(numbers).items()}
            if part == ENCODER:
                observed.run(feeds)
            else:
                generator.generate(**feeds, max_new_tokens=new_tokens, num_beams=1, do_sample=False, **own)

    return runner


class _Observed:
    """A session that also outputs some inner values of its graph."""

    def __init__(self, session: Any, names: tuple[str, ...], observe: Observe, padding: int | None) -> None:
        self._session, self._names, self._observe, self._padding = session, names, observe, padding

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, feeds: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = self._session.run(feeds)
        real = None if self._padding is None else self._real(feeds, self._padding)
        for name in self._names:
            values = found[name]
            if real is not None:  # of some values there are only those of the tokens whose logits are wanted
                rows = real if values.shape[1] == real.shape[1] else real[:, feeds["logits_to_keep"]]
                values = values[rows]
            self._observe(name, values.numpy())
        return found

    def _real(self, feeds: Mapping[str, torch.Tensor], padding: int) -> torch.Tensor:
        """Which tokens are neither padding nor behind the end of their row, [batch, new]."""
        ids = feeds["input_ids"]
        real = ids == ids
        if "attention_mask" in self._session.inputs:
            real = feeds["attention_mask"][:, -ids.shape[1] :].bool()
        past = next((tensor.shape[2] for name, tensor in feeds.items() if name.startswith("past.")), 0)
        return real & (ids != padding) if past else real  # T5 starts from its padding
