"""A kind that another package brings does what ours do, by its one file: three that exist only here, at random weights."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from compress.core.artifact import Artifact
from compress.tasks import kinds
from compress.tasks.kinds import Inference, Kind
from tests.tiny import WORDS, write_tokenizer

ROOT = Path(__file__).parents[3]
NAMES = ("spans", "vectors", "groups")
LENGTH = 14
"""Tokens at most: some texts of the spans are longer."""


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A package whose entry points bring the three kinds, for this process and those that it starts."""
    folder = tmp_path_factory.mktemp("installed")
    told = folder / "kinds_of_tests-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: kinds-of-tests\nVersion: 1.0\n")
    points = "".join(f"{name} = tests.tasks.kinds.test_only.{name}:KIND\n" for name in NAMES)
    (told / "entry_points.txt").write_text(f"[compress.task_kinds]\n{points}")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        before = os.environ.get("PYTHONPATH", "")
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(folder), str(ROOT), before))))
        _forget()
        yield
    _forget()


def _forget() -> None:
    for one in (kinds.every, kinds.templates):
        one.cache_clear()


@dataclass(frozen=True)
class Case:
    """A kind, a model of it, and examples as its reader would give them."""

    kind: Kind
    metric: Any
    artifact: Artifact
    examples: Mapping[str, Sequence[Any]]
    references: Sequence[Any]


def words(count: int, seed: int) -> str:
    return " ".join(np.random.default_rng(seed).choice(WORDS, count))


def spans() -> tuple[dict[str, Any], list[Any]]:
    texts = [words(4 + 2 * number, number) for number in range(8)]
    labels = []
    for number, text in enumerate(texts):
        first = sum(len(word) + 1 for word in text.split()[:number])
        labels.append((first, first + len(text.split()[number])))
    examples = {"text": [words(2, 50 + number) for number in range(8)], "text_pair": texts, "label": labels}
    return examples, [text[first:last] for text, (first, last) in zip(texts, labels, strict=True)]


def vectors() -> tuple[dict[str, Any], list[Any]]:
    return {"text": [words(2 + number, number) for number in range(8)]}, []


def groups() -> tuple[dict[str, Any], list[Any]]:
    right = [number % 3 for number in range(6)]
    candidates = [[words(3, 10 * number + place) for place in range(3 + number % 2)] for number in range(6)]
    return {"text": [words(2, number) for number in range(6)], "text_pair": candidates, "label": right}, right


