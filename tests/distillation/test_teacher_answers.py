"""A file of answers is a teacher like any other: the same losses, the same rules for rows, and no model is asked."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from compress.cli.commands import compress
from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.core.references import references
from compress.data.loading import described_task, load
from compress.distillation import teacher_answers
from compress.distillation.distill_settings import Distill
from compress.distillation.teacher_answers import answers_of
from compress.models.load import load as load_model
from compress.models.load import resolve_model
from compress.techniques.apply import apply, check
from compress.training import validation
from tests.tiny import write_model
from tests.tiny_generators import write_generator, write_pairs

TECHNIQUE = find("techniques", "distill")
Rows = list[dict[str, Any]]
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def written(file: Path, rows: Rows) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def train_rows(task: dict[str, Any]) -> Rows:
    """The rows of the training file, those that will be held out too."""
    with Path(task["data"]["train"]).open(newline="") as stream:
        return list(csv.DictReader(stream))


def rows_of(task: dict[str, Any], split: str) -> Any:
    described = described_task(task)
    return load(described.task, described.data, split).rows


@pytest.fixture
def distil(make_model: Callable[..., Path], task: dict[str, Any], tmp_path: Path) -> Callable[..., Artifact]:
    """`distil("student", answers)`: a step of one epoch, whose student has half of the model's layers."""
    teacher = resolve_model(str(make_model("bert", "teacher", **NO_DROPOUT)))

    def run(
        name: str, answers: str | None = None, *, task: Any = task, model: Artifact = teacher, **more: Any
    ) -> Artifact:
        usual = {
            "layers": 2,
            "epochs": 1,
            "batch_size": 32,
            "precision": "fp32",
            "max_length": 64,
            "keep_checkpoint": "last",
            "learning_rate": 3e-3,
        }
        chosen = Distill(**{**usual, **({"teacher_answers": answers} if answers else {}), **more})
        inputs = {key: resolve_model(where) for key, where in references(chosen).items()}
        return apply(TECHNIQUE, model, chosen, tmp_path / name, task=task, inputs=inputs)

    return run


def facts(artifact: Artifact) -> Any:
    return artifact.steps[-1].facts


