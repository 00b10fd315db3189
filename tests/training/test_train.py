"""The training loop: same seed same weights, resumed as if never stopped, and stopped when the loss is lost."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.errors import CompressError
from compress.core.stopping import Stopped
from compress.data.loading import described_task
from compress.metrics.metric import Undefined
from compress.models.load import classifier, config, tokenizer
from compress.tasks.kinds.losses import hard_labels
from compress.training import loop
from compress.training.data import data_for, holdout_score
from compress.training.objectives import Score
from compress.training.train import TrainingSettings, train
from tests.tiny import write_task

QUERY = "bert.encoder.layer.0.attention.self.query.weight"
VALUE = "bert.encoder.layer.0.attention.self.value.weight"
WEIGHT, BIAS = "classifier.weight", "classifier.bias"
TAGS = {
    QUERY: {"no_weight_decay": True, "learning_rate_factor": 0.1},
    WEIGHT: {"learning_rate_factor": 10.0},
    BIAS: {"learning_rate_factor": 10.0},
}
"""Of parameters with and without decay; the value's projection has none."""


class Run:
    """One training run of a tiny model, with what the test changes."""

    def __init__(self, model_folder: Path, task: dict[str, Any], scratch: Path) -> None:
        self.tokenizer = tokenizer(model_folder)
        self.data = data_for(described_task(task), self.tokenizer, config(model_folder), 32)
        self.folder, self.scratch = model_folder, scratch
        self.score: Score = holdout_score(self.data.task)

    def __call__(
        self,
        objective: Callable[[Any, Mapping[str, Any], float], Any] | None = None,
        *,
        tags: Mapping[str, Mapping[str, Any]] | None = None,
        steps: int | None = None,
        **settings: Any,
    ) -> tuple[dict[str, torch.Tensor], Mapping[str, Any]]:
        model = classifier(self.folder)
        for name, attributes in (tags or {}).items():
            for attribute, value in attributes.items():
                setattr(model.get_parameter(name), attribute, value)
        done = train(
            model,
            objective or _hard,
            self.data.train,
            self.data.holdout,
            TrainingSettings(**{"epochs": 2, "batch_size": 16, "precision": "fp32", "learning_rate": 1e-3, **settings}),
            its_tokenizer=self.tokenizer,
            scratch=self.scratch,
            score=self.score,
            name="test",
            steps=steps,
        )
        return {name: value.clone() for name, value in model.state_dict().items()}, done.facts


def _hard(model: Any, batch: Mapping[str, Any], progress: float) -> Any:
    loss = hard_labels(
        model(**{name: value for name, value in batch.items() if name != "labels"}).logits, batch["labels"]
    )
    return loss, {"hard": loss}


def _slope(model: Any, batch: Mapping[str, Any], progress: float) -> Any:
    """A gradient of 1 everywhere."""
    loss = sum(parameter.sum() for parameter in model.parameters())
    return loss, {"slope": loss}


def _flat(model: Any, batch: Mapping[str, Any], progress: float) -> Any:
    """A gradient of 0 everywhere, so that weights move by their decay alone."""
    loss, terms = _slope(model, batch, progress)
    return 0 * loss, terms


@pytest.fixture
def run(make_model: Callable[..., Path], task: dict[str, Any], tmp_path: Path) -> Run:
    return Run(make_model("bert"), task, tmp_path / "scratch")


def _equal(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_little_task_is_learnt_and_its_curves_are_kept(run: Run) -> None:
    _, facts = run(epochs=12, learning_rate=2e-3)
    losses = [value for _, value in facts["curves"]["loss"]]
    (accuracies,) = (values for name, values in facts["curves"].items() if name == "accuracy on held-out rows")
    assert losses[-1] < losses[0] / 2
    assert len(accuracies) == 12
    assert max(value for _, value in accuracies) > 0.9


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(run: Run, tmp_path: Path) -> None:
    first, _ = run()
    run.scratch = tmp_path / "again"
    second, _ = run()
    run.scratch = tmp_path / "other"
    third, _ = run(seed=1)
    assert _equal(first, second)
    assert not _equal(first, third)


def _killed_at(last: int) -> Any:
    steps = 0

    def objective(model: Any, batch: Mapping[str, Any], progress: float) -> Any:
        nonlocal steps
        steps += 1
        if steps == last:
            raise RuntimeError("killed")
        return _hard(model, batch, progress)

    return objective


@pytest.mark.parametrize("tags", [{}, TAGS], ids=["untagged", "tagged"])
def test_a_run_that_was_killed_ends_with_the_weights_of_one_that_was_not(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tags: dict[str, dict[str, Any]]
) -> None:
    whole, _ = run(keep_checkpoint="last", tags=tags)
    run.scratch = tmp_path / "killed"
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)  # a checkpoint after each step
    with pytest.raises(RuntimeError, match="killed"):
        run(_killed_at(6), keep_checkpoint="last", tags=tags)
    resumed, facts = run(keep_checkpoint="last", tags=tags)
    assert facts["resumed_from_step"] == 5
    assert _equal(whole, resumed)


