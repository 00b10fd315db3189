"""Train a model with fake quantization, so that it is accurate in int8 (quantization-aware training, QAT).

Training starts from static quantization with the same settings. Weights, step sizes and zero points are then learned together
(LSQ+), with the unquantized model as the teacher. The result is an ONNX artifact that ONNX Runtime runs with integer kernels;
its scales are exactly the trained ones. A generative model learns its teacher's next-token distributions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.core.artifact import Artifact, finished
from compress.core.errors import CompressError
from compress.core.unread_settings import refuse_unread
from compress.quantization.qat_settings import READ, Qat
from compress.tasks.technique import Made, Technique, Work

if TYPE_CHECKING:
    from compress.quantization.scheme import Scheme


def _run(work: Work[Qat]) -> Made:
    from compress.core.artifact import is_main_process
    from compress.data import loading
    from compress.distillation import transfer_set
    from compress.distillation.students import Student
    from compress.distillation.train import train_student
    from compress.models import load as models
    from compress.onnx import exported as exporting
    from compress.pruning import apply as slimming
    from compress.quantization import qat as integer_training
    from compress.quantization.qat_modules import detach

    settings, description = work.settings, dict(work.task or {})
    task, _ = loading.resolve(description)
    if task.is_generative:
        from compress.quantization.integer_writing import train

        return train(work)
    # Of several processes the first one exports and calibrates; the others wait for its scheme.
    whole = exporting.exported(work.source, work.task, work.cache).graph if is_main_process() else None
    scheme = integer_training.start(whole, work.source, work.task, settings, work.scratch)
    model, its_tokenizer = models.load(work.source).float(), models.tokenizer(work.source.folder)
    teacher, student = work.inputs.get("teacher", work.source), Student(model, its_tokenizer)
    rows = transfer_set.prepare([teacher], student, description, settings, work.cache)
    zeros = slimming.sparsity_hold(model)
    with integer_training.in_integers(model, scheme, settings, zeros) as hold:
        told = train_student(student, rows, settings, work.scratch, work.name, hold=hold)
    made = Made("onnx", "int8", {"model": "model.onnx"}, step_facts={**rows.facts, **told, **rows.data.facts})
    if whole is None:
        return made
    batches, labels = integer_training.batches_of(rows.data.holdout, its_tokenizer)
    trained = integer_training.torch_logits(model, batches)
    learned = detach(model.cpu())
    return replace(
        made,
        **_delivered(work, model, its_tokenizer, whole, scheme, learned, batches, labels, trained, made.step_facts),
    )


def _delivered(
    work: Work[Qat],
    model: Any,
    its_tokenizer: Any,
    whole: Path,
    start: Scheme,
    learned: Scheme,
    batches: Sequence[dict[str, Any]],
    labels: Any,
    trained: Any,
    told: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the trained model as a graph in its learned scheme, and compare it with what was trained and where it began.

    Args:
        model: the trained weights, without quantizers.
        whole: the unquantized model's graph.
        start: the scheme that training began with.
        learned: the scheme that it ended with.
        batches: held-out rows.
        labels: theirs, [rows].
        trained: what the model answered to them in its integers.
        told: what is known of the training.

    Returns:
        The artifact's facts and the step's.
    """
    from compress.models.kinds import law_of_model
    from compress.onnx import exported as exporting
    from compress.quantization import agreement
    from compress.quantization.graphs.kernels import integer_kernels
    from compress.quantization.graphs.qdq import write_scheme
    from compress.quantization.qat import compared, onnx_logits, rounded, unlike
    from compress.tasks.kinds.laws import BINARY
    from compress.tasks.kinds.thresholds import chosen

    found = exporting.export_model(model, work.scratch / "export", its_tokenizer, work.task)
    target = work.folder / "model.onnx"
    write_scheme(found.graph, target, learned)
    learned.save(work.folder / "scheme.safetensors")
    exporting.finish_folder(work.source, work.folder, target)
    answers, unquantized = onnx_logits(target, batches), onnx_logits(whole, batches)
    before = onnx_logits(rounded(whole, start, work.scratch), batches)
    law, task_labels = law_of_model(model), [model.config.id2label[place] for place in range(model.config.num_labels)]
    agreed = agreement.of_answers(answers, unquantized, "held-out rows", law)
    is_as_right = agreement.right(answers, labels, law) >= agreement.right(unquantized, labels, law)
    thresholds = chosen(answers, labels, task_labels) if law is BINARY else {}
    return {
        "facts": {**found.facts, **thresholds},
        "step_facts": {
            **told,
            **thresholds,
            "layers_quantized": len(learned),
            "kernels": dict(Counter(integer_kernels(target).values())),
            "parity of the fp32 graph": found.parity,
            "agreement": agreement.decided(
                agreed, "int8", allowed=work.settings.allow_disagreement, is_as_right=is_as_right
            ),
            "gap to the trained model": compared(target, answers, trained, law),
            "unlike the unquantized model": {
                "held_out_rows": len(answers),
                "before_training": unlike(before, unquantized, law),
                "after_training": unlike(answers, unquantized, law),
            },
        },
    }