def logits(artifact: Artifact) -> torch.Tensor:
    model = load_model(artifact).eval()
    ids = torch.randint(5, 30, (8, 12), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


def probabilities_of(artifact: Artifact, task: dict[str, Any], cache: Path) -> Rows:
    """What the artifact, which was asked as a teacher, gave for each training row."""
    (file,) = (cache / "teacher").glob("*/logits/values.npy")
    rows = rows_of(task, "train")
    found = described_task(task).task.law.probabilities(np.load(file).astype(np.float64))
    return [
        {"review": text, "probabilities": dict(zip(task["labels"], row, strict=True))}
        for text, row in zip(rows["text"], found.tolist(), strict=True)
    ]


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_probabilities_of_a_teacher_train_the_student_that_the_teacher_trains(
    distil: Callable[..., Artifact], task: dict[str, Any], tmp_path: Path, temperature: float
) -> None:
    by_model = distil("by_model", temperature=temperature)
    file = written(tmp_path / "answers.jsonl", probabilities_of(by_model, task, tmp_path / ".compress-cache"))
    shutil.rmtree(tmp_path / ".compress-cache")
    by_file = distil("by_file", file, temperature=temperature)
    assert not (tmp_path / ".compress-cache" / "teacher").exists(), "the model was asked"
    curves = [facts(one)["curves"]["loss: soft targets"] for one in (by_model, by_file)]
    np.testing.assert_allclose(*curves, rtol=1e-4, atol=1e-7)  # fp32, and Adam's division by small gradients
    torch.testing.assert_close(logits(by_file), logits(by_model), rtol=0, atol=1e-3)
    assert not torch.allclose(logits(by_model), logits(distil("by_labels", alpha=0.0)), atol=1e-2)


def test_labels_alone_are_plain_training_on_those_labels(
    distil: Callable[..., Artifact], task: dict[str, Any], tmp_path: Path
) -> None:
    """With alpha 1 the training rows' own labels do not count: a third of the file's are others."""
    rows = train_rows(task)
    for number, row in enumerate(rows):
        row["mood"] = task["labels"][number % 3 == 0 or row["mood"] == "positive"]
    by_text = {row["review"]: row["mood"] for row in rows}
    rows = [{**row, "mood": by_text[row["review"]]} for row in rows]
    answers = [{"review": text, "mood": by_text[text]} for text in rows_of(task, "train")["text"]]
    by_file = distil("by_file", written(tmp_path / "answers.jsonl", answers), alpha=1.0)
    shutil.copytree(tmp_path / "data", tmp_path / "other")
    with (tmp_path / "other" / "train.csv").open("w", newline="") as stream:
        out = csv.DictWriter(stream, ["review", "mood"])
        out.writeheader()
        out.writerows(rows)
    other = {**task, "data": {split: str(tmp_path / "other" / f"{split}.csv") for split in task["data"]}}
    plain, own = distil("plain", task=other, alpha=0.0), distil("own", alpha=0.0)
    torch.testing.assert_close(logits(by_file), logits(plain), rtol=0, atol=1e-4)
    assert not torch.allclose(logits(plain), logits(own), atol=1e-3)
    np.testing.assert_allclose(*(facts(one)["curves"]["loss"] for one in (by_file, plain)), rtol=1e-4)


def test_rows_of_the_file_join_the_training_rows_unless_they_are_measured_on(
    distil: Callable[..., Artifact], task: dict[str, Any], tmp_path: Path
) -> None:
    train, held_out, measured = (rows_of(task, name)["text"][:] for name in ("train", "holdout", "evaluation"))
    answers = [
        {"review": train[0], "mood": "positive"},
        {"review": train[1], "mood": "negative"},
        {"review": held_out[0], "mood": "negative"},
        {"review": measured[0].upper(), "mood": "negative"},
        *(
            {"review": f"the {word} plot", "mood": "positive", "confidence": 0.9}
            for word in ("screen", "price", "sound")
        ),
        {"review": "the sound plot", "mood": "positive", "confidence": 0.9},
    ]
    told = facts(distil("student", written(tmp_path / "answers.jsonl", answers)))
    assert told["training_rows"] == len(train) + 3
    assert told["teacher_answers"] == {
        "file": "answers.jsonl",
        "answers": 5,
        "training_rows": 2,
        "further_rows": 3,
        "left_out": {"in_another_split": 2, "bad": 0, "empty": 0, "duplicate": 1},
    }
    assert told["teachers"] == ["answers.jsonl"]
    assert told["teacher_score"]["rows"] == 3, "two training rows and a held-out one"


def test_what_predict_prints_of_texts_trains_a_student(distil: Callable[..., Artifact], tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("the screen plot\nthe good price\nvery dull sound\n")
    asked = ["predict", str(write_model(tmp_path / "other", seed=3)), "--file", str(tmp_path / "texts.txt"), "--json"]
    printed = CliRunner().invoke(compress, asked)
    assert printed.exit_code == 0, printed.output
    (tmp_path / "answers.jsonl").write_text(printed.stdout)
    told = facts(distil("student", str(tmp_path / "answers.jsonl")))
    assert told["teacher_answers"]["further_rows"] == 3


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read from now on."""
    found, read = [], teacher_answers.read
    monkeypatch.setattr(teacher_answers, "read", lambda task, file: found.append(file.name) or read(task, file))
    return found


def test_the_file_is_read_once_for_the_check_and_the_step(
    distil: Callable[..., Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, read = (
        written(tmp_path / "answers.jsonl", [{"review": "the plot", "label": "positive"}]),
        counted(monkeypatch),
    )
    distil("student", file)
    assert read == ["answers.jsonl"]
    written(Path(file), [{"review": "the plot", "label": "negative"}])
    distil("again", file)
    assert len(read) == 2


def test_a_dry_run_counts_the_answers(
    make_model: Callable[..., Path],
    task_file: Path,
    task: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = rows_of(task, "train")["text"][0]
    answers = [{"review": text, "mood": "positive"}, {"review": "the other plot", "label": "negative"}]
    command = [
        "distill",
        str(make_model("bert")),
        "--task",
        str(task_file),
        "--layers",
        "2",
        "-o",
        str(tmp_path / "out"),
    ]
    file = written(tmp_path / "answers.jsonl", answers)
    read = counted(monkeypatch)
    done = CliRunner().invoke(compress, [*command, "--teacher-answers", file, "--dry-run"])
    assert read == ["answers.jsonl"], "by the check, and not again by the estimate"
    assert done.exit_code == 0, done.output
    rows = len(rows_of(task, "train"))
    assert f"{rows + 1} rows" in done.output
    assert "answers.jsonl: 2 answers, 1 of them to training rows and 1 to further texts." in done.output


def test_worse_than_guessing_is_refused_unless_it_is_allowed(
    distil: Callable[..., Artifact], task: dict[str, Any], tmp_path: Path
) -> None:
    swapped = {"positive": "negative", "negative": "positive"}
    answers = [{"review": row["review"], "mood": swapped[row["mood"]]} for row in train_rows(task)]
    file = written(tmp_path / "answers.jsonl", answers)
    with pytest.raises(
        CompressError, match=r"answers.jsonl has accuracy 0.0000, worse than guessing .* on 160 labelled rows"
    ):
        distil("student", file)
    told = facts(distil("student", file, allow_poor_teacher=True))
    assert told["teacher_score"]["value"] == 0
    assert told["teacher_score"]["worse_than_guessing"]


def test_the_content_of_the_file_decides_the_student_and_not_its_place(
    task: dict[str, Any], make_model: Callable[..., Path], tmp_path: Path
) -> None:
    from compress.techniques.apply import planned

    source, described = resolve_model(str(make_model("bert"))), described_task(task)
    file = Path(written(tmp_path / "answers.jsonl", [{"review": "the plot", "mood": "positive"}]))
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(file, tmp_path / "elsewhere")

    def step(**settings: Any) -> Any:
        return planned(TECHNIQUE, source, Distill(layers=2, **settings), described, {}).identity()

    first = step(teacher_answers=str(file))
    assert first == step(teacher_answers=str(tmp_path / "elsewhere" / file.name))
    written(file, [{"review": "the plot", "mood": "negative"}])
    assert first != step(teacher_answers=str(file))
    assert not any("answers" in name for part in ("settings", "data") for name in step()[part])


def test_a_model_is_asked_too_where_it_has_a_weight(
    distil: Callable[..., Artifact], task: dict[str, Any], tmp_path: Path
) -> None:
    """A weight of 0 for the file is the model alone, and what the file does not answer the model does."""
    alone = distil("alone", temperature=2.0)
    rows = [{"review": text, "mood": "positive"} for text in rows_of(task, "train")["text"][:20]]
    file = written(tmp_path / "answers.jsonl", rows)
    none = distil("none", file, teacher_weights=(1, 0), temperature=2.0)
    both = distil("both", file, teacher_weights=(1, 1), temperature=2.0)
    torch.testing.assert_close(logits(none), logits(alone), rtol=0, atol=1e-4)
    assert not torch.allclose(logits(both), logits(alone), atol=1e-3)
    assert facts(both)["teachers"] == ["teacher", "answers.jsonl"]
    assert len(facts(both)["teacher_score"]) == 2
    augmented = distil("augmented", file, teacher_weights=(1, 1), augment=0.2)
    assert facts(augmented)["rows_augmented"] > 0


@pytest.mark.parametrize("of", ["layers", "student"])
def test_a_base_without_a_head_may_define_the_student(distil: Callable[..., Artifact], of: str, tmp_path: Path) -> None:
    """Whoever has but another model's answers has no trained teacher."""
    from transformers import AutoModel

    folder = write_model(tmp_path / "base", "bert")
    AutoModel.from_pretrained(folder).save_pretrained(folder)
    rows = [{"review": f"the {word} plot", "mood": "positive"} for word in ("screen", "price", "sound")]
    file, chosen = written(tmp_path / "answers.jsonl", rows), {"layers": 1}
    chosen = chosen if of == "layers" else {"layers": None, "student": str(folder)}
    made = distil("made", file, model=resolve_model(str(folder)), **chosen)
    assert load_model(made).config.id2label == {0: "negative", 1: "positive"}
    with pytest.raises(CompressError, match="has no trained classifier. Train one first"):
        distil("asked", file, model=resolve_model(str(folder)), teacher_weights=(1, 1), **chosen)


def test_hidden_layers_are_matched_with_the_model_beside_the_answers(
    distil: Callable[..., Artifact], task: dict[str, Any], tmp_path: Path
) -> None:
    rows = [{"review": text, "mood": "positive"} for text in rows_of(task, "train")["text"]]
    made = distil("student", written(tmp_path / "answers.jsonl", rows), hidden_weight=1.0)
    assert {"loss: hidden states", "loss: soft targets"} < facts(made)["curves"].keys()
    first = facts(made)["curves"]["loss: soft targets"][0][1]
    plain = distil("plain", written(tmp_path / "answers.jsonl", rows))
    assert first == pytest.approx(facts(plain)["curves"]["loss: soft targets"][0][1], rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"alpha": 0.0}, "teacher_answers: with alpha 0 nothing is learned from them"),
        ({"augment": 1.0}, "with teacher_answers alone none is asked. Set teacher_weights"),
    ],
)
def test_settings_that_make_nothing_of_the_answers_are_refused(
    settings: dict[str, Any], said: str, task: dict[str, Any], make_model: Callable[..., Path], tmp_path: Path
) -> None:
    file = written(tmp_path / "answers.jsonl", [{"review": "the plot", "mood": "positive"}])
    chosen = Distill(layers=2, teacher_answers=file, **settings)
    with pytest.raises(CompressError, match=said):
        check(TECHNIQUE, resolve_model(str(make_model("bert"))), chosen, described_task(task))
    with pytest.raises(ValueError, match="there are 2 teachers with MODEL and teacher_answers, but 1 teacher_weights"):
        Distill(layers=2, teacher_answers=file, teacher_weights=(1,))
    with pytest.raises(ValueError, match="both replace the references"):
        Distill(layers=2, teacher_answers=file, sequence_kd=1)


