"""Distillation as a step: the teacher is asked once, and the student is what the settings say."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.core.references import references
from compress.core.settings import build
from compress.data.loading import described_task, resolve
from compress.distillation import layer_losses, students
from compress.distillation import train as training
from compress.distillation.distill_settings import Distill
from compress.distillation.presets import PRESETS
from compress.distillation.schedules import Schedule
from compress.models import load as models
from compress.models.load import classifier, resolve_model, tokenizer
from compress.tasks.kinds import losses as answer_losses
from compress.techniques.apply import apply, check
from compress.training import loop
from tests.tiny import write_model

TECHNIQUE = find("techniques", "distill")


@pytest.fixture
def distil(make_model: Callable[..., Path], task: dict[str, Any], tmp_path: Path) -> Callable[..., Artifact]:
    teacher = resolve_model(str(make_model("bert", "teacher")))

    def run(name: str, **settings: Any) -> Artifact:
        chosen = Distill(
            **{"layers": 2, "epochs": 1, "batch_size": 32, "precision": "fp32", "max_length": 64, **settings}
        )
        inputs = {key: resolve_model(where) for key, where in references(chosen).items()}
        return apply(TECHNIQUE, teacher, chosen, tmp_path / name, task=task, inputs=inputs)

    return run


def weights(artifact: Artifact) -> dict[str, torch.Tensor]:
    """The weights in an artifact's folder."""
    return load_file(artifact.folder / "model.safetensors")