def _reads(settings: Qat, task: Mapping[str, Any] | None) -> dict[str, Any]:
    from compress.data import calibration
    from compress.data.tokenized import identity

    found = identity(task)
    if task is not None and settings.calibrates:
        found["calibration"] = calibration.identity(settings.calibration, task)
    return found


def _check(settings: Qat, source: Artifact, task: Mapping[str, Any] | None) -> None:
    from compress.data import calibration, loading
    from compress.data.tokenized import check_max_length
    from compress.models import load as models
    from compress.models.families.families import family

    refuse_unread(settings, READ)
    check_max_length(settings, task)
    # What was stored in 16 bits is trained in fp32; what a step made of fewer bits is not.
    if source.precision != "fp32" and any(step.technique in ("quantize", "qat") for step in source.steps):
        raise CompressError(
            f"{source.folder} is {source.precision} already. Train the fp32 artifact that it was made from."
        )
    if settings.calibrates:
        calibration.check(settings.calibration, task)
    if source.steps and not finished(source.folder, source.fingerprint()):
        return  # a step of the same pipeline will make it
    family(models.config(source.folder))
    if task is not None:
        described, _ = loading.resolve(dict(task))
        models.check_labels(source.folder, described)
    _check_kind(settings, source)


def _check_kind(settings: Qat, source: Artifact) -> None:
    """Raises a CompressError where a setting is for models of the other kind."""
    from compress.models import load as models

    if not models.generates(source.folder):
        if settings.given():
            raise CompressError(
                f"{settings.given()[0]} is for generative models, and {source.folder} is a classifier. Leave it out."
            )
        return
    if settings.decoder_layers is not None or settings.encoder_layers is not None:
        raise CompressError("QAT keeps all layers. Use `compress distill` or `compress prune` before it.")
    weights = ("hidden_weight", "attention_weight", "relation_weight", "embedding_weight")
    matched = [name for name in weights if name in settings.model_fields_set and getattr(settings, name).highest > 0]
    if matched or settings.preset != "none" or settings.intermediate_epochs:
        raise CompressError(
            f"{(*matched, 'preset or intermediate_epochs')[0]} is for encoders. A generative model learns its teacher's "
            "next-token distributions: leave it out."
        )
    if settings.attention_matmuls != "none":
        raise CompressError("The attention MatMuls are quantized in encoders only. Leave attention_matmuls at none.")


TECHNIQUE = Technique(
    name="qat",
    settings=Qat,
    run=_run,
    accepts=frozenset({"torch"}),
    gives=lambda settings: ("onnx", "int8"),
    reads=_reads,
    in_task_order=True,
    check=_check,
    needs_task=True,
    example="compress qat runs/student -o runs/qat",
)
