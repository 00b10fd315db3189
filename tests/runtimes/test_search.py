"""Tests of greedy and beam search over graphs: the tokens of transformers' own loops over the same graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compress.models.families.cache_name import cache_in, cache_name
from compress.runtimes import search
from compress.runtimes.runtime import Serving
from tests.families import slow_but
from tests.generative import VOCABULARY, ExportedGenerator, batch, exported, prompts

FAMILIES = slow_but("llama", "bart", names=("llama", "bart", "t5", "marian", "gpt2", "qwen2"))
GREEDY: dict[str, dict[str, Any]] = {
    "plain": {},
    "no repeats": {"no_repeat_ngram_size": 2},
    "no token twice": {"no_repeat_ngram_size": 1},
    "penalties": {"repetition_penalty": 1.7, "min_new_tokens": 6, "eos_token_id": [2, *range(200, 260)]},
    "forced ends": {"forced_bos_token_id": 7, "forced_eos_token_id": 2, "suppress_tokens": [9, 10, 11]},
    "no end": {"eos_token_id": None, "pad_token_id": 0},
}
BEAMS: dict[str, dict[str, Any]] = {
    "two": {"num_beams": 2},
    "short texts": {"num_beams": 3, "length_penalty": -1.5, "eos_token_id": [2, *range(100, 160)], "pad_token_id": 5},
    "long texts": {"num_beams": 4, "length_penalty": 2.0, "min_length": 9, "eos_token_id": [2, *range(100, 130)]},
    "early": {"num_beams": 3, "early_stopping": True, "eos_token_id": list(range(100, 200))},
    "never early": {"num_beams": 4, "early_stopping": "never", "eos_token_id": [2, *range(100, 140)]},
    "all returned": {"num_beams": 4, "num_return_sequences": 4, "no_repeat_ngram_size": 2, "eos_token_id": [2, *range(30)]},
    "no end": {"num_beams": 2, "eos_token_id": None, "pad_token_id": 0},
    "forced ends": {"num_beams": 2, "forced_bos_token_id": 7, "forced_eos_token_id": 2, "repetition_penalty": 1.3},
}  # fmt: skip


def opened(made: ExportedGenerator) -> Any:
    from compress.runtimes.onnx_generation import open_generator_in

    return open_generator_in(made.folder, made.parts, Serving())


@pytest.fixture
def llama(tmp_path_factory: pytest.TempPathFactory) -> ExportedGenerator:
    return exported("llama", tmp_path_factory, layers=1)


def by_transformers(generator: Any, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(search, "why_transformers", lambda *others, **more: "the test asks for it")
        found = generator.generate(**settings)
    assert generator.left_to_transformers == "the test asks for it"
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_are_those_of_transformers_loops(
    family: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = exported(family, tmp_path_factory, layers=1 if family in ("llama", "bart") else 2)
    generator = opened(made)
    texts = set()
    for options in (*GREEDY.values(), *BEAMS.values()):
        for seed in range(2):
            rows = batch(prompts(8, seed=seed), left="encoder" not in made.parts)
            settings = {**rows, "max_new_tokens": 12, "do_sample": False, **options}
            if options.get("forced_bos_token_id") and "encoder" not in made.parts:
                settings["max_length"] = settings.pop("max_new_tokens") + rows["input_ids"].shape[1]
            found = generator.generate(**settings)
            assert generator.left_to_transformers is None
            wanted = by_transformers(generator, monkeypatch, **settings)
            np.testing.assert_array_equal(found.numpy(), wanted.numpy(), err_msg=f"{options}, {seed}")
            texts |= {tuple(row) for row in wanted.tolist()}
    assert len(texts) > 120  # or a loop that writes the same for every input would pass


def test_texts_of_a_batch_end_at_different_lengths(llama: ExportedGenerator) -> None:
    """What makes the comparison above worth something."""
    rows = {**batch(prompts(8), left=True), "max_new_tokens": 12, "do_sample": False}
    for options in (GREEDY["penalties"], BEAMS["short texts"], BEAMS["early"], BEAMS["never early"]):
        found = opened(llama).generate(**rows, **options)[:, rows["input_ids"].shape[1] :]
        ends = np.isin(found.numpy(), options["eos_token_id"])
        assert len({int(row.argmax()) if row.any() else -1 for row in ends}) > 2


def test_criteria_and_processors_of_the_caller_are_called_at_each_step(
    llama: ExportedGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

    class Stop(StoppingCriteria):
        def __call__(self, input_ids: Any, scores: Any, **unused: Any) -> Any:
            return input_ids[:, -1] % 7 == 0

    class Shift(LogitsProcessor):
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            return scores + torch.sin(input_ids[:, -1:] * torch.arange(scores.shape[1]))

    generator = opened(llama)
    for beams in (1, 3):
        settings = {
            **batch(prompts(6), left=True),
            "max_new_tokens": 10,
            "num_beams": beams,
            "do_sample": False,
            "stopping_criteria": StoppingCriteriaList([Stop()]),
            "logits_processor": LogitsProcessorList([Shift()]),
        }
        found = generator.generate(**settings)
        assert generator.left_to_transformers is None
        assert found.tolist() == by_transformers(generator, monkeypatch, **settings).tolist()


def test_what_the_search_does_not_do_is_left_to_transformers_and_named(llama: ExportedGenerator) -> None:
    from transformers import TextStreamer

    class Heard(TextStreamer):
        def __init__(self) -> None:
            self.tokens: list[Any] = []

        def put(self, value: Any) -> None:
            self.tokens.append(value)

        def end(self) -> None:
            pass

    generator, heard = opened(llama), Heard()
    rows = batch(prompts(1), left=True)
    for options, reason in (
        ({"do_sample": True}, "do_sample"),
        ({"return_dict_in_generate": True}, "return_dict_in_generate"),
        ({"use_cache": False}, "use_cache"),
        ({"prefill_chunk_size": 2}, "prefill_chunk_size"),
        ({"logits_to_keep": 2}, "logits_to_keep"),
        ({"streamer": heard}, "streamer"),
        ({"num_beams": 2, "do_sample": True}, "do_sample"),
    ):
        generator.generate(**rows, **{"max_new_tokens": 3, "do_sample": False, **options})
        assert reason in generator.left_to_transformers
    assert len(heard.tokens) == 4
    generator.generate(**rows, max_new_tokens=3, do_sample=False)
    assert generator.left_to_transformers is None


def test_a_cache_to_go_on_from_is_left_to_transformers(llama: ExportedGenerator) -> None:
    generator, rows = opened(llama), batch(prompts(1, seed=4), left=True)
    half = generator.generate(**rows, max_new_tokens=3, do_sample=False, return_dict_in_generate=True)
    generator.generate(half.sequences, max_new_tokens=3, do_sample=False, **{cache_name(): cache_in(half)})
    assert generator.left_to_transformers == "it goes on from a cache"


def test_a_watched_session_is_not_passed_by(llama: ExportedGenerator) -> None:
    """Calibration reads values of a session whose runs it wraps."""
    from dataclasses import replace

    class Watched:
        def __init__(self, session: Any) -> None:
            self.session, self.runs = session, 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self.session, name)

        def run(self, feeds: Any) -> Any:
            self.runs += 1
            return self.session.run(feeds)

    generator = opened(llama)
    watched: Any = Watched(generator.graphs.decode)
    generator.graphs = replace(generator.graphs, decode=watched)
    generator.generate(**batch(prompts(1), left=True), max_new_tokens=3, do_sample=False, eos_token_id=None)
    assert watched.runs == 3


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_the_same_repeats_are_forbidden_as_by_transformers(size: int) -> None:
    import torch
    from transformers import NoRepeatNGramLogitsProcessor

    random = np.random.default_rng(size)
    for length in range(1, 12):
        ids = torch.from_numpy(random.integers(0, 4, (5, length)))
        scores = torch.from_numpy(random.normal(size=(5, 3)).astype(np.float32))  # without the token 3
        wanted = NoRepeatNGramLogitsProcessor(size)(ids, scores.clone())
        assert torch.equal(search._processed([NoRepeatNGramLogitsProcessor(size)], ids, scores.clone()), wanted)


def test_a_search_leaves_the_tokens_it_was_given_as_they_were(llama: ExportedGenerator) -> None:
    rows = batch([np.array([7]), np.array([VOCABULARY - 1])], left=True)
    for beams in (1, 2):
        opened(llama).generate(**rows, max_new_tokens=4, num_beams=beams, do_sample=False)
        assert rows["input_ids"].tolist() == [[7], [VOCABULARY - 1]]
