"""The lines of Python that serve an artifact as it was measured: the same runtime, threads, provider and session options."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from compress.report import wording
from compress.report.comparison import Comparison, Row
from compress.runtimes.session_choices import CHOICES

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""ONNX Runtime's, by the device of a suite."""


@dataclass(frozen=True)
class Serving:
    """Where an artifact is, and how it is run."""

    folder: str
    """As the page shows paths: seen from the working folder where it is near."""
    code: str
    """Python that can be copied."""
    command: str
    """The shell command that answers for one text."""


def serving(comparison: Comparison, row: Row) -> Serving:
    """Plain ONNX Runtime for a classifier's graph, `compress.load` for torch, for models that generate and for other runtimes."""
    folder = wording.path(row.artifact.folder)
    lines = _onnx(comparison, row, folder) if _is_one_graph(comparison, row) else _load(comparison, row, folder)
    return Serving(folder, "\n".join(lines), f"compress predict {shlex.quote(folder)} {' '.join(_texts(comparison))}")


def _is_one_graph(comparison: Comparison, row: Row) -> bool:
    parts = row.artifact.manifest.get("parts")
    has_model = isinstance(parts, Mapping) and isinstance(parts.get("model"), str)
    is_onnx = row.artifact.manifest.get("format") != "openvino" and _runtime(comparison, row) in {"", "onnx_runtime"}
    return has_model and not comparison.is_generative and is_onnx


def _onnx(comparison: Comparison, row: Row, folder: str) -> Iterator[str]:
    options = _session_options(comparison, row)
    yield "import onnxruntime as ort"
    yield "options = ort.SessionOptions()"
    threads = _threads(comparison)
    if threads:
        yield f"options.intra_op_num_threads, options.inter_op_num_threads = {threads}, 1"
    level = options.get("optimization_level", "all")
    if level != "all":
        name = {"none": "ORT_DISABLE_ALL", "basic": "ORT_ENABLE_BASIC", "extended": "ORT_ENABLE_EXTENDED"}
        yield f"options.graph_optimization_level = ort.GraphOptimizationLevel.{name.get(str(level), 'ORT_ENABLE_ALL')}"
    config = options.get("config")
    for key, value in config.items() if isinstance(config, Mapping) else ():
        yield f"options.add_session_config_entry({_text(key)}, {_text(value)})"
    provider = PROVIDERS.get(str(comparison.measurements.suite.get("device", "cpu")), PROVIDERS["cpu"])
    disabled = options.get("disabled_optimizers")
    without = f", disabled_optimizers={json.dumps([str(one) for one in disabled])}" if disabled else ""
    model = _text(f"{folder}/{row.artifact.manifest['parts']['model']}")
    yield f'model = ort.InferenceSession({model}, options, providers=["{provider}"]{without})'


def _load(comparison: Comparison, row: Row, folder: str) -> Iterator[str]:
    given = [_text(folder)]
    runtime, format_ = _runtime(comparison, row), row.artifact.manifest.get("format")
    usual = {"torch": "pytorch", "onnx": "onnx_runtime", "openvino": "openvino"}.get(str(format_))
    if runtime and usual and runtime != usual:
        given.append(f"runtime={_text(runtime)}")
    given += [f"{name}={count}" for name, count in _decoding(comparison)]
    threads = _threads(comparison)
    given += [f"threads={threads}"] if threads else []
    yield "import compress"
    yield f"model = compress.load({', '.join(given)})"
    texts = ", ".join(_texts(comparison))
    yield f"answer = model({f'({texts})' if texts.count(',') else texts})"


def _decoding(comparison: Comparison) -> Iterator[tuple[str, int]]:
    """The search and the number of tokens that the scored texts were generated with."""
    if not comparison.is_generative:
        return
    measured = [one.condition for one in comparison.measurements.measurements if one.name == comparison.metric]
    given = next((one for one in measured if "beams" in one), {})
    for name, key in (("beams", "beams"), ("new_tokens", "max_new_tokens")):
        if isinstance(given.get(key), int):
            yield name, given[key]


def _session_options(comparison: Comparison, row: Row) -> Mapping[str, Any]:
    """As the suite records them; files of before recorded the name alone."""
    if comparison.headline is None:
        return {}
    name = row.speeds[comparison.headline].options or comparison.headline.options
    recorded = comparison.measurements.suite.get("session_options")
    found = recorded.get(name) if isinstance(recorded, Mapping) else None
    if isinstance(found, Mapping):
        return found
    return CHOICES[name].to_dict() if name in CHOICES else {}


def _runtime(comparison: Comparison, row: Row) -> str:
    return row.runtime or (row.speeds[comparison.headline].runtime if comparison.headline else "")


def _threads(comparison: Comparison) -> int | None:
    return comparison.headline.threads if comparison.headline else None


def _texts(comparison: Comparison) -> list[str]:
    columns = comparison.measurements.task.get("text_columns")
    is_pair = isinstance(columns, list | tuple) and len(columns) == 2 and not comparison.is_generative
    return ['"a text"', '"its pair"'] if is_pair else ['"a text"']


def _text(value: Any) -> str:
    """A Python literal in double quotes."""
    return json.dumps(str(value), ensure_ascii=False)
