"""Unlabelled texts of which the teachers are not sure are left out; all else is as it would be without them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.core import setting_names
from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.core.references import references
from compress.core.unread_settings import refuse_unread
from compress.data.loading import described_task, load
from compress.distillation import teacher_cache, train
from compress.distillation.distill_settings import READ, Distill
from compress.distillation.objective import OUTPUT
from compress.distillation.transfer_set import TransferSet
from compress.models.load import classifier, resolve_model, tokenizer
from compress.techniques.apply import apply, check
from compress.training.loop import Placed
from tests.tiny import write_model
from tests.tiny_generators import write_generator, write_pairs

TECHNIQUE = find("techniques", "distill")
TEXTS = [
    f"the {one} {other} and a {one} hero" for one in ("fine", "dull", "loud") for other in ("plot", "cover", "price")
]
Made = tuple[Artifact, TransferSet]


@pytest.fixture
def distil(
    make_model: Callable[..., Path], task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Made]:
    """The artifact of a training that does not take place, and what it would have read."""
    read: list[TransferSet] = []
    monkeypatch.setattr(
        train, "train_student", lambda student, rows, *_, **__: read.append(rows) or {"training_steps": 0}
    )
    teacher = resolve_model(str(make_model("bert", "teacher", initializer_range=0.4)))
    (tmp_path / "more.txt").write_text("\n".join(TEXTS))

    def run(name: str, **settings: Any) -> Made:
        usual = {"layers": 1, "precision": "fp32", "max_length": 32}
        chosen = Distill(**{**usual, **settings})
        inputs = {key: resolve_model(where) for key, where in references(chosen).items()}
        made = apply(TECHNIQUE, teacher, chosen, tmp_path / name, task=task, inputs=inputs)
        return made, read[-1]

    return run


def most_likely(folders: list[Path]) -> np.ndarray:
    """The probability of each text's most likely class in the mean of the models' distributions."""
    each = []
    for folder in folders:
        read = tokenizer(folder)(TEXTS, padding=True, return_tensors="pt")
        with torch.no_grad():
            each.append(classifier(folder)(**read).logits.softmax(-1))
    return torch.stack(each).mean(0).amax(-1).numpy()


@pytest.mark.parametrize("several", [False, True])
def test_texts_stay_of_which_the_teachers_together_are_sure(
    several: bool, distil: Callable[..., Made], task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_model(tmp_path / "other", "bert", seed=5, initializer_range=0.4)
    settings = {"unlabelled_data": str(tmp_path / "more.txt"), "teachers": (str(other),) if several else ()}
    whole, everything = distil("whole", **settings)
    sure = most_likely([tmp_path / "teacher", *([other] if several else [])])
    in_order = np.sort(sure)
    gap = int(np.argmax(np.diff(in_order)))
    least = float(in_order[gap : gap + 2].mean())
    assert np.diff(in_order)[gap] > 0.004, "far from the rounding of the cache"

    monkeypatch.setattr(teacher_cache, "write_outputs", lambda *_, **__: pytest.fail("a teacher was asked again"))
    made, rows = distil("student", min_confidence=least, **settings)
    stayed = [text for text, value in zip(TEXTS, sure, strict=True) if value >= least]
    described = described_task(task)
    labelled = load(described.task, described.data, "train").rows["text"]
    assert rows.data.texts["text"] == [*labelled, *stayed]
    assert len(rows.data.train) == len(labelled) + len(stayed)

    facts = made.steps[-1].facts
    assert facts["min_confidence"] == {"least": least, "left_out": len(TEXTS) - len(stayed), "of": len(TEXTS)}
    assert facts["rows_unlabelled"] == len(stayed) < whole.steps[-1].facts["rows_unlabelled"]
    assert f"{len(stayed)} unlabelled texts" in facts["expectation"]
    assert made.fingerprint() != whole.fingerprint()

    placed, before = Placed(rows.data.train), Placed(everything.data.train)
    places = [everything.data.texts["text"].index(text) for text in (labelled[3], stayed[-1])]
    ours, theirs = (
        found.data.collate(some, tokenizer(tmp_path / "teacher"), dict(found.extras))
        for found, some in (
            (rows, placed.__getitems__([3, len(placed) - 1])),
            (everything, before.__getitems__(places)),
        )
    )
    assert torch.equal(ours["input_ids"], theirs["input_ids"])
    assert torch.equal(ours[f"{OUTPUT}logits"], theirs[f"{OUTPUT}logits"]), "each row has its own answers"


def test_sure_answers_of_a_file_stay_and_those_to_labelled_rows_in_any_case(
    distil: Callable[..., Made], task: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    described = described_task(task)
    labelled = load(described.task, described.data, "train").rows["text"]
    answers = [
        {"review": labelled[0], "probabilities": [0.6, 0.4]},
        {"review": TEXTS[0], "probabilities": [0.95, 0.05]},
        {"review": TEXTS[1], "probabilities": [0.2, 0.8]},
        {"review": TEXTS[2], "label": "positive"},
    ]
    file = tmp_path / "answers.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in answers))
    caplog.set_level("INFO")
    made, rows = distil("student", teacher_answers=str(file), min_confidence=0.9)
    assert rows.data.texts["text"] == [*labelled, TEXTS[0], TEXTS[2]]
    assert made.steps[-1].facts["min_confidence"] == {"least": 0.9, "left_out": 1, "of": 3}
    assert "1 of 3 unlabelled texts are left out: their most likely class has a probability below 0.9." in caplog.text


def test_a_student_is_trained_on_what_stayed(
    make_model: Callable[..., Path], task: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Here no text does, so the student is the one of the labelled rows."""
    (tmp_path / "more.txt").write_text("\n".join(TEXTS))
    teacher = resolve_model(str(make_model("bert", "teacher")))
    usual = {"layers": 1, "epochs": 1, "precision": "fp32", "max_length": 32, "batch_size": 64}
    none = Distill(**usual, unlabelled_data=str(tmp_path / "more.txt"), min_confidence=1.0)
    made = apply(TECHNIQUE, teacher, none, tmp_path / "student", task=task)
    plain = apply(TECHNIQUE, teacher, Distill(**usual), tmp_path / "plain", task=task)
    assert "No unlabelled text is left. Lower --min-confidence." in caplog.text
    told, alone = (one.steps[-1].facts for one in (made, plain))
    assert told["training_rows"] == alone["training_rows"]
    assert told["curves"] == alone["curves"]
    assert (told["rows_unlabelled"], told["unlabelled_share"]) == (0, 0)


def test_no_fingerprint_changes_until_it_is_given() -> None:
    assert "min_confidence" not in setting_names.stored("distill", Distill(layers=1).model_dump(mode="json"))


def test_it_is_refused_without_texts_and_where_answers_are_no_classes(
    make_model: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(CompressError, match="min_confidence.*only with unlabelled_data or teacher_answers"):
        refuse_unread(Distill(layers=1, min_confidence=0.9), READ)
    summarizer = resolve_model(str(write_generator(tmp_path / "bart", "bart")))
    described = described_task(write_pairs(tmp_path / "pairs", rows=40))
    settings = Distill(layers=1, min_confidence=0.9, unlabelled_data=str(tmp_path))
    with pytest.raises(
        CompressError, match=r"^min_confidence: only for tasks whose answers are classes, and \w+ is a "
    ):
        check(TECHNIQUE, summarizer, settings, described)
