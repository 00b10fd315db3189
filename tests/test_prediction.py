"""`compress predict` prints what a model writes, by the model's own rules and for any runtime alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from compress.artifact import Artifact
from compress.cli import compress
from compress.errors import CompressError
from compress.prediction import predictions
from tests.artifacts import tiny_torch
from tests.written import onnx_generator, torch_generator

__all__ = ["tiny_torch"]

TEXTS = ["a good film but the plot", "an awful book"]


@pytest.mark.parametrize("family", ["bart", pytest.param("llama", marks=pytest.mark.slow)])
def test_torch_and_onnx_write_the_same_for_the_same_text(family: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    from compress.models import load, tokenizer

    source, made = torch_generator(family, tmp_path_factory), onnx_generator(family, tmp_path_factory)
    outputs = [answer["output"] for answer in predictions(made, TEXTS)]
    its_tokenizer, model = tokenizer(source.folder), load(source)
    for text, output in zip(TEXTS, outputs, strict=True):
        ids = its_tokenizer(text, return_tensors="pt")["input_ids"]
        most = 8 if family == "bart" else 64  # the task's `max_target`, or half of the model's positions
        found = model.generate(ids, max_new_tokens=most, do_sample=False)[0]
        found = found if family == "bart" else found[ids.shape[1] :]
        assert its_tokenizer.decode(found, skip_special_tokens=True).strip() == output


def test_the_command_prints_the_text_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = onnx_generator("bart", tmp_path_factory)
    (wanted,) = predictions(made, TEXTS[:1])
    done = CliRunner().invoke(compress, ["predict", str(made.folder), TEXTS[0]])
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == wanted["output"]


def test_a_second_text_is_refused(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    with pytest.raises(CompressError, match="one text at a time"):
        list(predictions(onnx_generator("bart", tmp_path_factory), TEXTS[:1], "another"))


@pytest.mark.parametrize("family", ["bart", pytest.param("llama", marks=pytest.mark.slow)])
def test_beams_and_length_are_the_readers_choice(family: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    from compress.models import load, tokenizer

    source, made = torch_generator(family, tmp_path_factory), onnx_generator(family, tmp_path_factory)
    (output,) = predictions(made, TEXTS[:1], beams=3, new_tokens=5)
    its_tokenizer, model = tokenizer(source.folder), load(source)
    ids = its_tokenizer(TEXTS[0], return_tensors="pt")["input_ids"]
    found = model.generate(ids, max_new_tokens=5, num_beams=3, do_sample=False)[0]
    found = found if family == "bart" else found[ids.shape[1] :]
    assert output["output"] == its_tokenizer.decode(found, skip_special_tokens=True).strip()


def test_more_than_there_is_room_for_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(CompressError, match="has room for .* Ask for fewer with --new-tokens"):
        list(predictions(onnx_generator("bart", tmp_path_factory), TEXTS[:1], new_tokens=100_000))


def test_a_classifier_has_no_beams(tiny_torch: Artifact) -> None:
    with pytest.raises(CompressError, match="writes nothing. Leave out --beams"):
        list(predictions(tiny_torch, TEXTS[:1], beams=2))