def test_answers_to_nothing_but_measured_rows_are_refused(task: dict[str, Any], tmp_path: Path) -> None:
    answers = [{"review": text, "mood": "positive"} for text in rows_of(task, "evaluation")["text"]]
    file = written(tmp_path / "answers.jsonl", answers)
    with pytest.raises(CompressError, match="texts are held-out, evaluation or test rows, which are not trained on"):
        answers_of(described_task(task), Distill(layers=2, teacher_answers=file))


def test_numbers_train_a_regression(
    make_model: Callable[..., Path], distil: Callable[..., Artifact], tmp_path: Path
) -> None:
    data, rows = (
        tmp_path / "scores",
        [{"review": f"a {'good ' * (number % 5)}film", "stars": number % 5} for number in range(80)],
    )
    data.mkdir()
    for split in ("train", "evaluation"):
        written(
            data / f"{split}.jsonl",
            [{**row, "review": f"{split} {number} {row['review']}"} for number, row in enumerate(rows)],
        )
    task = {
        "name": "stars",
        "kind": "regression",
        "text": "review",
        "label": "stars",
        "range": [0, 4],
        "data": str(data),
    }
    task |= {"holdout": 0.2, "metric": "spearman"}
    model = resolve_model(str(make_model("bert", "scorer", labels=1, id2label={0: "score"}, label2id={"score": 0})))
    answers = [{"review": f"a {'good ' * number}plot", "score": number / 4} for number in range(5)]
    made = distil("student", written(tmp_path / "answers.jsonl", answers), task=task, model=model)
    assert facts(made)["teacher_answers"]["further_rows"] == 5
    assert max(value for _, value in facts(made)["curves"]["loss: soft targets"]) > 0
    assert "teacher_score" not in facts(made), "no labelled row is answered"
    swapped = [
        {"review": f"train {number} {row['review']}", "score": 4 - row["stars"]} for number, row in enumerate(rows)
    ]
    with pytest.raises(CompressError, match="answers.jsonl has a negative correlation"):
        distil("swapped", written(tmp_path / "answers.jsonl", swapped), task=task, model=model)


