"""What an export writes is compared with what its torch model writes, by generating: equal logits alone do not say it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.onnx.text_parity import check_texts
from compress.runtimes import onnx_generation, search
from compress.runtimes.bound_decoder import BoundDecoder
from compress.runtimes.runtime import Serving
from tests.generative import ExportedGenerator, exported, prompts


@pytest.fixture
def llama(tmp_path_factory: pytest.TempPathFactory) -> ExportedGenerator:
    return exported("llama", tmp_path_factory, layers=1)


def opened(made: ExportedGenerator) -> Any:
    return onnx_generation.open_generator_in(made.folder, made.parts, Serving())


@pytest.mark.parametrize("beams", [1, 3])
def test_an_export_writes_what_its_model_writes(
    beams: int, llama: ExportedGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = copy.deepcopy(llama.model.generation_config)
    settings.update(num_beams=beams, no_repeat_ngram_size=2, min_length=3)
    monkeypatch.setattr(llama.model, "generation_config", settings)
    generator = opened(llama)
    generator.generation_config = copy.deepcopy(settings)
    found = check_texts(generator, llama.model, prompts(9, seed=3))
    assert (found.prompts, found.same_texts) == (4, 4)
    assert 0 < found.largest_gap <= found.tolerance


def test_a_loop_that_loses_its_cache_is_refused(llama: ExportedGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    step = BoundDecoder.step

    def forgets(self: Any, ids: Any) -> Any:
        import torch

        return step(BoundDecoder(self._graphs, torch.ones(ids.shape, dtype=torch.int64)), ids)

    monkeypatch.setattr(BoundDecoder, "step", forgets)
    with pytest.raises(CompressError, match="does not write what the model writes"):
        check_texts(opened(llama), llama.model, prompts(4, seed=3))


def test_transformers_loop_that_loses_its_cache_is_refused(
    llama: ExportedGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when transformers called the cache by another name: every token was read as the first one."""
    monkeypatch.setattr(search, "why_transformers", lambda *others, **more: "the test asks for it")
    monkeypatch.setattr(onnx_generation, "_contents", lambda cache: None)
    generator = opened(llama)
    step = generator.graphs.step
    short = type(
        "Short",
        (),
        {
            "encoder": None,
            "step": lambda self, ids, mask, past, **more: step(ids, mask[:, -ids.shape[1] :], None, **more),
        },
    )
    generator.graphs = short()
    with pytest.raises(CompressError, match="does not write what the model writes"):
        check_texts(generator, llama.model, prompts(4, seed=3))


@pytest.mark.parametrize(
    "lost", [{"forced_bos_token_id": 7}, {"suppress_tokens": [4, 5]}, {"bad_words_ids": [[8]]}], ids=str
)
def test_settings_that_the_export_does_not_have_are_noticed(
    lost: dict[str, Any], llama: ExportedGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = copy.deepcopy(llama.model.generation_config)
    settings.update(**lost)
    monkeypatch.setattr(llama.model, "generation_config", settings)
    rows = [row[:1] for row in prompts(4)]  # a forced first token stands behind a prompt of one
    with pytest.raises(CompressError, match="differs by inf"):
        check_texts(opened(llama), llama.model, rows)
