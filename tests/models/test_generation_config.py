"""The settings by which a model generates: those of its config.json too, everywhere the same, and never in the way of saving."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compress.core import catalogue
from compress.core.errors import CompressError
from compress.models import decoding_settings
from compress.models import load as models
from compress.models.generation_config import FILE, generation_config, write
from compress.onnx import exported as exporting
from compress.runtimes.predict import predictions
from compress.techniques.apply import apply
from tests.tiny_generators import write_generator
from tests.written import onnx_generator, torch_generator

BEFORE_4_26 = {
    "num_beams": 3,
    "no_repeat_ngram_size": 2,
    "min_length": 6,
    "forced_bos_token_id": 9,
    "length_penalty": 2.0,
}
LLAMA_2 = {
    "do_sample": False,
    "temperature": 0.6,
    "top_p": 0.9,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 1,
}


def settings_in_the_config(folder: Path, **settings: Any) -> Path:
    """As models were saved before transformers 4.26."""
    (folder / FILE).unlink()
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**raw, **settings}))
    return folder


def test_settings_in_the_models_config_are_read_as_transformers_reads_them(tmp_path: Path) -> None:
    from transformers import AutoModelForSeq2SeqLM

    folder = settings_in_the_config(write_generator(tmp_path / "old", "bart"), **BEFORE_4_26)
    found = generation_config(folder).to_diff_dict()
    theirs = AutoModelForSeq2SeqLM.from_pretrained(folder).generation_config.to_diff_dict()
    assert {name: value for name, value in theirs.items() if not name.startswith("_")} == found
    assert BEFORE_4_26.items() <= found.items()
    assert models.load(models.checkpoint_artifact(folder, "old")).generation_config.to_diff_dict() == found


def test_settings_in_the_models_config_are_written_beside_graphs_which_then_write_torchs_text(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source, made = torch_generator("bart", tmp_path_factory), onnx_generator("bart", tmp_path_factory)
    shutil.copytree(source.folder, tmp_path / "old")
    old = models.checkpoint_artifact(settings_in_the_config(tmp_path / "old", **BEFORE_4_26), "old")
    (tmp_path / "onnx").mkdir()
    exporting.finish_folder(old, tmp_path / "onnx", {part: made.folder / name for part, name in made.parts.items()})
    assert BEFORE_4_26.items() <= json.loads((tmp_path / "onnx" / FILE).read_text()).items()
    again = replace(made, folder=tmp_path / "onnx", files={}, task=None)
    texts = ["a good film but the plot", "an awful book"]
    written = list(predictions(again, texts, new_tokens=12))
    assert written == list(predictions(old, texts, new_tokens=12)) != list(predictions(source, texts, new_tokens=12))


def test_an_imported_model_has_its_settings_in_a_file_of_their_own(tmp_path: Path) -> None:
    folder = settings_in_the_config(write_generator(tmp_path / "old", "bart"), **BEFORE_4_26)
    technique = catalogue.find("techniques", "import")
    made = apply(technique, models.checkpoint_artifact(folder, "old"), technique.settings(), tmp_path / "made")
    assert BEFORE_4_26.items() <= json.loads((made.folder / FILE).read_text()).items()
    assert FILE in made.files


def test_a_changed_model_is_saved_with_the_sampling_settings_that_it_came_with(tmp_path: Path) -> None:
    """transformers refuses to save such a config once it was changed: after an epoch, when its checkpoint is due."""
    folder = write_generator(tmp_path / "llama", "llama")
    (folder / FILE).write_text(json.dumps(LLAMA_2))
    model = models.load(models.checkpoint_artifact(folder, "llama"))
    model.generation_config.max_new_tokens = 8
    models.save(model, models.tokenizer(folder), tmp_path / "tuned")
    saved = json.loads((tmp_path / "tuned" / FILE).read_text())
    assert {**LLAMA_2, "max_new_tokens": 8}.items() <= saved.items()


@pytest.mark.parametrize(
    "settings",
    [
        {"stop_strings": ["."]},
        {"num_beam_groups": 2},
        {"penalty_alpha": 0.6},
        {"max_time": 3.0},
        {"guidance_scale": 1.5},
    ],
    ids=str,
)
def test_a_setting_that_is_not_done_here_is_refused_by_name(settings: dict[str, Any], tmp_path: Path) -> None:
    folder = settings_in_the_config(write_generator(tmp_path / "llama", "llama"), **settings)
    with pytest.raises(CompressError, match=f"asks for '{next(iter(settings))}'"):
        generation_config(folder)
    settings_in_the_config(write_generator(tmp_path / "one", "llama"), num_beam_groups=1, guidance_scale=1.0)
    assert generation_config(tmp_path / "one").num_beam_groups == 1


CARRIED_OUT: dict[str, Any] = {
    "encoder_repetition_penalty": 8.0,
    "exponential_decay_length_penalty": [1, 50.0],
    "bad_words_ids": [[36], [11], [5]],
    "suppress_tokens": [36, 11, 5],
    "begin_suppress_tokens": [36, 11, 1],
    "sequence_bias": [[[7], 90.0]],
    "forced_bos_token_id": 9,
    "forced_eos_token_id": 9,
    "watermarking_config": {"bias": 50.0},
    "no_repeat_ngram_size": 1,
    "repetition_penalty": 5.0,
    "num_beams": 4,
}


@pytest.mark.parametrize("name", CARRIED_OUT)
def test_a_setting_that_is_carried_out_gives_transformers_own_text_in_torch_and_onnx(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import torch

    source, made = torch_generator("bart", tmp_path_factory), onnx_generator("bart", tmp_path_factory)
    texts = ["a good film but the plot", "an awful book"]
    own = json.loads((source.folder / FILE).read_text())
    written = []
    for one in (source, made):
        folder = shutil.copytree(one.folder, tmp_path / one.format)
        (folder / FILE).write_text(json.dumps({**own, name: CARRIED_OUT[name]}))
        write(folder, tmp_path)  # as an export writes it
        shutil.copy(tmp_path / FILE, folder)
        again = replace(one, folder=folder, files={}, task=None)
        written.append([answer["output"] for answer in predictions(again, texts, new_tokens=12)])
    model, its_tokenizer = (
        type(models.load(source)).from_pretrained(tmp_path / "torch"),
        models.tokenizer(source.folder),
    )
    with torch.no_grad():
        found = [model.generate(**its_tokenizer(one, return_tensors="pt"), max_new_tokens=12)[0] for one in texts]
    wanted = [its_tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in found]
    assert written == [wanted, wanted]


def test_every_setting_of_transformers_stands_in_one_table() -> None:
    """A setting that a later version of transformers brings is decided upon before that version is allowed."""
    from transformers import GenerationConfig

    tables = (
        *(decoding_settings.RULES, decoding_settings.OF_THE_MODEL, decoding_settings.OF_THE_COMMAND),
        *(decoding_settings.OF_CHANCE, decoding_settings.ONLY_HOW, decoding_settings.OF_THE_FILE),
        tuple(decoding_settings.NOT_DONE),
    )
    named = [name for table in tables for name in table]
    assert len(named) == len(set(named))
    assert set(vars(GenerationConfig())) <= set(named)


@pytest.mark.parametrize(
    "text",
    [
        '{"num_beams": "four"}',
        '{"length_penalty": "short"}',
        '{"min_length": -1}',
        "{",
        "[]",
        '{"early_stopping": "sometimes"}',
        '{"max_new_tokens": 0}',
        '{"eos_token_id": "</s>"}',
        '{"pad_token_id": 1.5}',
        '{"forced_bos_token_id": [2, "en"]}',
    ],
)
def test_a_setting_that_is_none_is_refused_when_the_model_is_opened(text: str, tmp_path: Path) -> None:
    folder = write_generator(tmp_path / "llama", "llama")
    (folder / FILE).write_text(text)
    with pytest.raises(CompressError, match=FILE) as refused:
        models.load(models.checkpoint_artifact(folder, "llama"))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) <= 500


def test_a_length_penalty_may_prefer_short_texts(tmp_path: Path) -> None:
    folder = write_generator(tmp_path / "llama", "llama")
    (folder / FILE).write_text('{"length_penalty": -1.0, "num_beams": 2, "eos_token_id": [1, 2]}')
    assert generation_config(folder).length_penalty == -1.0
