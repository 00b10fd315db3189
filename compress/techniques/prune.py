"""Prune attention heads, neurons and layers, which makes a model smaller and faster, or single weights.

`structured` and `kwon` remove attention heads and feed-forward neurons within a budget of MACs, parameters or measured
latency; `kwon` corrects the remaining weights by least squares, without training. `layers` drops whole layers, `width`
hidden dimensions, heads or neurons, the same number in all layers, `vocabulary` tokens that the task's texts do not need.
In generative models (T5, BART, Llama, ...), encoder, decoder and cross-attention share one budget. `magnitude`,
`movement`, `wanda` and `sparsegpt` set single weights to zero (unstructured sparsity). With --epochs the pruned model is
trained to recover, with the unpruned model as its teacher. The options of teacher, loss, generation and training are for
this recovery training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.progress import say
from compress.pruning.prune_settings import READ, SHAPES, Prune, reads_rows, removes_units
from compress.tasks.kinds.thresholds import THRESHOLDS
from compress.tasks.task import DescribedTask
from compress.tasks.technique import Made, Technique, Work

if TYPE_CHECKING:
    from compress.training.objectives import Hold


def _run(work: Work[Prune]) -> Made:
    from compress.models import load as models

    settings = work.settings
    say(f"{work.name}: {prospect(settings)}")
    model = models.load(work.source).float()
    its_tokenizer = models.tokenizer(work.source.folder)
    if settings.method == "vocabulary":
        pruned, hold, its_tokenizer, told = _trimmed(work, model, its_tokenizer)
    else:
        pruned, hold, told = _pruned(work, model, its_tokenizer)
    if settings.epochs:
        told |= _recovered(work, pruned, its_tokenizer, hold)
    told |= _zeros(settings, pruned)
    models.save(pruned, its_tokenizer, work.folder)
    if settings.method == "vocabulary":
        _check_saved(work, its_tokenizer)
    return Made("torch", "fp32", facts={name: told[name] for name in (THRESHOLDS,) if name in told}, step_facts=told)


def prospect(settings: Prune) -> str:
    """What the chosen kind of pruning can and cannot gain on this machine, in a sentence."""
    if settings.method == "vocabulary":
        return (
            "a smaller vocabulary makes the model smaller (its embeddings), and a generative model faster (its output head). A "
            "classifier is as fast as before."
        )
    if settings.method in SHAPES:
        return "structured pruning makes the model smaller and faster in every runtime."
    if settings.pattern == "2:4":
        return (
            "2:4 sparsity is faster on sparse tensor cores only (NVIDIA Ampere and later, with TensorRT). ONNX Runtime and torch "
            "compute with zeros as with other weights; only the compressed file is smaller."
        )
    return (
        "unstructured sparsity makes no runtime here faster: ONNX Runtime and torch compute with zeros as with other weights. "
        "Only the compressed file is smaller. For speed, use --method structured."
    )


def _pruned(work: Work[Prune], model: Any, its_tokenizer: Any) -> tuple[Any, Hold | None, dict[str, Any]]:
    """The pruned model, what holds its zeros while it is trained, and the metadata to record."""
    from compress.data import calibration
    from compress.distillation.students import requested_layers
    from compress.models import load as models
    from compress.pruning import apply as slimming

    settings = work.settings
    writes = models.generates(work.source.folder)
    batches: list[dict[str, Any]] = []
    if reads_rows(settings):
        batches = calibration.tensors(settings.calibration, work.described, its_tokenizer, model.config, labels=True)
    if settings.method == "layers":
        told: dict[str, Any] = {}
        asked = requested_layers(settings.layers, settings, model.config) if writes else {"": settings.layers or ()}
        for side, layers in asked.items():
            model, facts = slimming.fewer_layers(model, layers, settings.layer_choice, batches, side)
            told |= facts
        return model, slimming.sparsity_hold(model), told
    if settings.method == "width":
        smaller, told = slimming.fewer_dimensions(model, settings, batches)
        return smaller, slimming.sparsity_hold(smaller), told
    if settings.method in SHAPES:
        smaller, told = slimming.fewer_units(model, settings, batches, work.cache)
        return smaller, slimming.sparsity_hold(smaller), told
    return slimming.zeroed_(model, settings, batches)


def _trimmed(work: Work[Prune], model: Any, its_tokenizer: Any) -> tuple[Any, Hold | None, Any, dict[str, Any]]:
    """The model with fewer tokens, what holds its zeros, its tokenizer, and the metadata to record."""
    from compress.pruning import apply as slimming
    from compress.pruning.vocabulary import trimmed_

    its_tokenizer, told = trimmed_(model, its_tokenizer, work.settings, work.described)
    return model, slimming.sparsity_hold(model), its_tokenizer, told


def _check_saved(work: Work[Prune], its_tokenizer: Any) -> None:
    from compress.core.artifact import is_main_process
    from compress.pruning.vocabulary import check_reopened

    if is_main_process():
        check_reopened(work.folder, its_tokenizer)


def _recovered(work: Work[Prune], model: Any, its_tokenizer: Any, hold: Hold | None) -> dict[str, Any]:
    """Train the pruned model in place, with its teacher; returns the metadata to record."""
    from compress.distillation import transfer_set
    from compress.distillation.students import Student
    from compress.distillation.teacher import Teacher
    from compress.distillation.thresholds import fitted
    from compress.distillation.train import train_student
    from compress.pruning import apply as slimming

    settings, student = work.settings, Student(model, its_tokenizer)
    teacher = work.inputs.get("teacher", work.source)
    rows = transfer_set.prepare([Teacher(teacher)], student, work.described, settings, work.cache)
    with slimming.adapters(model, settings.lora_rank, settings.seed):
        facts = train_student(student, rows, settings, work.scratch, work.name, hold=hold)
    slimming.finish_(model, hold)
    return {**rows.facts, **facts, **rows.data.facts, **fitted(model, rows.data, its_tokenizer)}


def _zeros(settings: Prune, model: Any) -> dict[str, Any]:
    """The zeros among the prunable weights as they are saved."""
    from compress.pruning.weights import prunable, share_of_zeros

    leave = () if settings.method in SHAPES else settings.exclude
    zeros = share_of_zeros(model, prunable(model, leave))
    return {"share_of_zeros": zeros} if zeros or settings.method not in SHAPES else {}


def _reads(settings: Prune, task: DescribedTask | None) -> dict[str, Any]:
    from compress.data import calibration
    from compress.data.tokenized import identity

    found = identity(task) if settings.epochs else {}
    if task is not None and reads_rows(settings):
        found["calibration"] = calibration.identity(settings.calibration, task)
    if task is not None and settings.method == "vocabulary":
        from compress.pruning import vocabulary

        found |= vocabulary.identity(settings, task)
    return found


def _check(settings: Prune, source: Artifact, task: DescribedTask | None) -> None:
    from compress.data import calibration
    from compress.data.tokenized import check_max_length
    from compress.models import load as models

    if removes_units(settings) and settings.target_ratio == 1 and settings.latency_budget_ms is None:
        raise CompressError(
            f"target_ratio is 1, so {settings.method} would prune nothing. Set it below 1: 0.5 keeps half."
        )
    if reads_rows(settings):
        calibration.check(settings.calibration, task)
    if settings.method == "vocabulary":
        from compress.pruning import vocabulary

        vocabulary.check(settings, task)
    if settings.epochs and task is None:
        raise CompressError(
            f"{source.folder} has no task of its own, and recovery training needs one. "
            "Name it, for example `--task sst2 --data DIR`, or leave epochs at 0."
        )
    if settings.epochs:
        check_max_length(settings, task)
    if settings.lora_rank:
        models.needs_peft("Recovery training with LoRA")


def _check_model(settings: Prune, source: Artifact, task: DescribedTask | None) -> None:
    from compress.models import load as models
    from compress.models.families.families import family
    from compress.models.layers import evenly_spaced, layer_count
    from compress.models.widths import check_narrows, narrower

    config = models.config(source.folder)
    family(config)
    if settings.method == "width":
        check_narrows(config, generates=models.generates(source.folder))
        narrower(config, **settings.widths)
    if settings.method == "vocabulary":
        from compress.pruning import vocabulary

        vocabulary.check_model(settings, source.folder, task)
    if task is not None and (settings.epochs or reads_rows(settings)):
        models.check_labels(source.folder, task.task)
    writes = models.generates(source.folder)
    counted = writes and (config.is_encoder_decoder or settings.budget == "latency")
    if "new_tokens" in settings.model_fields_set and not counted:
        what = "a decoder" if writes else "a classifier"
        raise CompressError(
            f"'new_tokens' is for generative encoder-decoders, and with 'budget: latency' for decoders. {source.folder} is "
            f"{what}: leave it out."
        )
    if writes:
        _check_generative_model(settings, config)
        return
    if settings.given():
        raise CompressError(
            f"{settings.given()[0]} is for generative models, and {source.folder} is a classifier. Leave it out."
        )
    if isinstance(settings.layers, int):
        evenly_spaced(layer_count(config), settings.layers)


def _check_generative_model(settings: Prune, config: Any) -> None:
    from compress.distillation.students import requested_layers
    from compress.models.layers import evenly_spaced, layer_count

    for side, layers in requested_layers(settings.layers, settings, config).items():
        if isinstance(layers, int):
            evenly_spaced(layer_count(config, side), layers)


TECHNIQUE = Technique(
    name="prune",
    settings=Prune,
    run=_run,
    accepts=frozenset({"torch"}),
    gives=lambda settings: ("torch", "fp32"),
    reads=_reads,
    in_task_order=True,
    read_when=READ,
    check=_check,
    check_model=_check_model,
    example="compress prune runs/teacher --method structured --target-ratio 0.5 --epochs 1 -o runs/pruned",
)
