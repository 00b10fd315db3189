"""Ranges of a generative export are those of the tokens that it really reads and writes, as torch's hooks see them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.core.errors import CompressError
from compress.onnx.graph import Graph
from compress.onnx.observed import by_generation
from compress.quantization import parts as components
from compress.quantization.graphs.dynamic import tables_scheme
from compress.quantization.graphs.static import StaticSettings, calibrate_by
from compress.quantization.scheme import Scheme, affine
from tests.families import slow_but
from tests.written import onnx_generator, torch_generator

NEW = 6
EVERY = slow_but("bart", names=("bart", "llama", "t5", "gpt2"))


def prompts() -> list[np.ndarray]:
    random = np.random.default_rng(3)
    return [random.integers(3, 60, length) for length in (5, 9, 2, 7)]


def seen_by_torch(model: Any, rows: list[np.ndarray]) -> dict[str, tuple[float, float]]:
    """The least and greatest input of each module, row by row: no padding, nothing behind a row's end."""
    import torch

    found: dict[str, tuple[float, float]] = {}

    def watch(name: str) -> Any:
        def hook(_: Any, inputs: Any) -> None:
            low, high = found.get(name, (np.inf, -np.inf))
            found[name] = min(low, float(inputs[0].min())), max(high, float(inputs[0].max()))

        return hook

    hooks = [
        module.register_forward_pre_hook(watch(name))
        for name, module in model.named_modules()
        if not list(module.children())
    ]
    for row in rows:
        generate(model, torch.from_numpy(row)[None])
    for one in hooks:
        one.remove()
    return found


def generate(model: Any, ids: Any) -> Any:
    return model.generate(ids, max_new_tokens=NEW, do_sample=False, num_beams=1, pad_token_id=0)


@pytest.mark.parametrize("family", EVERY)
def test_fixed_ranges_are_those_of_the_decoding_loop(
    family: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from compress.models.load import load

    made, rows = onnx_generator(family, tmp_path_factory), prompts()
    model = load(torch_generator(family, tmp_path_factory))
    folder = tmp_path / "ends"
    shutil.copytree(made.folder, folder)
    import torch

    # The third token that the first row writes ends a text, so that rows end at different times.
    written = generate(model, torch.from_numpy(rows[0])[None])[0]
    said = json.loads((folder / "generation_config.json").read_text())
    said["eos_token_id"] = model.generation_config.eos_token_id = int(written[-NEW + 2])
    (folder / "generation_config.json").write_text(json.dumps(said))
    try:
        wanted = seen_by_torch(model, rows)
    finally:
        model.generation_config.eos_token_id = 1
    graphs = components.folded({part: folder / name for part, name in made.parts.items()}, tmp_path / "folded")
    settings = StaticSettings(method="minmax", wide="static", embeddings=False)
    checked = 0
    for part in graphs:
        runner = by_generation(graphs, part, folder, rows, new_tokens=NEW, padding=0)
        for name, layer in calibrate_by(graphs[part], runner, settings).items():
            assert layer.input is not None
            expected = affine(*wanted[name])
            # One row that ended, or one token of padding, moves a range by far more than sums in another order.
            np.testing.assert_allclose(layer.input.scale, expected.scale, rtol=1e-4, err_msg=name)
            assert abs(int(layer.input.zero_point) - int(expected.zero_point)) <= 1
            checked += 1
    assert checked >= {"bart": 16, "t5": 16, "llama": 6, "gpt2": 5}[family]


def test_nothing_to_write_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CompressError, match="no prompt"):
        by_generation({}, "decode", tmp_path, [], new_tokens=3, padding=0)


def test_the_embeddings_that_both_sides_share_are_quantized_alike(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """So that they lie once in the file of weights afterwards too."""
    made = onnx_generator("bart", tmp_path_factory)
    graphs = components.folded({part: made.folder / name for part, name in made.parts.items()}, tmp_path)
    of_parts = [Scheme(tables_scheme(Graph.load(path), ())) for path in graphs.values()]
    both = set(of_parts[0]) & set(of_parts[1])
    assert both == {"model.shared"}
    one, other = (scheme["model.shared"].weight for scheme in of_parts)
    assert one is not None
    assert other is not None
    assert np.array_equal(one.scale, other.scale)


def test_a_model_too_large_to_be_rewritten_is_refused_in_words(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of ONNX holds 2 GiB, and while a graph is rewritten its weights are in it."""
    made = onnx_generator("bart", tmp_path_factory)
    monkeypatch.setattr("compress.onnx.graph.LARGEST_BYTES", 100_000)
    with pytest.raises(CompressError, match="holds 2 at most. Distil or prune the model first"):
        components.folded({part: made.folder / name for part, name in made.parts.items()}, tmp_path)