def of_kind(kind: str, folder: Path) -> tuple[dict[str, Any], Artifact, str]:
    """A little task whose rows have several labels each, a model of it, and the name of the column of labels."""
    from transformers import AutoConfig, AutoModelForTokenClassification

    data, names = folder / "several", ["O", "B-X"] if kind == "token_classification" else ["price", "sound", "screen"]
    data.mkdir()
    for split in ("train", "evaluation"):
        topics = [{"text": f"{split} {n} good plot", "labels": names[n % 3 :]} for n in range(60)]
        tagged = [{"tokens": [split, str(n), "good", "plot"], "tags": ["O", "O", "B-X", "O"]} for n in range(60)]
        written(data / f"{split}.jsonl", tagged if kind == "token_classification" else topics)
    turned: dict[str, Any] = {
        "id2label": dict(enumerate(names)),
        "label2id": {name: number for number, name in enumerate(names)},
    }
    turned |= {} if kind == "token_classification" else {"problem_type": kind}
    model = write_model(folder / "model", "bert", labels=len(names), **NO_DROPOUT, **turned)
    task = {"name": "mine", "kind": kind, "labels": names, "data": str(data), "holdout": 0.2}
    if kind != "token_classification":
        return {**task, "text": "text", "label": "labels"}, resolve_model(str(model)), "labels"
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(model)
    AutoModelForTokenClassification.from_config(config).save_pretrained(model)
    return task, resolve_model(str(model)), "tags"


