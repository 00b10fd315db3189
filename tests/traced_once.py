"""A model that is traced again in the same session is not traced again: what the tracer gave is kept.

Tracing takes seconds, even of a tiny model, and most tests that need a graph need that of the same few models. All around it
(names, fusion, the comparison with torch) runs each time. A test of tracing itself asks for `traced_anew`.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

NOT_TRACED = {"name_or_path", "_name_or_path", "transformers_version", "_modules", "_parameters", "_buffers"}
"""Attributes of modules and configs that no graph depends on, or that are looked at apart."""

LARGEST_KEPT = 10_000_000
"""In weights: a real model's graph would fill the disk."""


@pytest.fixture(scope="session", autouse=True)
def _traced_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Shared by the workers of pytest-xdist, whose folders lie side by side; tests that need no torch do without it."""
    if "torch" not in sys.modules:
        yield
        return
    from compress.onnx import export, export_with_cache

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "traced"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        for module in (export, export_with_cache):
            patch.setattr(module, "_traced", _kept(folder, module._traced))
        yield


@pytest.fixture
def traced_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this test each export traces."""
    from compress.onnx import export, export_with_cache

    for module in (export, export_with_cache):
        monkeypatch.setattr(module, "_traced", getattr(module._traced, "__wrapped__", module._traced))


def _kept(folder: Path, trace: Callable[..., Any]) -> Callable[..., Any]:
    import functools

    import onnx

    @functools.wraps(trace)
    def traced(model: Any, *how: Any) -> Any:
        if sum(weight.numel() for weight in model.parameters()) > LARGEST_KEPT:
            return trace(model, *how)
        file = folder / f"{_digest(model, how)}.onnx"
        if not file.exists():
            made = trace(model, *how)
            onnx.save(made, str(part := file.with_suffix(f".{os.getpid()}")))
            part.rename(file)
            return made
        return onnx.load(str(file))

    return traced


def _digest(model: Any, how: Any) -> str:
    """Of all that a graph is made from: classes, plain attributes, config, weights and buffers, and the samples."""
    found = hashlib.sha256()

    def take(value: Any) -> None:
        import torch

        if isinstance(value, torch.Tensor):
            take((str(value.dtype), tuple(value.shape)))
            found.update(value.detach().cpu().contiguous().numpy().tobytes())
        elif isinstance(value, dict):
            for key, one in value.items():
                take(key)
                take(one)
        elif isinstance(value, list | tuple):
            for one in value:
                take(one)
        else:
            found.update(repr(value).encode())
        found.update(b"|")

    for name, module in model.named_modules():
        own = vars(module) | {"forward": getattr(module.forward, "__qualname__", "")}
        if "config" in own:
            own |= module.config.to_dict() | {"attention": getattr(module.config, "_attn_implementation", "")}
        plain = int | float | str | tuple | list | dict | None
        take([name, type(module).__qualname__])
        take({key: value for key, value in sorted(own.items()) if key not in NOT_TRACED and isinstance(value, plain)})
    take(list(model.named_parameters(remove_duplicate=False)))
    take(list(model.named_buffers(remove_duplicate=False)))
    take(how)
    return found.hexdigest()
