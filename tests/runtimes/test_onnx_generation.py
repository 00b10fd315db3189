from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.core.errors import CompressError
from compress.models.families.cache_name import cache_in, cache_name
from compress.runtimes.runtime import Serving
from tests.families import slow_but
from tests.generative import LONGEST, VOCABULARY, ExportedGenerator, batch, exported, prompts

OPTIONS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "beams": {"num_beams": 4},
    "beams of other lengths": {"num_beams": 3, "length_penalty": 2.0, "early_stopping": True, "min_new_tokens": 4},
    "no repeats": {"num_beams": 2, "no_repeat_ngram_size": 2, "num_return_sequences": 2},
    "forced ends": {"forced_bos_token_id": 7, "forced_eos_token_id": 2, "repetition_penalty": 1.3},
}
REAL = os.environ.get("COMPRESS_REAL_DATA")
on_real_data = pytest.mark.skipif(REAL is None, reason="COMPRESS_REAL_DATA names no folder of real data")


def opened(made: ExportedGenerator) -> Any:
    from compress.runtimes.onnx_generation import open_generator_in

    return open_generator_in(made.folder, made.parts, Serving())


@pytest.fixture
def llama(tmp_path_factory: pytest.TempPathFactory) -> ExportedGenerator:
    return exported("llama", tmp_path_factory, layers=1)


