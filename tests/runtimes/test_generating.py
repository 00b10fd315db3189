"""Tests of how a generator of any runtime is driven: what it writes and says of texts is what transformers itself gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compress.core.errors import CompressError
from compress.metrics.perplexity import log_likelihoods
from compress.runtimes.generating import Decoding, check_room, generate, logits, rules, scores
from compress.runtimes.rows import Rows
from compress.runtimes.runtime import Serving
from tests.generative import LONGEST, ExportedGenerator, exported, prompts, strong_generator

FAMILIES = ["llama", pytest.param("t5", marks=pytest.mark.slow)]


@pytest.fixture(params=FAMILIES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ExportedGenerator:
    return exported(request.param, tmp_path_factory, layers=1 if request.param == "llama" else 2)


@pytest.fixture(params=["torch", "onnx"])
def generator(request: pytest.FixtureRequest, made: ExportedGenerator) -> Any:
    from compress.runtimes.onnx_generation import open_generator_in

    return made.model if request.param == "torch" else open_generator_in(made.folder, made.parts, Serving())


def feeds(rows: list[np.ndarray], *, writes: bool) -> dict[str, Any]:
    return rows_of(rows, "right" if writes else "left").batch(range(len(rows)))


def rows_of(rows: list[np.ndarray], side: Any = "right") -> Rows:
    return Rows({"input_ids": tuple(rows), "attention_mask": tuple(np.ones_like(row) for row in rows)}, {}, side)


def alone(model: Any, row: np.ndarray, **settings: Any) -> list[int]:
    """What torch writes after one row, without padding."""
    import torch

    found: list[int] = model.generate(torch.from_numpy(row)[None], do_sample=False, **settings)[0].tolist()
    found = found[1:] if model.config.is_encoder_decoder else found[len(row) :]
    return found[: found.index(2) + 1] if 2 in found else found


def test_every_row_of_a_batch_gets_what_transformers_writes_after_it_alone(
    made: ExportedGenerator, generator: Any
) -> None:
    rows = prompts(12, seed=5)
    given = feeds(rows, writes=made.model.config.is_encoder_decoder)
    found = generate(generator, given, Decoding(max_new_tokens=10))
    assert [one.tolist() for one in found] == [alone(made.model, row, max_new_tokens=10) for row in rows]
    assert len({tuple(one) for one in found}) > 6


def test_rules_and_beams_are_those_asked_for_and_not_those_of_the_generation_config(made: ExportedGenerator) -> None:
    model, rows = made.model, prompts(10, seed=6)
    given = feeds(rows, writes=model.config.is_encoder_decoder)
    plain = generate(model, given, Decoding(max_new_tokens=12))
    before = model.generation_config.to_dict()
    try:
        model.generation_config.update(num_beams=4, no_repeat_ngram_size=1, do_sample=True, max_new_tokens=2)
        again = generate(model, given, Decoding(max_new_tokens=12))
        ruled = generate(model, given, Decoding(2, 12, {"no_repeat_ngram_size": 2}))
    finally:
        model.generation_config.update(**before)
    assert [one.tolist() for one in again] == [one.tolist() for one in plain]
    wanted = [alone(model, row, max_new_tokens=12, num_beams=2, no_repeat_ngram_size=2) for row in rows]
    assert [one.tolist() for one in ruled] == wanted != [one.tolist() for one in plain]


def test_a_length_that_the_generation_config_asks_for_is_not_kept_either(made: ExportedGenerator) -> None:
    """transformers fills in the model's own settings wherever those given to it say nothing."""
    model = made.model
    given = feeds(prompts(6, seed=6), writes=model.config.is_encoder_decoder)
    plain = generate(model, given, Decoding(max_new_tokens=12))
    ends = {int(token) for row in plain for token in row}
    before = model.generation_config.to_dict()
    try:
        model.generation_config.eos_token_id = sorted(ends)
        assert [len(row) for row in generate(model, given, Decoding(max_new_tokens=12))] == [1] * 6
        model.generation_config.update(min_length=40, min_new_tokens=12, early_stopping="never")
        assert [len(row) for row in generate(model, given, Decoding(max_new_tokens=12))] == [1] * 6
        ruled = generate(model, given, Decoding(1, 12, {"min_new_tokens": 12}))
        assert [len(row) for row in ruled] == [12] * 6
    finally:
        model.generation_config.update(**before)