def write(folder: Path, name: str, *, layers: int, seed: int = 0) -> Path:
    """A BERT of a kind with its tokenizer, wide enough to be wrong."""
    import torch
    from transformers import BertConfig, BertForQuestionAnswering, BertForSequenceClassification

    module = import_module(f"tests.tasks.kinds.test_only.{name}")
    its_tokenizer = write_tokenizer(folder)
    config = BertConfig(
        vocab_size=len(its_tokenizer),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=80,
        type_vocab_size=1,
        **({"num_labels": 1, "ranks": True} if name == "groups" else {}),
    )
    torch.manual_seed(seed)
    if name == "vectors":
        model = module.BertForVectors(config)
    else:
        model = (BertForQuestionAnswering if name == "spans" else BertForSequenceClassification)(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=NAMES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    from compress.models.sources import resolve_model

    folder = tmp_path_factory.mktemp(request.param) / "model"
    module = import_module(f"tests.tasks.kinds.test_only.{request.param}")
    examples, references = globals()[request.param]()
    metric = {"spans": "EXACT", "vectors": "COSINE", "groups": "RECIPROCAL_RANK"}[request.param]
    artifact = resolve_model(str(write(folder, request.param, layers=2)))
    return Case(module.KIND, getattr(module, metric), artifact, examples, references)


@pytest.fixture(scope="module")
def exported(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    import compress

    return compress.export(case.artifact.folder, tmp_path_factory.mktemp("exported") / "onnx")


def task_of(case: Case) -> Any:
    from compress.tasks.task import Task

    name = next(iter(case.kind.laws))
    return Task(name, name, ("text",), "label", ("mine",))


def features(case: Case) -> tuple[Any, Any]:
    """A tokenizer, and the examples as rows that are trained on."""
    from datasets import Dataset

    from compress.data.tokens import tokenize
    from compress.models.tokenizing import tokenizer

    its_tokenizer = tokenizer(case.artifact.folder)
    rows = Dataset.from_dict(dict(case.examples))
    return its_tokenizer, tokenize(rows, its_tokenizer, LENGTH, encode=case.kind.encode).rows


def test_the_kind_of_a_model_is_found_by_its_head_or_by_its_config(case: Case) -> None:
    from compress.models.kinds import kind_of, kind_of_model
    from compress.models.load import load

    assert kind_of(case.artifact.folder) is case.kind
    assert kind_of_model(load(case.artifact)) is case.kind
    assert kinds.by_task(next(iter(case.kind.laws))) is case.kind


def test_both_runtimes_give_the_same_outputs_by_name_and_a_worker_gives_them_too(
    case: Case, exported: Artifact, tmp_path: Path
) -> None:
    from compress.measure import batches
    from compress.measure.process import WorkerProcess
    from compress.measure.quality import quality
    from compress.models.kinds import law_in
    from compress.models.tokenizing import tokenizer
    from compress.runtimes import onnx_runtime, pytorch
    from compress.runtimes.rows import encoded_rows, predict_all
    from compress.runtimes.runtime import Serving

    parity = exported.steps[-1].facts["parity"]
    assert max(parity["largest_gap"].values()) <= parity["tolerance"]
    rows = encoded_rows(
        case.kind, case.examples, tokenizer(case.artifact.folder), LENGTH, {"truncated": 0, "longest": 0}
    )
    torch_said = predict_all(pytorch.open_session(case.artifact, Serving()), rows, 4, outputs=case.kind.outputs)
    onnx_said = predict_all(onnx_runtime.open_session(exported, Serving()), rows, 4, outputs=case.kind.outputs)
    assert list(torch_said) == [one.name for one in case.kind.outputs]
    for name, values in torch_said.items():
        np.testing.assert_allclose(onnx_said[name], values, atol=1e-4)

    prepared = batches.prepare(rows, [batches.Condition(2, batches.REAL, 2)], seed=0)
    batches.save(prepared, tmp_path / "inputs.npz")
    served = [(exported, "onnx_runtime", onnx_said)]
    if len(case.kind.outputs) > 1:  # the one process that finds the kind and imports torch: that takes seconds
        served.append((case.artifact, "pytorch", torch_said))
    for artifact, runtime, said in served:
        with WorkerProcess(runtime, artifact, Serving(), tmp_path / "inputs.npz") as worker:
            worker.ask("load")
            assert len(worker.ask("time", condition="2xreal", calls=2)["seconds"]) == 2
            to = tmp_path / (f"{runtime}.npz" if len(said) > 1 else f"{runtime}.npy")
            worker.ask("predict", batch_size=4, to=str(to))
        found = np.load(to)
        for name, values in said.items():
            np.testing.assert_array_equal(found[name] if len(said) > 1 else found, values)

    law = law_in(case.artifact.folder)
    mine, theirs = (case.kind.judge(Inference(one, rows, case.examples, law)) for one in (torch_said, onnx_said))
    assert len(mine) == len(case.examples["text"])
    references = case.references or theirs
    (measured,) = quality("abc", mine, references, [case.metric], {})
    assert measured.absent is None
    assert measured.value == pytest.approx(case.metric.score(mine, references))
    assert measured.value == pytest.approx(1, abs=1e-4) if not case.references else 0 <= measured.value <= 1


def test_heads_and_neurons_are_scored_by_the_loss_of_the_answers_and_removed(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from datasets import Dataset

    from compress.data import calibration
    from compress.models.load import load
    from compress.pruning import costs
    from compress.pruning.allocation import everywhere
    from compress.pruning.importance import gradients, loss_by_example
    from compress.pruning.removal import remove
    from compress.pruning.units import units

    its_tokenizer, _ = features(case)
    model = load(case.artifact)
    monkeypatch.setattr(calibration, "drawn", lambda *_: Dataset.from_dict(dict(case.examples)))
    described: Any = SimpleNamespace(task=task_of(case), data=None)
    batches = calibration.tensors("task-256", described, its_tokenizer, model.config, labels=True)
    assert sum(len(batch["input_ids"]) for batch in batches) >= len(case.examples["text"])
    for batch in batches:
        if "labels" not in batch:  # of a vector another model's
            batch["labels"] = torch.randn(len(batch["input_ids"]), 32, generator=torch.Generator().manual_seed(0))
    losses = torch.cat([loss_by_example(model, batch) for batch in batches])
    assert losses.isfinite().all()
    assert (losses > 0).any()
    scored = gradients(model, batches)
    assert all(one.isfinite().all() and one.abs().sum() > 0 for one in (*scored.heads, *scored.neurons))
    price = costs.parameters(model)
    smaller = remove(model, everywhere(scored.fisher(), price, 0.8 * price.of(units(model))).kept)
    assert all(loss_by_example(smaller, batch).isfinite().all() for batch in batches)


def test_a_student_learns_from_a_teacher_that_is_asked_once_and_from_labels_where_there_are_any(
    case: Case, tmp_path: Path
) -> None:
    """Through the teacher's cache, the objective and the one training loop; the student's answers end nearer to the teacher's."""
    import torch

    from compress.data.collate import collate_of
    from compress.distillation import teacher_cache
    from compress.distillation.counted_rows import CountedRows
    from compress.distillation.distill_settings import Distill
    from compress.distillation.features import FeatureSpec
    from compress.distillation.laws import soft
    from compress.distillation.loss_config import stages_of
    from compress.distillation.students import Student
    from compress.distillation.teacher import Teacher
    from compress.distillation.train import train_student
    from compress.distillation.transfer_set import TransferSet, with_outputs
    from compress.models.forward import answers
    from compress.models.layers import keep_layers
    from compress.models.load import load
    from compress.training.data import TrainingData
    from compress.training.objectives import ModelScore

    its_tokenizer, rows = features(case)
    law, kind = next(iter(case.kind.laws.values())), case.kind
    batch = kind.collate(list(rows), its_tokenizer)  # type: ignore[misc]  # this kind has one of its own
    teacher = load(case.artifact)
    student = Student(keep_layers(teacher, (1,)), its_tokenizer, {})

    def distance(model: Any) -> float:
        with torch.no_grad():
            return float(soft(law, answers(model, batch), answers(teacher, batch).values[:, None], (1.0,), 1.0))

    settings = Distill(
        layers=1, alpha=1, epochs=6, batch_size=2, learning_rate=1e-3, keep_checkpoint="last", precision="fp32"
    )
    data = TrainingData(
        task=task_of(case),
        texts=None,
        train=rows,
        holdout=rows,
        holdout_texts=None,
        train_identity={},
        holdout_identity={},
        facts={},
        score=ModelScore(lambda model: ("nearness", -distance(model)), rows=len(rows)),
        collate=collate_of(kind),
    )
    stages = stages_of(settings, student.model.config, teacher.config, law)
    learned = with_outputs(
        TransferSet(data, stages, teacher_config=teacher.config),
        [Teacher(case.artifact)],
        student,
        settings,
        {},
        tmp_path / "cache",
    )
    kept = teacher_cache.outputs(
        Teacher(case.artifact),
        CountedRows(rows),
        its_tokenizer,
        features=FeatureSpec(),
        precision="fp32",
        identity={},
        cache=tmp_path / "cache",
    )
    assert kept.seconds_saved > 0
    assert list(kept.given) == [one.name for one in kind.outputs]

    before = distance(student.model)
    told = train_student(student, learned, settings, tmp_path / "scratch", "student")
    assert distance(student.model) < before / 2
    assert {key.split(" ", 1)[-1] for key in told["curves"]} >= {"labels", "soft targets"}, told["curves"].keys()


def test_batches_are_not_accumulated_where_the_loss_is_one_of_a_batch_as_a_whole(tmp_path: Path) -> None:
    from compress.core.errors import CompressError
    from compress.training.train import TrainingSettings, train
    from tests.tasks.kinds.test_only.vectors import KIND

    kind = replace(KIND, batch_loss=lambda outputs, batch: outputs["embedding"].sum())
    settings = TrainingSettings(gradient_accumulation_steps=2)
    given: Any = {"its_tokenizer": None, "scratch": tmp_path, "score": None, "name": "student", "kind": kind}
    with pytest.raises(CompressError, match="embedding models compares all rows of a batch.*a larger batch_size"):
        train(None, lambda *_: None, [], [], settings, **given)  # type: ignore[arg-type, return-value]  # refused before they are used


def test_rows_in_groups_are_trained_on_as_whole_groups() -> None:
    from datasets import Dataset

    from compress.training.loop import Grouped, rows_of

    rows = Dataset.from_dict({"input_ids": [[1] * size for size in (2, 3, 4, 1)], "query": ["a", "b", "a", "b"]})
    found = Grouped(rows, lambda row: row["query"])
    assert (len(found), found.lengths().tolist()) == (2, [6, 4])
    assert [row["place"] for row in rows_of([found[1], found[0]])] == [1, 3, 0, 2]
