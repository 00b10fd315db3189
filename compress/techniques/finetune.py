"""Fine-tune a base model on a task, to be the teacher of the other techniques.

If MODEL has no classification head, a newly initialized one is added. Generative models learn from reference texts (summaries,
translations), or from plain text (causal language modelling). A generative model can be trained from scratch
(`compress finetune t5-small.json`, which also trains a tokenizer), or initialized from a BERT-like encoder, which becomes a
BART. The best checkpoint is selected on a validation split taken from the training rows; the evaluation split is never used.
For data-parallel training, run `torchrun --nproc-per-node 2 -m compress finetune ...`; the first process writes the artifact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compress.core.artifact import Artifact
from compress.tasks.task import DescribedTask
from compress.tasks.technique import Made, Technique, Work
from compress.training.finetune_settings import READ, Finetune


def _check(settings: Finetune, source: Artifact, task: DescribedTask | None) -> None:
    from compress.data.tokenized import check_max_length

    check_max_length(settings, task)


def _check_model(settings: Finetune, source: Artifact, described: DescribedTask | None) -> None:
    from compress.training.finetune import check

    if described is not None:
        check(settings, source, described.task)


def _run(work: Work[Finetune]) -> Made:

    return _generative_model(work) if work.described.task.is_generative else _classifier(work)


def _generative_model(work: Work[Finetune]) -> Made:
    from compress.models import load as models
    from compress.training import finetune as fine_tuning

    begun = fine_tuning.start(work.source, work.described, work.settings, work.scratch)
    facts = fine_tuning.fine_tune(
        begun, work.described, work.settings, scratch=work.scratch, cache=work.cache, name=work.name
    )
    models.save(begun.model, begun.tokenizer, work.folder)
    return Made("torch", "fp32", step_facts=facts)


def _classifier(work: Work[Finetune]) -> Made:
    from compress.distillation import laws, teacher_score
    from compress.distillation.thresholds import fitted
    from compress.models import load as models
    from compress.models.forward import answers
    from compress.training.data import data_for
    from compress.training.train import train

    its_tokenizer = models.tokenizer(work.source.folder)
    data = data_for(work.described, its_tokenizer, models.config(work.source.folder), work.settings.max_length)
    # In fp32, whatever it was stored in: small steps are lost in 16 bits, and fp16's gradients overflow.
    model = models.for_task(work.source.folder, data.task, seed=work.settings.seed).float()
    before = {}
    if models.is_trained_for(work.source.folder, data.task):
        before["score_before_training"] = teacher_score.before_training(model, data, its_tokenizer)

    def objective(trained: Any, batch: Mapping[str, Any], progress: float) -> tuple[Any, Mapping[str, Any]]:
        return laws.hard(data.task.law, answers(trained, batch, inside=model)), {}

    trained = train(
        model,
        objective,
        data.train,
        data.holdout,
        work.settings,
        its_tokenizer=its_tokenizer,
        scratch=work.scratch,
        score=data.score,
        collate=data.collate,
        kind=data.task.of_kind,
        name=work.name,
    )
    models.save(model, its_tokenizer, work.folder)
    thresholds = fitted(model, data, its_tokenizer)
    return Made("torch", "fp32", facts=thresholds, step_facts={**before, **trained.facts, **data.facts, **thresholds})


def _reads(settings: Finetune, task: DescribedTask | None) -> dict[str, Any]:
    from compress.data.tokenized import identity

    return identity(task)


TECHNIQUE = Technique(
    name="finetune",
    settings=Finetune,
    run=_run,
    accepts=frozenset({"torch", "config"}),
    gives=lambda settings: ("torch", "fp32"),
    compresses=False,
    reads=_reads,
    needs_task=True,
    read_when=READ,
    check=_check,
    check_model=_check_model,
    example="compress finetune demo --task reviews --epochs 1 -o runs/teacher",
)