def equal(one: Artifact, other: Artifact) -> bool:
    """Whether two artifacts' weights are the same to the last bit."""
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_the_teacher_is_asked_once_for_all_seeds_and_settings(
    distil: Callable[..., Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = distil("first")
    monkeypatch.setattr(
        "compress.distillation.teacher_cache.write_outputs", lambda *_, **__: pytest.fail("the teacher was asked again")
    )
    second = distil("second", seed=1, temperature=2.0)
    facts = first.steps[-1].facts
    assert facts["teacher_seconds_saved"] == 0 < facts["teacher_seconds"]
    assert second.steps[-1].facts["teacher_seconds_saved"] == facts["teacher_seconds"]


def test_cached_logits_are_the_teachers_in_the_rows_order(
    distil: Callable[..., Artifact], tmp_path: Path, task: dict[str, Any]
) -> None:
    from compress.models.load import tokenizer
    from compress.training.data import data_for

    distil("student")
    (file,) = (tmp_path / ".compress-cache" / "teacher").glob("*/logits/values.npy")
    logits = np.load(file)
    teacher = classifier(tmp_path / "teacher")
    rows = data_for(described_task(task), tokenizer(tmp_path / "teacher"), teacher.config, 64).train
    with torch.no_grad():
        expected = np.stack([teacher(input_ids=torch.tensor([row["input_ids"]])).logits[0].numpy() for row in rows])
    np.testing.assert_allclose(logits, expected, rtol=2**-11, atol=1e-6)  # half precision's rounding
    assert np.ptp(expected[:, 0]) > 1e-4  # rows in another order would be seen


def test_the_teacher_is_bit_identical_afterwards(
    distil: Callable[..., Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On disk, and as the model that runs at each step."""
    before = (tmp_path / "teacher" / "model.safetensors").read_bytes()
    loaded = []
    load = models.load
    monkeypatch.setattr(models, "load", lambda artifact: loaded.append(load(artifact)) or loaded[-1])
    distil("student", preset="tinybert", intermediate_epochs=1, teacher_cache_gb=0)
    assert (tmp_path / "teacher" / "model.safetensors").read_bytes() == before
    (live,) = [model for model in loaded if model.config.num_hidden_layers == 4 and not model.training][-1:]
    stored = load_file(tmp_path / "teacher" / "model.safetensors")
    state = live.state_dict()
    assert all(torch.equal(state[name], value) for name, value in stored.items())


def test_a_teacher_is_opened_once_for_its_score_its_outputs_and_each_step(
    distil: Callable[..., Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, load = [], models.load
    monkeypatch.setattr(models, "load", lambda one: opened.append(one.folder) or load(one))
    distil("student", preset="tinybert", intermediate_epochs=1, teacher_cache_gb=0)
    teacher, _, student = opened[0], opened[1], opened[2:]
    assert opened[:2] == [teacher] * 2, "its layers, which become the student's, and the teacher itself"
    assert teacher not in student


def test_alpha_zero_is_plain_fine_tuning_to_the_last_bit(
    distil: Callable[..., Artifact], task: dict[str, Any], tmp_path: Path
) -> None:
    given = write_model(tmp_path / "given", "bert", seed=4)
    distilled = distil("distilled", layers=None, student=str(given), alpha=0.0, learning_rate=1e-3, epochs=2)
    settings = {"epochs": 2, "batch_size": 32, "precision": "fp32", "max_length": 64, "learning_rate": 1e-3}
    technique = find("techniques", "finetune")
    tuned = apply(technique, resolve_model(str(given)), technique.settings(**settings), tmp_path / "tuned", task=task)
    assert equal(distilled, tuned)


def test_alpha_zero_needs_no_teacher(distil: Callable[..., Artifact], tmp_path: Path) -> None:
    facts = distil("student", alpha=0.0).steps[-1].facts
    assert "teacher_seconds" not in facts
    assert not (tmp_path / ".compress-cache" / "teacher").exists()


def test_a_student_may_be_another_checkpoint_or_a_config(distil: Callable[..., Artifact], tmp_path: Path) -> None:
    other = write_model(tmp_path / "other", "distilbert", seed=5)
    from_checkpoint = distil("checkpoint", layers=None, student=str(other))
    from_config = distil("config", layers=None, student=str(other / "config.json"))
    for artifact in (from_checkpoint, from_config):
        assert json.loads((artifact.folder / "config.json").read_text())["model_type"] == "distilbert"
    assert from_checkpoint.fingerprint() != from_config.fingerprint()


def test_a_regression_is_distilled_by_its_scores(make_model: Callable[..., Path], tmp_path: Path) -> None:
    data = tmp_path / "scores"
    data.mkdir()
    for split, kind in (("train", "good"), ("evaluation", "great")):
        with (data / f"{split}.csv").open("w", newline="") as stream:
            out = csv.writer(stream)
            out.writerow(["one", "two", "score"])
            out.writerows(
                [[f"a {kind} film " * (i % 3 + 1), f"the plot {'again ' * (i % 5)}", i % 5] for i in range(80)]
            )
    task = {
        "name": "alike",
        "kind": "regression",
        "text": ["one", "two"],
        "label": "score",
        "range": [0, 4],
        "data": str(data),
        "holdout": 0.2,
    }
    task |= {"metric": ["spearman", "pearson"]}
    teacher = make_model("bert", labels=1, id2label={0: "score"}, label2id={"score": 0})
    settings = Distill(
        layers=2, epochs=2, batch_size=16, precision="fp32", max_length=64, hidden_weight=1, with_baseline=True
    )
    facts = apply(TECHNIQUE, resolve_model(str(teacher)), settings, tmp_path / "student", task=task).steps[-1].facts
    assert "spearman on held-out rows" in facts["curves"]
    assert set(facts["teacher_effect"]["metrics"]) == {"spearman", "pearson"}
    assert classifier(tmp_path / "student").config.num_labels == 1


def test_another_metric_and_format_need_no_change_of_code(
    make_model: Callable[..., Path], task: dict[str, Any], tmp_path: Path
) -> None:
    """JSON lines judged by Matthews' coefficient."""
    for split, file in task["data"].items():
        with Path(file).open(newline="") as stream:
            lines = [json.dumps(row) for row in csv.DictReader(stream)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    changed = task | {"data": {split: str(tmp_path / f"{split}.jsonl") for split in task["data"]}, "metric": "matthews"}
    teacher = resolve_model(str(make_model("bert", "teacher")))
    settings = Distill(layers=2, epochs=1, precision="fp32", max_length=64, with_baseline=True)
    facts = apply(TECHNIQUE, teacher, settings, tmp_path / "student", task=changed).steps[-1].facts
    assert "matthews on held-out rows" in facts["curves"]
    assert facts["teacher_effect"]["metric"] == "matthews"


def test_each_term_of_the_loss_has_its_curve(distil: Callable[..., Artifact]) -> None:
    curves = (
        distil("student", hidden_weight=1.0, attention_weight=1.0, relation_weight=1.0, embedding_weight=1.0)
        .steps[-1]
        .facts["curves"]
    )
    terms = ("soft targets", "labels", "hidden states", "attention", "relations", "embeddings")
    assert {f"loss: {term}" for term in terms} < curves.keys()
    totals = dict(curves["loss"])
    parts = {term: dict(curves[f"loss: {term}"]) for term in terms}
    for step, total in totals.items():  # alpha is a half, and every other weight 1
        half = (parts["soft targets"][step] + parts["labels"][step]) / 2
        others = sum(parts[term][step] for term in terms[2:])
        assert total == pytest.approx(half + others, rel=1e-3)


def test_a_first_stage_learns_the_hidden_layers_and_a_second_the_predictions(distil: Callable[..., Artifact]) -> None:
    artifact = distil("student", preset="tinybert", intermediate_epochs=8, epochs=1, learning_rate=2e-3)
    curves = artifact.steps[-1].facts["curves"]
    first = [value for _, value in curves["stage 1 loss: hidden states"]]
    assert first[-1] < first[0] / 2
    assert "stage 1 loss: soft targets" not in curves
    assert "loss: hidden states" not in curves
    assert not any("distillation" in name for name in weights(artifact))


@pytest.mark.parametrize("killed_at", ["first stage", "second stage"])
def test_a_distillation_that_was_killed_ends_with_the_weights_of_one_that_was_not(
    distil: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    """With learned projections, schedules and dropout: all of their state is in the checkpoint."""
    settings = {
        "layers": None,
        "hidden_size": 32,
        "preset": "tinybert",
        "intermediate_epochs": 2,
        "epochs": 2,
        "alpha": "1..0.5",
        "hidden_weight": "1..0",
        "keep_checkpoint": "last",
    }
    calls: Counter[str] = Counter()
    last: dict[str, int] = {}

    def counted(stage: str, loss: Callable[..., Any]) -> Callable[..., Any]:
        def counts(*given: Any, **named: Any) -> Any:
            calls[stage] += 1
            if calls[stage] == last.get(stage):
                raise RuntimeError("killed")
            return loss(*given, **named)

        return counts

    attention, soft = layer_losses.ATTENTION["mse"], answer_losses.soft_targets
    monkeypatch.setitem(layer_losses.ATTENTION, "mse", counted("first stage", attention))
    monkeypatch.setattr(answer_losses, "soft_targets", counted("second stage", soft))
    whole = distil("whole", **settings)
    in_whole = calls.copy()

    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)  # a checkpoint after each step
    calls.clear()
    last[killed_at] = 6
    with pytest.raises(RuntimeError, match="killed"):
        distil("killed", **settings)
    calls.clear()
    last.clear()
    resumed = distil("killed", **settings)
    assert 0 < calls[killed_at] < in_whole[killed_at]  # the steps before the last checkpoint are not computed again
    assert killed_at == "first stage" or not calls["first stage"]
    assert resumed.steps[-1].facts["training_steps"] == whole.steps[-1].facts["training_steps"]
    assert equal(whole, resumed)


def test_a_teacher_that_runs_at_each_step_teaches_as_one_whose_states_are_kept(
    distil: Callable[..., Artifact], tmp_path: Path
) -> None:
    kept = distil("kept", preset="tinybert", intermediate_epochs=1)
    live = distil("live", preset="tinybert", intermediate_epochs=1, teacher_cache_gb=0)
    for name, points in kept.steps[-1].facts["curves"].items():
        if name.startswith("stage 1"):  # 16 bits round by 0.05 %
            others = [value for _, value in live.steps[-1].facts["curves"][name]]
            np.testing.assert_allclose([value for _, value in points], others, rtol=5e-3)


def test_two_equal_teachers_are_as_good_as_one(distil: Callable[..., Artifact], tmp_path: Path) -> None:
    one = distil("one")
    two = distil("two", teachers=[str(tmp_path / "teacher")], teacher_weights=[3, 1])
    assert two.steps[-1].facts["teachers"] == ["teacher", "teacher"]
    for name, value in weights(one).items():
        torch.testing.assert_close(weights(two)[name], value, atol=2e-4, rtol=1e-3)


def test_teachers_are_weighted_by_their_probabilities(distil: Callable[..., Artifact], tmp_path: Path) -> None:
    """A teacher of weight 0 teaches nothing, one of another family and vocabulary with all the weight everything."""
    other = write_model(tmp_path / "other", "roberta", seed=9)
    one = distil("one")
    ignored = distil("ignored", teachers=[str(other)], teacher_weights=[1, 0])
    followed = distil("followed", teachers=[str(other)], teacher_weights=[0, 1])
    soft = "loss: soft targets"
    first = [artifact.steps[-1].facts["curves"][soft][0][1] for artifact in (one, ignored, followed)]
    assert first[0] == pytest.approx(first[1], rel=1e-3)
    assert first[0] != pytest.approx(first[2], rel=1e-3)


def test_a_teacher_with_other_labels_is_refused(distil: Callable[..., Artifact], tmp_path: Path) -> None:
    three = write_model(tmp_path / "three", "bert", labels=3)
    with pytest.raises(CompressError, match="has 3 labels"):
        distil("student", teachers=[str(three)])


def test_a_student_with_another_tokenizer_reads_the_rows_in_its_own_way(
    distil: Callable[..., Artifact], tmp_path: Path
) -> None:
    other = folder_with_letters(tmp_path / "letters")
    artifact = distil("student", layers=None, student=str(other))
    assert tokenizer(artifact.folder).get_vocab() == tokenizer(other).get_vocab()
    distilled = artifact.steps[-1].facts["curves"]["loss: soft targets"]
    assert all(value > 0 for _, value in distilled)
    with pytest.raises(CompressError, match="another tokenizer than its teacher"):
        distil("matched", layers=None, student=str(other), hidden_weight=1.0)


def test_extra_rows_are_learned_from_the_teacher_alone(distil: Callable[..., Artifact], tmp_path: Path) -> None:
    more = tmp_path / "more.txt"
    more.write_text("\n".join(f"the {word} plot and the {word} hero" for word in ("screen", "price", "sound", "cover")))
    artifact = distil("student", unlabelled_data=str(more), augment=0.5)
    facts = artifact.steps[-1].facts
    plain = distil("plain")
    rows = plain.steps[-1].facts["training_rows"]
    assert facts["rows_unlabelled"] == 4
    assert facts["rows_augmented"] > 0.3 * rows
    assert facts["training_rows"] == rows + 4 + facts["rows_augmented"]
    assert artifact.fingerprint() != plain.fingerprint()
    more.write_text("another file")
    assert TECHNIQUE.reads is not None
    told = TECHNIQUE.reads(Distill(layers=2, unlabelled_data=str(more)), described_task(artifact.task or {}))
    assert told["text"] != artifact.steps[-1].data["text"]


@pytest.mark.slow
def test_the_comparison_trains_both_sides_alike_and_keeps_the_same_student(distil: Callable[..., Artifact]) -> None:
    settings = {"learning_rate": 2e-3, "epochs": 3, "hidden_weight": 1.0}
    alone = distil("alone", **settings)
    compared = distil("compared", with_baseline=True, seeds=2, baseline_steps=1, **settings)
    plain = distil("plain", alpha=0.0, learning_rate=2e-3, epochs=3)
    assert equal(alone, compared)
    effect = compared.steps[-1].facts["teacher_effect"]
    accuracy = effect["metrics"]["accuracy"]
    assert effect["seeds"] == [0, 1]
    assert accuracy["taught"]["values"][0] == pytest.approx(accuracy_of(alone))
    assert accuracy["plain"]["values"][0] == pytest.approx(accuracy_of(plain))


def test_extra_rows_give_the_plain_student_no_fewer_steps(
    distil: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    whole = training.train_student

    def trained(*given: Any, **named: Any) -> dict[str, Any]:
        counted.append(whole(*given, **named))
        return counted[-1]

    monkeypatch.setattr(training, "train_student", trained)
    distil("student", augment=1.0, preset="minilm", relation_heads=4, with_baseline=True)
    distilled, plain = counted
    assert distilled["training_rows"] > 1.5 * plain["training_rows"]
    assert distilled["training_steps"] == plain["training_steps"]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_one_line_and_yields_to_what_the_user_says(preset: str) -> None:
    settings = Distill(layers=3, preset=preset)
    assert settings.model_dump(mode="json").items() >= PRESETS[preset].items()
    assert Distill(layers=3, preset=preset, temperature="9..3").temperature == Schedule.of("9..3")
    assert Distill(**settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("given", "means"), [(["3"], 3), (["0", "2", "5"], (0, 2, 5)), (3, 3), ([0, 2], (0, 2)), ([1], (1,))]
)
def test_layers_are_a_count_or_indices(given: Any, means: Any) -> None:
    assert Distill(layers=given).layers == means


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "define the student"),
        ({"layers": 3, "student": "x"}, "define the student"),
        ({"layers": 0}, "at least one layer"),
        ({"layers": "two"}, "write a number of layers"),
        ({"layers": 2, "temperature": "2..0"}, "greater than 0"),
        ({"layers": 2, "alpha": "0..2"}, "at most 1"),
        ({"layers": 2, "intermediate_epochs": 1}, "needs something to match"),
        ({"layers": 2, "teachers": ["a"], "teacher_weights": [1]}, "2 teachers"),
        ({"layers": 2, "seeds": 3}, "with_baseline"),
        ({"layers": 2, "masked_lm": "x"}, "set augment too"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(CompressError, match=told):
        build(Distill, settings, "a test")


@pytest.mark.parametrize("layers", [4, (0, 1, 2, 3)])
def test_a_student_with_all_layers_of_its_teacher_is_reported_as_no_smaller(
    layers: Any, make_model: Callable[..., Path], task: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    teacher = resolve_model(str(make_model("bert", "large")))
    check(TECHNIQUE, teacher, Distill(layers=layers), described_task(task))
    assert "so it is not smaller" in caplog.text
    caplog.clear()
    check(TECHNIQUE, teacher, Distill(layers=3), described_task(task))
    assert "not smaller" not in caplog.text


@pytest.mark.parametrize(("layers", "is_said"), [(4, True), (3, False)])
def test_a_given_student_as_large_as_its_teacher_is_reported_as_no_smaller(
    layers: int,
    is_said: bool,
    make_model: Callable[..., Path],
    task: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    teacher, student = (make_model("bert", name, num_hidden_layers=count) for name, count in (("t", 4), ("s", layers)))
    described = resolve(task)[0]
    for given in (student, student / "config.json"):
        caplog.clear()
        students.make(resolve_model(str(teacher)), Distill(student=str(given)), described, described_task(task))
        assert ("it is not smaller" in caplog.text) == is_said


def folder_with_letters(folder: Path) -> Path:
    """A model that reads single letters."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    write_model(folder, "bert", seed=3)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    inner = Tokenizer(
        models.WordLevel({c: i for i, c in enumerate([*special, *"abcdefghijklmnop"])}, unk_token="[UNK]")
    )
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)
    return folder


def accuracy_of(artifact: Artifact) -> float:
    """Right answers on the evaluation split, one row at a time."""
    from compress.data import loading

    task, data = loading.resolve(dict(artifact.task or {}))
    rows = loading.load(task, data, "evaluation").rows
    model, its_tokenizer = classifier(artifact.folder), tokenizer(artifact.folder)
    with torch.no_grad():
        answers = [int(model(**its_tokenizer(row["text"], return_tensors="pt")).logits.argmax()) for row in rows]
    return float(np.mean([answer == label for answer, label in zip(answers, rows["label"], strict=True)]))


def test_the_rows_that_a_comparison_is_judged_on_are_part_of_its_identity(task: dict[str, Any]) -> None:
    plain, compared = Distill(layers=2), Distill(layers=2, with_baseline=True)
    before = [TECHNIQUE.reads(settings, described_task(task)) for settings in (plain, compared)]
    with Path(task["data"]["evaluation"]).open("a") as file:
        file.write("a very good film,positive\n")
    after = [TECHNIQUE.reads(settings, described_task(task)) for settings in (plain, compared)]
    assert after[0] == before[0]
    assert after[1] != before[1]


@pytest.mark.parametrize("name", ["vocab.txt", "merges.txt", "spiece.model", "generation_config.json"])
def test_a_given_student_with_another_tokenizer_is_another_student(
    tmp_path: Path, task: dict[str, Any], name: str
) -> None:
    student = tmp_path / "student"
    student.mkdir()
    (student / "config.json").write_text("{}")
    seen = []
    for content in ("one", "two"):
        (student / name).write_text(content)
        seen.append(TECHNIQUE.reads(Distill(student=str(student)), described_task(task)))
    assert seen[0] != seen[1]