def test_settings_that_change_only_how_a_text_is_computed_change_nothing(generator: Any) -> None:
    given = feeds(prompts(4, seed=2), writes=generator.config.is_encoder_decoder)
    plain = generate(generator, given, Decoding(max_new_tokens=6))
    before = generator.generation_config.to_dict()
    generator.generation_config.update(
        cache_implementation="static", use_cache=False, prefill_chunk_size=2, output_scores=True, low_memory=True
    )
    try:
        again = generate(generator, given, Decoding(max_new_tokens=6))
    finally:
        generator.generation_config.update(**before)
    assert [row.tolist() for row in again] == [row.tolist() for row in plain]


def test_exactly_so_many_tokens_are_written_and_each_has_its_time(made: ExportedGenerator, generator: Any) -> None:
    given = feeds(prompts(6, seed=7), writes=made.model.config.is_encoder_decoder)
    stamps: list[float] = []
    found = generate(generator, given, Decoding(max_new_tokens=3), exactly=9, stamps=stamps)
    assert [len(one) for one in found] == [9] * 6
    assert not any(2 in one for one in found)
    assert len(stamps) == 9
    assert stamps == sorted(stamps)


def test_probabilities_and_most_likely_tokens_are_those_of_each_row_alone(
    made: ExportedGenerator, generator: Any
) -> None:
    import torch

    model, rows = made.model, prompts(7, seed=8)[1:]
    writes = model.config.is_encoder_decoder
    wanted = prompts(7, seed=9)[1:] if writes else [np.where(np.arange(len(row)) < 1, -100, row) for row in rows]
    texts, labels = rows_of(rows), Rows({"input_ids": tuple(wanted)}, {"input_ids": -100})
    numbers = range(len(rows))
    found, said = scores(generator, texts.batch(numbers), labels.batch(numbers)["input_ids"])
    for line, (row, right) in enumerate(zip(rows, wanted, strict=True)):
        ids = torch.from_numpy(row)[None]
        with torch.no_grad():
            if writes:
                out = model(input_ids=ids, labels=torch.from_numpy(right)[None])
                likely = -float(out.loss) * len(right)
                best = out.logits[0].argmax(-1).numpy()
            else:
                out = model(ids).logits[0].numpy()
                likely = float(log_likelihoods(out, right).sum())
                best = np.concatenate([[-100], out.argmax(-1)[:-1]])
        assert found[line].sum() == pytest.approx(likely, rel=1e-4)
        assert said[line, : len(right)].tolist() == best.tolist()
        assert (said[line, len(right) :] == -100).all()
        assert (found[line, len(right) :] == 0).all()


def test_a_decoders_first_token_cannot_be_scored(tmp_path_factory: pytest.TempPathFactory) -> None:
    model = exported("llama", tmp_path_factory, layers=1).model
    given = rows_of(prompts(2)).batch([0, 1])
    with pytest.raises(ValueError, match="must be -100"):
        scores(model, given, given["input_ids"])
    assert logits(model, given).shape == (*given["input_ids"].shape, model.config.vocab_size)


def test_more_tokens_than_a_model_reads_are_refused_in_words(tmp_path_factory: pytest.TempPathFactory) -> None:
    model = exported("llama", tmp_path_factory, layers=1).model
    check_room(model, LONGEST - 10, 10)
    with pytest.raises(CompressError, match=f"has positions for {LONGEST} tokens"):
        check_room(model, LONGEST - 10, 11)


def test_of_a_generation_config_only_rules_that_change_something_are_kept() -> None:
    said = {"num_beams": 4, "no_repeat_ngram_size": 3, "length_penalty": 1.0, "repetition_penalty": None, "top_k": 5}
    assert rules(said) == {"no_repeat_ngram_size": 3}
    idle = {"length_penalty": 1, "min_length": 0, "early_stopping": False, "no_repeat_ngram_size": 0}
    assert rules(idle) == {}
    assert rules({"length_penalty": 0.0}) == {
        "length_penalty": 0.0
    }  # the sum of the tokens' scores, whatever the length


def test_scores_that_are_no_numbers_end_a_text() -> None:
    import torch

    model = strong_generator("llama", layers=1)
    with torch.no_grad():
        model.model.norm.weight[3] = float("nan")
    feeds = {"input_ids": np.array([[5, 6]]), "attention_mask": np.array([[1, 1]])}
    with pytest.raises(CompressError, match="scores of the next token are NaN"):
        generate(model, feeds, Decoding(max_new_tokens=3))
