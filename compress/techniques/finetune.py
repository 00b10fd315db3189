"""Train a base model on a task: the teacher that the other techniques start from.

The classifier starts anew where the base has none. The best epoch is chosen on rows held out of the training split; the
evaluation split is not read. Runs under `accelerate launch -m compress finetune ...` as it is: every process trains on its
share of the rows, the first one writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compress.technique import Made, Technique, Work
from compress.training import TrainingSettings


class Finetune(TrainingSettings):
    """How the model is trained."""


def _run(work: Work) -> Made:
    from compress import models
    from compress.distillation.losses import hard_labels, scores
    from compress.training import train
    from compress.training_data import data_for, holdout_score

    its_tokenizer = models.tokenizer(work.source.folder)
    data = data_for(work.task or {}, its_tokenizer, models.config(work.source.folder), work.settings.max_length)
    model = models.for_task(work.source.folder, data.task, seed=work.settings.seed)
    loss = scores if data.task.kind == "regression" else hard_labels

    def objective(trained: Any, batch: Mapping[str, Any], progress: float) -> tuple[Any, Mapping[str, Any]]:
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        value = loss(trained(**inputs).logits, batch["labels"])
        return value, {}

    trained = train(
        model,
        objective,
        data.train,
        data.holdout,
        work.settings,
        its_tokenizer=its_tokenizer,
        scratch=work.scratch,
        score=holdout_score(data.task),
        name=work.name,
    )
    models.save(model, its_tokenizer, work.folder)
    return Made("torch", "fp32", step_facts={**trained.facts, **data.facts})


def _reads(settings: Any, task: Mapping[str, Any] | None) -> dict[str, Any]:
    from compress.training_data import identity

    return identity(task)


TECHNIQUE = Technique(
    name="finetune",
    settings=Finetune,
    run=_run,
    accepts=frozenset({"torch"}),
    gives=lambda settings: ("torch", "fp32"),
    compresses=False,
    reads=_reads,
    needs_task=True,
    example="compress finetune demo --task reviews --epochs 1 -o runs/teacher",
)
