"""Opens an ONNX file for inference with named session options.

Imports ONNX Runtime and numpy only: the memory of a serving process is measured on a process that imports just this.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from compress.core.disk import why_full
from compress.core.errors import CompressError, guess
from compress.runtimes.session_choices import DEFAULT, SessionChoice

LEVELS = {
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


def open_session(
    path: Path,
    *,
    threads: int,
    provider: str = "CPUExecutionProvider",
    options: SessionChoice = DEFAULT,
    optimized_graph: Path | None = None,
) -> onnxruntime.InferenceSession:
    """A session on `threads` threads (1 or more) of one provider.

    `optimized_graph`: where ONNX Runtime should write the graph that it really runs, to see which kernels that are.

    Raises CompressError where the file is missing or cannot be read, the provider is absent, or the provider has no
    kernel for one of the graph's operators.
    """
    if threads < 1:
        raise CompressError(f"A session needs at least 1 thread, not {threads}.")
    if options.optimization_level not in LEVELS:
        raise CompressError(
            f"Unknown optimization level '{options.optimization_level}'."
            f"{guess(options.optimization_level, LEVELS)} Known: {', '.join(LEVELS)}."
        )
    available = onnxruntime.get_available_providers()
    if provider not in available:
        raise CompressError(
            f"ONNX Runtime {onnxruntime.__version__} here has no {provider} (it has {', '.join(available)}). "
            "Install the extra that has it, `cpu` or `gpu`."
        )
    if not Path(path).is_file():
        raise CompressError(f"{path} does not exist. Export the model again.")
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    settings.graph_optimization_level = LEVELS[options.optimization_level]
    for key, value in options.config.items():
        settings.add_session_config_entry(key, value)
    if optimized_graph is not None:
        settings.optimized_model_filepath = os.fspath(optimized_graph)
    try:
        return onnxruntime.InferenceSession(
            os.fspath(path), settings, providers=[provider], disabled_optimizers=list(options.disabled_optimizers)
        )
    except Exception as error:  # ONNX Runtime's errors share no base class but Exception
        reason = (str(error).strip().splitlines() or [""])[0]
        if optimized_graph is not None and (full := why_full(error)):
            raise CompressError(f"{optimized_graph} cannot be written ({full}). Free some space.") from error
        if "NOT_IMPLEMENTED" in reason:
            raise CompressError(
                f"{path} cannot run on {provider}: {reason}. Choose another precision or provider."
            ) from error
        raise CompressError(
            f"{path} cannot be opened by ONNX Runtime {onnxruntime.__version__}: {reason}. "
            "The file may be truncated or corrupt; make it again."
        ) from error


def logits(session: onnxruntime.InferenceSession, rows: dict[str, np.ndarray]) -> np.ndarray:
    """The first output, [batch, labels], float32, for encoded `rows`; see `outputs`."""
    return next(iter(outputs(session, rows).values()))


def outputs(session: onnxruntime.InferenceSession, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All outputs by name, [batch, ...], float32, for encoded `rows`; keys the graph does not know are left out.

    Raises CompressError where one that it knows is missing, or the graph fails on the rows.
    """
    wanted = {item.name for item in session.get_inputs()}
    missing = wanted - set(rows)
    if missing:
        raise CompressError(
            f"The graph needs {', '.join(sorted(wanted))}, and the rows lack {', '.join(sorted(missing))}. "
            "Encode them with the tokenizer beside the model."
        )
    feeds = {name: np.ascontiguousarray(value, np.int64) for name, value in rows.items() if name in wanted}
    refuse_padding(session, feeds)
    names = [item.name for item in session.get_outputs()]
    return {name: np.asarray(one, np.float32) for name, one in zip(names, run(session, feeds), strict=True)}


def refuse_padding(session: onnxruntime.InferenceSession, feeds: Mapping[str, np.ndarray]) -> None:
    """Raises a CompressError where a row's padding is not all on its right, and the file says that it must be.

    Such a graph counts the real tokens of each row (`compress.onnx.standard_attention`), and would read others.
    """
    mask = feeds.get("attention_mask")
    if mask is None or session.get_modelmeta().custom_metadata_map.get("padding_side") != "right" or mask.all():
        return
    wrong = np.flatnonzero((np.diff(mask, axis=1) > 0).any(axis=1))
    if wrong.size:
        raise CompressError(
            f"{getattr(session, '_model_path', None) or 'The graph'} reads padding on the right alone (its metadata says so), "
            f"and in row {wrong[0] + 1} of {len(mask)} a real token follows padding. Pad on the right, or make the file with "
            "--opset 20."
        )


def run(
    session: onnxruntime.InferenceSession, feeds: dict[str, np.ndarray], names: Sequence[str] | None = None
) -> list[np.ndarray]:
    """The outputs of those names, or all.

    Raises CompressError where ONNX Runtime fails, as for ids or lengths that the graph does not know.
    """
    try:
        found: list[np.ndarray] = session.run(names, feeds)
    except Exception as error:  # ONNX Runtime's errors share no base class but Exception
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        shape = next((list(value.shape) for value in feeds.values()), [])
        raise CompressError(
            f"{getattr(session, '_model_path', None) or 'The graph'} failed on rows of {shape}: {reason}. "
            "Give it texts that fit the model, encoded by its own tokenizer, or export it again."
        ) from error
    return found