@pytest.mark.parametrize("kind", ["multi_label_classification", "token_classification"])
def test_labels_of_each_word_or_topic_are_learned_as_plain_training_learns_them(
    distil: Callable[..., Artifact], kind: str, tmp_path: Path
) -> None:
    task, model, column = of_kind(kind, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "several" / "train.jsonl").read_text().splitlines()]
    right = written(tmp_path / "right.jsonl", lines)
    made = distil("made", right, alpha=1.0, task=task, model=model)
    plain = distil("plain", alpha=0.0, task=task, model=model, allow_poor_teacher=True)
    torch.testing.assert_close(logits(made), logits(plain), rtol=0, atol=1e-4)
    assert facts(made)["teacher_score"]["value"] == 1
    sure = [[0.9, 0.1]] * 4 if kind == "token_classification" else [0.9, 0.1, 0.1]
    unlike = [{**{name: cell for name, cell in row.items() if name != column}, "probabilities": sure} for row in lines]
    file = written(tmp_path / "unlike.jsonl", unlike)
    other = distil("other", file, alpha=1.0, task=task, model=model, allow_poor_teacher=True)
    assert not torch.allclose(logits(other), logits(plain), atol=1e-3)


def generative(tmp_path: Path, name: str, model: Artifact, task: Any, **settings: Any) -> Artifact:
    usual = {
        "layers": 1,
        "epochs": 1,
        "batch_size": 16,
        "precision": "fp32",
        "learning_rate": 1e-3,
        "keep_checkpoint": "last",
    }
    return apply(TECHNIQUE, model, Distill(**{**usual, **settings}), tmp_path / name, task=task)


@pytest.mark.parametrize("family", ["bart", "gpt2"])
def test_texts_take_the_place_of_references(family: str, tmp_path: Path) -> None:
    """To the last bit what training on a file with these targets is, and no model is asked."""
    model = resolve_model(str(write_generator(tmp_path / "generator", family, layers=2)))
    task, other = write_pairs(tmp_path / "pairs", rows=40), write_pairs(tmp_path / "others", rows=40)
    answers = [{"chat": text, "gist": text.split()[0]} for text in rows_of(task, "train")["text"]]
    made = generative(tmp_path, "made", model, task, teacher_answers=written(tmp_path / "answers.jsonl", answers))
    lines = [json.loads(line) for line in Path(other["data"]["train"]).read_text().splitlines()]
    written(Path(other["data"]["train"]), [{**row, "gist": row["chat"].split()[0]} for row in lines])
    plain = generative(tmp_path, "plain", model, other, alpha=0.0)
    own, theirs = load_model(made).state_dict(), load_model(plain).state_dict()
    assert all(torch.equal(own[name], value) for name, value in theirs.items())
    assert facts(made)["teacher_score"]["metric"] == "rouge_l"
    assert not (tmp_path / ".compress-cache" / "teacher-tokens").exists()


def test_texts_are_scored_on_the_rows_that_a_generative_teacher_would_be_scored_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A draw, so that a file in an order of its own is not judged by its beginning."""
    monkeypatch.setattr(validation, "ROWS", 8)
    task = write_pairs(tmp_path / "pairs", rows=40)
    rows = [*rows_of(task, "train"), *rows_of(task, "holdout")]
    answers = [{"chat": row["text"], "gist": row["label"] if n < 8 else "other"} for n, row in enumerate(rows)]
    file = written(tmp_path / "answers.jsonl", answers)
    described = described_task(task)
    found = answers_of(described, Distill(layers=1, teacher_answers=file))
    assert found is not None
    told = found.score(allow_poor=False)
    drawn = validation.drawn(len(rows), described.task.seed)
    assert told["rows"] == len(drawn) == 8
    assert told["value"] == pytest.approx(sum(place < 8 for place in drawn) / 8)
    assert told["value"] < 1


def test_a_generative_model_is_asked_about_the_texts_where_alpha_is_set(tmp_path: Path) -> None:
    model = resolve_model(str(write_generator(tmp_path / "generator", "bart", layers=2)))
    task = write_pairs(tmp_path / "pairs", rows=40)
    file = written(tmp_path / "answers.jsonl", [{"chat": "the other plot", "gist": "plot"}])
    made = generative(tmp_path, "made", model, task, teacher_answers=file, alpha=0.5)
    assert (tmp_path / ".compress-cache" / "teacher-tokens").exists()
    assert facts(made)["teacher_answers"]["further_rows"] == 1
    assert facts(made)["training_rows"] == len(rows_of(task, "train")) + 1
    unasked = generative(tmp_path, "unasked", model, task, teacher_answers=file)
    assert unasked.fingerprint() != made.fingerprint(), "although the default of alpha is a half too"
    with pytest.raises(CompressError, match="To learn from MODEL too, set alpha"):
        generative(tmp_path, "weighted", model, task, teacher_answers=file, teacher_weights=(1, 1))