def test_checkpoints_that_take_long_are_written_less_often(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SAVE_SECONDS", 1e-6)
    monkeypatch.setattr(loop, "SAVE_COST", 1e-12)  # beside which the first one takes very long
    with pytest.raises(RuntimeError, match="killed"):
        run(_killed_at(6))
    assert [one.name for one in (run.scratch / "checkpoints").glob("checkpoint-*")] == ["checkpoint-1"]


def test_a_tagged_parameter_is_trained_at_its_multiple_of_the_learning_rate(run: Run) -> None:
    before = classifier(run.folder).state_dict()
    after, _ = run(_slope, tags=TAGS, steps=4, warmup_ratio=0.0, weight_decay=0.0, keep_checkpoint="last")
    scheduled = 1e-3 * (
        1 + 0.75 + 0.5 + 0.25
    )  # linear; AdamW's step is the learning rate where gradients are all alike
    for name in dict(classifier(run.folder).named_parameters()):
        moved = before[name] - after[name]
        wanted = torch.full_like(moved, scheduled * TAGS.get(name, {}).get("learning_rate_factor", 1.0))
        torch.testing.assert_close(moved, wanted, atol=2e-6, rtol=1e-3, msg=lambda text, name=name: f"{name}: {text}")


def test_a_tagged_parameter_is_not_decayed_and_the_others_by_their_own_learning_rate(run: Run) -> None:
    before = classifier(run.folder).state_dict()
    settings = {
        "lr_scheduler_type": "constant_with_warmup",
        "warmup_ratio": 0.0,
        "weight_decay": 0.9,
        "keep_checkpoint": "last",
    }
    after, _ = run(_flat, tags=TAGS, steps=3, **settings)
    torch.testing.assert_close(after[QUERY], before[QUERY], atol=0, rtol=0)
    torch.testing.assert_close(after[BIAS], before[BIAS], atol=0, rtol=0)
    torch.testing.assert_close(after[WEIGHT], before[WEIGHT] * (1 - 10 * 1e-3 * 0.9) ** 3)
    torch.testing.assert_close(after[VALUE], before[VALUE] * (1 - 1e-3 * 0.9) ** 3)


def test_without_a_tag_the_optimizer_has_the_groups_of_older_checkpoints(run: Run) -> None:
    run(steps=1, keep_checkpoint="last")
    saved = torch.load(run.scratch / "checkpoints" / "checkpoint-1" / "optimizer.pt", weights_only=True)
    assert [(group["lr"], group["weight_decay"]) for group in saved["param_groups"]] == [(0.0, 0.01), (0.0, 0.0)]
    tensors = sum(1 for _ in classifier(run.folder).parameters())
    assert sum(len(group["params"]) for group in saved["param_groups"]) == tensors


def test_an_epoch_whose_score_does_not_exist_is_never_a_number_and_never_the_best(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    epochs = iter([Undefined("All 31 predictions are the same (2), so no correlation exists."), 0.25, 0.125])
    run.score = lambda logits, labels, starts: ("pearson", next(epochs))
    _, facts = run(epochs=3)
    (points,) = (points for name, points in facts["curves"].items() if name == "pearson on held-out rows")
    assert [value for _, value in points] == [0.25, 0.125]
    assert facts["kept"] == "best"
    assert "pearson does not exist on" in caplog.text

    run.score, run.scratch = lambda logits, labels, starts: ("pearson", Undefined("No.")), run.scratch / "again"
    _, facts = run(epochs=1)
    assert (facts["kept"], facts["not_scored"]) == ("last", "No.")
    assert "pearson on held-out rows" not in facts["curves"]


def test_a_choice_by_chance_and_a_model_that_says_one_class_are_told_in_a_line_each(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def constant(model: Any, batch: Mapping[str, Any], progress: float) -> Any:
        return (model.classifier.bias[1] - 10).square() + 0 * _slope(model, batch, progress)[0], {}

    _, facts = run(constant, learning_rate=0.5, epochs=2)
    assert facts["one_class_for_all"] == "positive"
    assert "the model predicts one class, 'positive', for all 33 held-out rows, which have several" in caplog.text
    assert "the best epoch is chosen on only 33 held-out rows, where a share varies by up to 17 points" in caplog.text


def test_a_training_split_of_one_class_is_told(
    make_model: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "train.csv").write_text("a,b\n" + "".join(f"the film {number},yes\n" for number in range(80)))
    task = {
        "name": "mine",
        "text": "a",
        "label": "b",
        "labels": ["no", "yes"],
        "data": {"train": str(tmp_path / "train.csv")},
    }
    folder = make_model("bert")
    found = data_for(described_task({**task, "holdout": 0.2}), tokenizer(folder), config(folder), 32)
    assert found.facts["only_label"] == "yes"
    assert "training rows of 'mine' are 'yes': one class teaches nothing" in caplog.text


def test_a_loss_that_is_not_a_number_stops_the_run_and_names_step_and_checkpoint(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    steps = 0

    def explodes(model: Any, batch: Mapping[str, Any], progress: float) -> Any:
        nonlocal steps
        steps += 1
        loss, terms = _hard(model, batch, progress)
        return (loss * float("nan") if steps == 4 else loss), terms

    with pytest.raises(CompressError, match=r"'test' is nan at step 4.*checkpoint-3"):
        run(explodes)
    assert (run.scratch / "checkpoints" / "checkpoint-3").is_dir()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_a_checkpoint_and_stops(run: Run, number: int) -> None:
    before = signal.getsignal(number)
    steps = 0

    def interrupted(model: Any, batch: Mapping[str, Any], progress: float) -> Any:
        nonlocal steps
        steps += 1
        if steps == 3:
            os.kill(os.getpid(), number)
        return _hard(model, batch, progress)

    with pytest.raises(Stopped) as caught:
        run(interrupted)
    assert caught.value.number == number
    assert (run.scratch / "checkpoints" / "checkpoint-3").is_dir()
    assert signal.getsignal(number) is before


def test_the_best_epoch_on_held_out_rows_is_kept(run: Run) -> None:
    best, facts = run(epochs=3, learning_rate=0.05)  # too high: later epochs are worse
    scores = [value for _, value in facts["curves"]["accuracy on held-out rows"]]
    model = classifier(run.folder)
    model.load_state_dict(best)
    right = 0
    for row in run.data.holdout:
        ids = torch.tensor([row["input_ids"]])
        right += int(model(input_ids=ids).logits.argmax() == row["label"])
    assert right / len(run.data.holdout) == pytest.approx(max(scores), abs=1e-4)


def test_accumulated_batches_are_one_batch_in_parts(make_model: Callable[..., Path], tmp_path: Path) -> None:
    task = write_task(tmp_path / "data", rows=161)  # of which 128 are trained on
    model = make_model("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    whole, facts = Run(model, task, tmp_path / "whole")(batch_size=16, keep_checkpoint="last")
    parts, _ = Run(model, task, tmp_path / "parts")(batch_size=8, gradient_accumulation_steps=2, keep_checkpoint="last")
    assert facts["training_rows"] % 16 == 0
    for name, value in whole.items():  # the same sums in another order, through sixteen steps of AdamW
        torch.testing.assert_close(parts[name], value, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize(("family", "reads"), [("bert", 5), ("roberta", 4)])
def test_rows_longer_than_the_models_positions_are_cut_and_told(
    family: str, reads: int, make_model: Callable[..., Path], task: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_model(family, max_position_embeddings=5)
    data = data_for(described_task(task), tokenizer(folder), config(folder), 64)
    assert max(len(ids) for ids in data.train["input_ids"]) == reads
    assert data.facts["max_length"] == reads
    assert f"training rows are longer than the {reads} tokens that this model reads and were truncated" in caplog.text
    batch = data.collate([data.train[place] for place in range(8)], tokenizer(folder), {})
    classifier(folder)(**batch)  # padding goes no further than the positions either