@pytest.mark.parametrize("family", slow_but("llama"))
def test_tokens_are_torchs_on_padded_batches(family: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    _check_tokens(family, OPTIONS["greedy"], tmp_path_factory)


@pytest.mark.parametrize("family", slow_but("llama", names=("llama", "bart", "gemma3_text")))
@pytest.mark.parametrize("options", [name for name in OPTIONS if name != "greedy"])
def test_tokens_are_torchs_by_all_options_of_generate(
    family: str, options: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    _check_tokens(family, OPTIONS[options], tmp_path_factory)


@pytest.mark.slow
def test_a_text_that_grows_beyond_a_phi3_s_first_positions_is_read_again(tmp_path: Path) -> None:
    from tests.generative import export_generator

    factors = {"short_factor": [1.0, 1.1, 1.2, 1.3], "long_factor": [2.0, 3.0, 4.0, 5.0], "factor": 8.0}
    first = {"original_max_position_embeddings": 16}
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, **factors, **first}
    made = export_generator(tmp_path, "phi3", layers=1, rope_parameters=rope, sliding_window=None, **first)
    settings = {**batch(prompts(6, longest=14), left=True), "max_new_tokens": 16, "do_sample": False}
    for options in ({}, {"num_beams": 3}):
        wanted = made.model.generate(**settings, **options)
        assert opened(made).generate(**settings, **options).tolist() == wanted.tolist()


def _check_tokens(family: str, options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    made = exported(family, tmp_path_factory, layers=1 if family == "llama" else 2)
    generator = opened(made)
    outputs = set()
    for seed in range(3):
        rows = batch(prompts(14, seed=seed), left="encoder" not in made.parts)
        settings = {**rows, "max_new_tokens": 14, "do_sample": False, **options}
        wanted, found = made.model.generate(**settings), generator.generate(**settings)
        np.testing.assert_array_equal(found.numpy(), wanted.numpy())
        outputs |= {tuple(row[-14:]) for row in wanted.tolist()}
    # Outputs depend on the input, or a generator that ignores it would pass.
    assert len(outputs) > 20


def test_a_single_row_without_a_mask_gives_torchs_tokens(llama: ExportedGenerator) -> None:
    """transformers leaves out a mask of ones, for the prompt and for each step."""
    ids = batch(prompts(3)[1:2], left=True)["input_ids"]
    wanted = llama.model.generate(ids, max_new_tokens=20, do_sample=False)
    assert opened(llama).generate(ids, max_new_tokens=20, do_sample=False).tolist() == wanted.tolist()


def test_sampling_with_a_seed_gives_torchs_tokens(llama: ExportedGenerator) -> None:
    import torch

    rows, settings = batch(prompts(6), left=True), {"do_sample": True, "temperature": 2.0, "max_new_tokens": 12}
    drawn = []
    for model in (llama.model, opened(llama)):
        torch.manual_seed(3)
        drawn.append(model.generate(**rows, **settings).tolist())
    greedy = llama.model.generate(**rows, max_new_tokens=12, do_sample=False)
    assert drawn[0] == drawn[1] != greedy.tolist()


def test_generation_goes_on_from_a_cache_that_was_returned(llama: ExportedGenerator) -> None:
    generator, rows = opened(llama), batch(prompts(1, seed=4), left=True)
    settings: dict[str, Any] = {"do_sample": False, "return_dict_in_generate": True}
    whole = generator.generate(**rows, max_new_tokens=12, **settings).sequences
    half = generator.generate(**rows, max_new_tokens=6, **settings)
    cache = {cache_name(): cache_in(half)}
    rest = generator.generate(half.sequences, max_new_tokens=6, **cache, **settings)
    assert rest.sequences.tolist() == whole.tolist()


@pytest.mark.parametrize("options", [{"prompt_lookup_num_tokens": 3}, {"prefill_chunk_size": 4}], ids=str)
def test_several_tokens_at_once_on_a_filled_cache_give_the_same(llama: ExportedGenerator, options: Any) -> None:
    """Tokens looked up in the prompt and checked together, some of them dropped again; a prompt read in chunks."""
    row = batch([np.tile(prompts(2)[1], 3)], left=True)
    settings = {**row, "max_new_tokens": 20, "do_sample": False}
    wanted = llama.model.generate(**settings)
    assert opened(llama).generate(**settings, **options).tolist() == wanted.tolist()


def test_a_cache_of_another_kind_is_refused(llama: ExportedGenerator) -> None:
    with pytest.raises(CompressError, match="'static'"):
        opened(llama).generate(**batch(prompts(2), left=True), max_new_tokens=2, cache_implementation="static")


def test_without_a_cache_tokens_are_the_same(llama: ExportedGenerator) -> None:
    generator, rows = opened(llama), batch(prompts(4), left=True)
    settings = {"do_sample": False, "max_new_tokens": 8}
    assert generator.generate(**rows, use_cache=False, **settings).tolist() == (
        llama.model.generate(**rows, **settings).tolist()
    )


def test_the_generation_config_beside_the_graphs_is_used(llama: ExportedGenerator, tmp_path: Path) -> None:
    for file in llama.folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "generation_config.json").write_text(json.dumps({"max_new_tokens": 3, "pad_token_id": 0}))
    rows = batch(prompts(4), left=True)
    found = opened(ExportedGenerator(llama.model, tmp_path, llama.parts)).generate(**rows)
    assert found.shape[1] == rows["input_ids"].shape[1] + 3


def test_a_setting_that_only_says_how_to_compute_is_left_out(llama: ExportedGenerator, tmp_path: Path) -> None:
    """Whoever calls `generate()` with a batch, as calibration does, gets the text and no refusal of guessed tokens."""
    from compress.runtimes.onnx_generation import open_generator_in

    given = {**batch(prompts(3), left=True), "max_new_tokens": 8, "do_sample": False}
    wanted = opened(llama).generate(**given)
    for file in llama.folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    said = json.loads((llama.folder / "generation_config.json").read_text())
    how = {"prompt_lookup_num_tokens": 3, "cache_implementation": "static", "use_mtp": True, "prefill_chunk_size": 2}
    (tmp_path / "generation_config.json").write_text(json.dumps({**said, **how}))
    found = open_generator_in(tmp_path, llama.parts, Serving()).generate(**given)
    np.testing.assert_array_equal(found.numpy(), wanted.numpy())


def test_an_argument_that_the_graph_does_not_read_is_refused_by_name(llama: ExportedGenerator) -> None:
    """A cache that transformers calls by another name was left out without a word, and each token read as the first."""
    generator, rows = opened(llama), batch(prompts(2), left=True)
    other = {"cache": "past_key_values", "past_key_values": "cache"}[cache_name()]
    with pytest.raises(CompressError, match=f"does not read '{other}'"):
        generator(**rows, **{other: generator.empty_cache()})
    assert generator(**rows, return_dict=True, token_type_ids=None).logits.shape[0] == 2


def test_a_misspelt_option_is_refused_as_by_torch(llama: ExportedGenerator) -> None:
    with pytest.raises(ValueError, match="num_bems"):
        opened(llama).generate(**batch(prompts(2), left=True), num_bems=4)


@pytest.mark.slow
def test_a_prompt_beyond_the_models_positions_is_refused_in_words(tmp_path_factory: pytest.TempPathFactory) -> None:
    import torch

    ids = torch.full((1, LONGEST + 1), 5)
    with pytest.raises(CompressError, match="Give shorter ones"):
        opened(exported("gpt2", tmp_path_factory)).generate(ids, max_new_tokens=1)


def test_a_folder_without_a_config_is_refused(llama: ExportedGenerator, tmp_path: Path) -> None:
    for name in (*llama.parts.values(), "weights.bin"):
        (tmp_path / name).write_bytes((llama.folder / name).read_bytes())
    with pytest.raises(CompressError, match=r"no config\.json"):
        opened(ExportedGenerator(llama.model, tmp_path, llama.parts))


@pytest.mark.slow
def test_beams_share_the_cross_attention_and_move_only_their_own_cache(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    import torch

    made = exported("bart", tmp_path_factory)
    generator, rows = opened(made), batch(prompts(2), left=False)
    encoded = generator.get_encoder()(**rows)
    start = torch.tensor([[1], [1], [1], [1]])  # two beams for each row
    mask = rows["attention_mask"].repeat_interleave(2, dim=0)
    cache = cache_in(generator(decoder_input_ids=start, attention_mask=mask, encoder_outputs=encoded))
    cross = cache.cross_attention_cache.layers[0].keys
    assert torch.equal(cross[0], cross[1])
    assert not torch.equal(cross[0], cross[2])
    cache.reorder_cache(torch.tensor([1, 1, 2, 2]))
    assert cache.cross_attention_cache.layers[0].keys is cross


@pytest.mark.slow
def test_states_of_another_encoder_are_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = exported("bart", tmp_path_factory)
    rows = batch(prompts(2), left=False)
    with pytest.raises(CompressError, match="cross-attention's keys"):
        opened(made).generate(**rows, encoder_outputs=made.model.get_encoder()(**rows), max_new_tokens=2)


@pytest.mark.slow
def test_padding_in_the_decoders_own_tokens_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    import torch

    made = exported("bart", tmp_path_factory)
    rows = batch(prompts(2), left=False)
    starts = {"decoder_input_ids": torch.tensor([[1, 5], [1, 0]])}
    mask = torch.tensor([[1, 1], [1, 0]])
    with pytest.raises(CompressError, match="equal length"):
        opened(made).generate(**rows, **starts, decoder_attention_mask=mask, max_new_tokens=4)
    settings = {**rows, **starts, "max_new_tokens": 4, "do_sample": False}
    assert opened(made).generate(**settings).tolist() == made.model.generate(**settings).tolist()


@pytest.mark.slow
@on_real_data
def test_a_real_decoder_tells_torchs_stories(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(str(REAL)) / "models" / "stories260k"
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", pad_token="<unk>")
    beginnings = ["Once upon a time", "The big dog", "One day, Tom and his mom went to the park and", "Lily"]
    rows = tokenizer(beginnings, padding=True, return_tensors="pt", return_token_type_ids=False)
    made = _real(model, tmp_path)
    for options in ({}, {"num_beams": 3, "no_repeat_ngram_size": 4}):
        settings = {**rows, "max_new_tokens": 60, "do_sample": False, "pad_token_id": 0, **options}
        assert opened(made).generate(**settings).tolist() == model.generate(**settings).tolist()


@pytest.mark.slow
@on_real_data
def test_a_real_summarizer_gives_torchs_summaries(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    root = Path(str(REAL))
    model = AutoModelForSeq2SeqLM.from_pretrained(root / "models" / "bart-samsum", dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(root / "models" / "bart-samsum")
    dialogues = json.loads((root / "data" / "SAMSum" / "val.json").read_text(encoding="utf-8"))[:6]
    texts = [" | ".join(row["dialogue"].splitlines()) for row in dialogues]
    rows = tokenizer(
        texts, padding=True, truncation=True, max_length=256, return_tensors="pt", return_token_type_ids=False
    )
    made = _real(model, tmp_path)
    for beams in (1, 4):
        settings = {**rows, "num_beams": beams, "do_sample": False}
        wanted = model.generate(**settings)
        assert opened(made).generate(**settings).tolist() == wanted.tolist()
        assert len({tuple(row) for row in wanted.tolist()}) == 6


def _real(model: Any, folder: Path) -> ExportedGenerator:
    from compress.onnx.export_with_cache import export_generative
    from compress.onnx.parity_with_cache import check_generation
    from compress.runtimes.sessions_with_cache import open_generation

    done = export_generative(model, folder)
    vocabulary = min(model.config.vocab_size, VOCABULARY)
    check_generation(open_generation(done.parts, threads=1), model, [row % vocabulary for row in prompts(4)])
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    return ExportedGenerator(model, folder, {part: path.name for part, path in done.parts.items()})
