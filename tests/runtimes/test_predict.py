"""`compress predict` answers as `compress benchmark` measures, for any runtime alike."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from transformers import AutoTokenizer

from compress.cli import compress
from compress.core.artifact import Artifact, Step
from compress.core.errors import CompressError
from compress.runtimes.predict import opened, predictions
from tests.artifacts import tiny_onnx, tiny_torch
from tests.tiny import write_model
from tests.written import onnx_generator, torch_generator

__all__ = ["tiny_onnx", "tiny_torch"]

TEXTS = ["a good film but the plot", "an awful book"]


@pytest.mark.parametrize("family", ["bart", pytest.param("llama", marks=pytest.mark.slow)])
def test_torch_and_onnx_write_the_same_for_the_same_text(family: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    from compress.models.load import load, tokenizer

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
    with pytest.raises(CompressError, match="reads single texts"):
        list(predictions(onnx_generator("bart", tmp_path_factory), TEXTS[:1], "another"))


@pytest.mark.parametrize("family", ["bart", pytest.param("llama", marks=pytest.mark.slow)])
def test_beams_and_length_are_the_readers_choice(family: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    from compress.models.load import load, tokenizer

    source, made = torch_generator(family, tmp_path_factory), onnx_generator(family, tmp_path_factory)
    (output,) = predictions(made, TEXTS[:1], beams=3, new_tokens=5)
    its_tokenizer, model = tokenizer(source.folder), load(source)
    ids = its_tokenizer(TEXTS[0], return_tensors="pt")["input_ids"]
    found = model.generate(ids, max_new_tokens=5, num_beams=3, do_sample=False)[0]
    found = found if family == "bart" else found[ids.shape[1] :]
    assert output["output"] == its_tokenizer.decode(found, skip_special_tokens=True).strip()


def test_more_than_there_is_room_for_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(CompressError, match="can generate at most .* Set --new-tokens lower"):
        list(predictions(onnx_generator("bart", tmp_path_factory), TEXTS[:1], new_tokens=100_000))


def test_a_classifier_has_no_beams(tiny_torch: Artifact) -> None:
    with pytest.raises(CompressError, match="does not generate text. Leave out --beams"):
        list(predictions(tiny_torch, TEXTS[:1], beams=2))


LONG = "the plot was not very good but " * 40


def _said(artifact: Artifact, *arguments: str, given: Any = None) -> Any:
    return CliRunner().invoke(compress, ["predict", str(artifact.folder), *arguments], input=given)


def _of_task(artifact: Artifact, folder: Path, **task: Any) -> Artifact:
    """A copy with a task of its own, and one step of training."""
    import shutil

    shutil.copytree(artifact.folder, folder)
    described = {
        "name": "mine",
        "text": "review",
        "label": "mood",
        "labels": ["negative", "positive"],
        "data": ".",
        **task,
    }
    return artifact.after(Step("finetune", {"max_length": 16, "epochs": 1.0}), folder, task=described).save()


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_text_longer_than_the_models_positions_is_cut_and_told(
    family: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from compress.models.load import checkpoint_artifact

    folder = write_model(tmp_path / "short", family, max_position_embeddings=40)
    (answer,) = predictions(checkpoint_artifact(folder, "short"), [LONG])
    reads = 40 if family == "bert" else 39
    assert set(answer["probabilities"]) == {"negative", "positive"}
    assert f"1 of 1 texts are longer than the {reads} tokens that this model reads and were truncated." in caplog.text


def test_onnx_cuts_where_torch_does(tiny_torch: Artifact, tiny_onnx: Artifact) -> None:
    (of_torch,), (of_onnx,) = predictions(tiny_torch, [LONG]), predictions(tiny_onnx, [LONG])
    assert of_onnx["probabilities"] == pytest.approx(of_torch["probabilities"], abs=1e-5)


def test_texts_are_cut_where_they_were_cut_in_training(tiny_torch: Artifact, tmp_path: Path) -> None:
    from compress.models.load import load, tokenizer

    made = _of_task(tiny_torch, tmp_path / "trained")
    (answer,) = predictions(made, [LONG])
    inputs = tokenizer(made.folder)(LONG, truncation=True, max_length=16, return_tensors="pt")
    wanted = load(made)(**inputs).logits.softmax(-1)[0].tolist()
    assert list(answer["probabilities"].values()) == pytest.approx(wanted, abs=1e-5)


def test_a_model_stored_in_16_bits_answers_in_fp32_as_it_is_measured(tiny_torch: Artifact, tmp_path: Path) -> None:
    import torch

    from compress.models import load as models

    model = models.load(tiny_torch).to(torch.bfloat16)
    models.save(model, models.tokenizer(tiny_torch.folder), tmp_path / "half")
    (answer,) = predictions(models.checkpoint_artifact(tmp_path / "half", "half"), TEXTS[:1])
    inputs = models.tokenizer(tiny_torch.folder)(TEXTS[0], return_tensors="pt")
    wanted = model.float()(**inputs).logits.softmax(-1)[0].tolist()
    assert list(answer["probabilities"].values()) == pytest.approx(wanted, abs=1e-6)


def test_answers_do_not_depend_on_the_texts_beside_them(tiny_onnx: Artifact, tmp_path: Path) -> None:
    from compress.core import catalogue
    from compress.techniques.apply import apply

    quantize = catalogue.find("techniques", "quantize")
    int8 = apply(quantize, tiny_onnx, quantize.settings(), tmp_path / "int8")
    alone = [next(iter(predictions(int8, [text]))) for text in (*TEXTS, LONG)]
    assert list(predictions(int8, [*TEXTS, LONG])) == alone


def test_a_model_of_pairs_asks_for_the_second_text(tiny_torch: Artifact, tmp_path: Path) -> None:
    pairs = _of_task(tiny_torch, tmp_path / "pairs", text=["question", "answer"])
    done = _said(pairs, "a good film")
    assert done.exit_code == 1
    assert "reads two texts (question and answer)" in str(done.exception)
    assert _said(pairs, "a good film", "--pair", "the book").exit_code == 0


def test_a_model_of_single_texts_refuses_a_second_one(tiny_torch: Artifact, tmp_path: Path) -> None:
    done = _said(_of_task(tiny_torch, tmp_path / "single"), "a good film", "--pair", "the book")
    assert done.exit_code == 1
    assert "reads one text (review)" in str(done.exception)


def test_a_pair_is_answered_by_a_model_of_one_token_type_whose_tokenizer_gives_two(
    tiny_torch: Artifact, tiny_onnx: Artifact, tmp_path: Path
) -> None:
    import shutil

    answers = []
    for made in (tiny_torch, tiny_onnx):
        folder = shutil.copytree(made.folder, tmp_path / made.format)
        _give_types(folder)
        of_types = dict(AutoTokenizer.from_pretrained(folder)("a good film", "the book"))
        assert 1 in of_types["token_type_ids"]  # which the model's table of types has no row for
        answers += list(predictions(replace(made, folder=folder, files={}), TEXTS[:1], "the book"))
        answers += list(predictions(made, TEXTS[:1], "the book"))
    shares = [answer["probabilities"]["positive"] for answer in answers]
    assert np.allclose(shares, shares[0], atol=1e-5)


def _give_types(folder: Path) -> None:
    """Let a pair's second text have another token type, as BERT's own tokenizer does."""
    whole = json.loads((folder / "tokenizer.json").read_text())
    for piece in whole["post_processor"]["pair"][3:]:
        next(iter(piece.values()))["type_id"] = 1
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    file = folder / "tokenizer_config.json"
    names = ["input_ids", "token_type_ids", "attention_mask"]
    file.write_text(json.dumps({**json.loads(file.read_text()), "model_input_names": names}))


def test_pairs_in_bulk_are_answered_as_one_by_one(tiny_torch: Artifact, tmp_path: Path) -> None:
    pairs = _of_task(tiny_torch, tmp_path / "pairs", text=["question", "answer"])
    rows = [("a good film", "the book"), ("an awful plot", "the hero was dull")]
    one_by_one = [next(iter(predictions(pairs, [first], second))) for first, second in rows]
    lines = "".join(f"{first}\t{second}\n" for first, second in rows)
    (tmp_path / "pairs.tsv").write_text(lines)
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps({"text": a, "text_pair": b}) + "\n" for a, b in rows))
    ways = [
        _said(pairs, "-", "--json", given=lines),
        _said(pairs, "--file", str(tmp_path / "pairs.tsv"), "--json"),
        _said(pairs, "--file", str(tmp_path / "pairs.jsonl"), "--json"),
    ]
    for done in ways:
        assert done.exit_code == 0, done.output
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert [(one["text"], one["pair"]) for one in answers] == rows
        found = [one["probabilities"]["positive"] for one in answers]
        assert np.allclose(found, [one["probabilities"]["positive"] for one in one_by_one], atol=1e-6)


def test_cells_that_quotes_enclose_are_read_as_in_a_tasks_file(tiny_torch: Artifact, tmp_path: Path) -> None:
    quoted = tmp_path / "written-by-pandas.tsv"
    quoted.write_text('"text"\t"label"\n"a ""good"" film"\t"positive"\n')
    found = json.loads(_said(tiny_torch, "--file", str(quoted), "--json").stdout)
    assert found["text"] == 'a "good" film'


def test_each_line_of_standard_input_has_its_line_of_answer(tiny_torch: Artifact) -> None:
    done = _said(tiny_torch, "-", given="a good film\r\n\r\nan awful book\r\n")
    lines = done.stdout.split("\n")
    assert lines[0].endswith("a good film")
    assert lines[1] == ""
    assert lines[2].endswith("an awful book")
    assert "Line 2 has no text" in done.stderr


def test_standard_input_that_is_no_utf8_is_named_with_its_line(tiny_torch: Artifact) -> None:
    done = _said(tiny_torch, "-", given=b"a good film\n\xff\n")
    assert done.exit_code == 1
    assert str(done.exception).startswith("Line 2 of standard input is not UTF-8: byte 0xff at position 1.")
    assert done.stdout.endswith("a good film\n")  # what stands before it is answered


@pytest.mark.parametrize("names", [{"x": "negative"}, 5])
def test_labels_without_numbers_are_named(names: Any, tiny_onnx: Artifact, tmp_path: Path) -> None:
    import dataclasses
    import shutil

    folder = shutil.copytree(tiny_onnx.folder, tmp_path / "odd")
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**said, "id2label": names}))
    odd = dataclasses.replace(tiny_onnx, folder=folder, files={})
    with pytest.raises(CompressError, match="id2label.* in .*config.json"):
        list(predictions(odd, TEXTS))


def test_a_token_that_the_vocabulary_lacks_is_told_in_one_line(tiny_torch: Artifact, tmp_path: Path) -> None:
    import shutil

    from compress.models.load import checkpoint_artifact

    folder = shutil.copytree(tiny_torch.folder, tmp_path / "odd")
    said = json.loads((folder / "tokenizer.json").read_text())
    said["post_processor"]["special_tokens"].pop("[SEP]")
    (folder / "tokenizer.json").write_text(json.dumps(said))
    with pytest.raises(CompressError, match="tokenizer") as raised:
        list(predictions(checkpoint_artifact(folder, "odd"), TEXTS))
    assert "\n" not in str(raised.value)


def test_a_text_that_is_no_unicode_is_refused(tiny_torch: Artifact) -> None:
    with pytest.raises(CompressError, match="not Unicode"):
        list(predictions(tiny_torch, ["a good \udcff film"]))


def test_answers_that_are_no_numbers_are_refused(tiny_torch: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    from compress.runtimes import pytorch

    monkeypatch.setattr(pytorch.TorchSession, "predict", lambda self, feeds: {"logits": np.full((1, 2), np.nan)})
    with pytest.raises(CompressError, match="NaN or infinite"):
        list(predictions(tiny_torch, TEXTS[:1]))


def test_an_error_of_the_runtime_itself_ends_predict_with_one_line_that_names_it_and_the_artifact(
    tiny_onnx: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compress.runtimes import onnx_runtime

    def fails(artifact: Artifact, serving: Any) -> Any:
        raise RuntimeError("no kernel for Frobnicate\nin node 7")

    monkeypatch.setattr(onnx_runtime, "RUNTIME", replace(onnx_runtime.RUNTIME, open=fails))
    with pytest.raises(CompressError, match=r"^onnx_runtime \(.*\) cannot open .*: RuntimeError: no kernel") as error:
        opened(tiny_onnx)
    assert str(tiny_onnx.folder) in str(error.value)
    assert "\n" not in str(error.value)
