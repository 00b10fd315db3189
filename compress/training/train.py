"""The training loop, on Hugging Face's `Trainer`: fine-tuning and distillation differ only in their objective."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from compress.core.disk import full_disk_errors
from compress.core.distributed import world_size
from compress.core.errors import CompressError
from compress.core.headings import DATA
from compress.core.progress import say, warn
from compress.core.settings import Settings
from compress.core.stopping import Stopped
from compress.data.collate import Collate, Extra
from compress.data.collate import collate as collate_rows
from compress.models.load import quiet
from compress.tasks.kinds import Kind
from compress.training.checkpoints import last_checkpoint
from compress.training.kept_score import ON_HELD_OUT
from compress.training.objectives import Hold, ModelScore, Objective, Score

FEW = 100
"""Held-out rows below which the choice of the best epoch is chance for the most part."""


class TrainingSettings(Settings):
    """How a model is trained; shared by all techniques that train. Named as in `transformers.TrainingArguments`."""

    HEADING = "Training"

    epochs: float = Field(3.0, gt=0, le=1000, description="Number of training epochs.")
    batch_size: int = Field(32, ge=1, description="Batch size of each process.")
    learning_rate: float = Field(5e-5, gt=0, lt=1, description="Peak learning rate.")
    warmup_ratio: float = Field(0.06, ge=0, lt=1, description="Share of the training steps used for warmup.")
    lr_scheduler_type: Literal["linear", "cosine", "constant_with_warmup"] = Field(
        "linear", description="Learning rate scheduler."
    )
    weight_decay: float = Field(0.01, ge=0, lt=1, description="Weight decay of AdamW.")
    gradient_accumulation_steps: int = Field(
        1, ge=1, description="Number of batches whose gradients are accumulated before each update."
    )
    max_length: int = Field(
        128,
        ge=4,
        description="Maximum sequence length in tokens; longer texts are truncated and counted. Block size in language "
        "modelling. Summarization and translation use the task's max_source and max_target instead.",
        json_schema_extra=DATA,
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="Precision of training. bf16 uses autocast; auto uses bf16 if the hardware supports it."
    )
    keep_checkpoint: Literal["best", "last"] = Field(
        "best", description="Checkpoint to keep: the best on the validation split, or the last."
    )
    seed: int = Field(
        0, ge=0, lt=2**32, description="Random seed for the order of the rows, dropout and newly initialized weights."
    )


@dataclass(frozen=True)
class Trained:
    """The results of a training, besides the model's weights."""

    facts: Mapping[str, Any] = field(default_factory=dict)


def train(
    model: Any,
    objective: Objective,
    rows: Any,
    holdout: Any,
    settings: TrainingSettings,
    *,
    its_tokenizer: Any,
    scratch: Path,
    score: Score | ModelScore,
    name: str,
    extras: Mapping[str, Extra] | None = None,
    steps: int | None = None,
    stage: str = "",
    hold: Hold | None = None,
    collate: Collate = collate_rows,
    kind: Kind | None = None,
) -> Trained:
    """Train a model in place; continues from the last checkpoint in `scratch` if there is one.

    A parameter of the model may have attributes: `no_weight_decay = True`, and `learning_rate_factor`, the multiple of the
    learning rate that it is trained at. They are lost where a model is copied, so set them right before.

    Args:
        rows: tokenized training rows (`input_ids`, ..., `label` or `labels`).
        holdout: tokenized rows kept out of training: the best epoch is chosen on them.
        score: gives the name and value of the metric that decides, from logits and labels (higher is better), or from
            the model itself.
        name: the step's name, for messages.
        extras: what else there is of each training row (the teacher's answers), given to the objective by name.
        steps: how many steps, whatever the epochs say.
        stage: the name of a stage that is no whole training (its head may be untrained): nothing is evaluated, the
            last weights are kept, and its curves are named by it.
        hold: called before the first step and after each one, before a checkpoint is written.
        collate: makes a batch of some rows; `TrainingData.collate` is the one for its rows.
        kind: of the task, which tells what rows stand in one batch together (`batch_size` counts groups of them then).

    Raises:
        CompressError: the loss is not finite any more; the last good checkpoint stays in `scratch`. Or batches are to be
            accumulated though the kind's loss is one of a batch as a whole.
        Stopped: after Ctrl-C, SIGTERM or SIGHUP, once a checkpoint is saved.
    """
    import torch
    from transformers import TrainingArguments

    from compress.training.loop import trainer

    if kind is not None and kind.batch_loss is not None and settings.gradient_accumulation_steps > 1:
        raise CompressError(
            f"The loss of {kind.in_words} compares all rows of a batch, so accumulated batches are not one batch. Set "
            "gradient_accumulation_steps to 1, and a larger batch_size."
        )
    bf16 = wants_bf16(settings.precision)
    checkpoints = scratch / "checkpoints"
    evaluates = not stage
    seeks_best = evaluates and settings.keep_checkpoint == "best"
    held_out = score.rows if isinstance(score, ModelScore) else len(holdout)
    if seeks_best and settings.epochs > 1 and held_out < FEW:
        warn(_few(name, held_out))
    total = steps or int(len(rows) * settings.epochs / (settings.batch_size * settings.gradient_accumulation_steps))
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=settings.epochs,
        max_steps=steps or -1,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=64,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.lr_scheduler_type,
        warmup_steps=settings.warmup_ratio,  # below 1 it is a share of all steps
        weight_decay=settings.weight_decay,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        bf16=bf16,
        optim="adamw_torch_fused",
        seed=settings.seed,
        eval_strategy="epoch" if evaluates else "no",
        save_strategy="epoch",
        save_total_limit=None,  # see `compress.training.checkpoints.finish`
        load_best_model_at_end=seeks_best,
        metric_for_best_model="score" if seeks_best else None,
        greater_is_better=True,
        logging_strategy="steps",
        logging_steps=max(1, min(50, total // 100)),  # a hundred points make a curve
        logging_nan_inf_filter=False,
        use_cpu=not torch.cuda.is_available(),
        disable_tqdm=True,
        report_to=[],
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        label_names=["labels"],
        ddp_find_unused_parameters=False,
        log_level="error",
    )
    if arguments.world_size != world_size():
        raise CompressError(
            f"{world_size()} processes were launched, but torch trains on {arguments.world_size}. Use `torchrun -m compress ...`."
        )
    loop = trainer(
        model,
        arguments,
        objective,
        rows,
        holdout,
        its_tokenizer=its_tokenizer,
        score=score,
        name=name,
        extras=extras or {},
        hold=hold,
        its_collate=collate,
        together=None if kind is None else kind.together,
    )
    before = last_checkpoint(checkpoints)
    if before:
        say(f"{name}: continues from step {before.name.removeprefix('checkpoint-')}.")
    if world_size() > 1:
        say(f"{name}: {world_size()} processes train on {settings.batch_size} rows each in a step.")
    started = time.perf_counter()
    try:
        with quiet(), full_disk_errors(checkpoints):
            loop.train(resume_from_checkpoint=str(before) if before else None)
    finally:
        loop.watch.close()  # whatever happened, signals and the screen are as they were
    if loop.interrupted is not None:
        raise Stopped(loop.interrupted)
    # accelerate leaves its autocast there, which an export would trace, and a mark for which it would not put it there again.
    for wrapped in ("forward", "_original_forward", "_is_accelerate_prepared"):
        model.__dict__.pop(wrapped, None)
    model.eval()
    kept = "best" if seeks_best and loop.state.best_global_step is not None else "last"
    kept_step = loop.state.best_global_step if kept == "best" else loop.state.global_step
    only = loop.one_class.get(kept_step or 0)
    collapsed = "" if only is None else str(model.config.id2label[only])
    if collapsed:
        warn(
            f"{name}: the model predicts one class, '{collapsed}', for all {held_out:,} held-out rows, which have several."
        )
    return Trained(
        {
            "training_steps": loop.state.global_step,
            "training_rows": len(rows),
            "processes": world_size(),
            "holdout_rows": held_out,
            "training_seconds": round(time.perf_counter() - started, 1),
            "resumed_from_step": loop.resumed_from,
            "autocast": "bf16" if bf16 else "none",
            "curves": _curves(loop.state.log_history, loop.metric_name, stage, falls=_falls(score)),
            "kept": kept,
            **({"one_class_for_all": collapsed} if collapsed else {}),
            **({"not_scored": loop.unscored} if loop.unscored else {}),
        }
    )


def _few(name: str, rows: int) -> str:
    """The warning for an epoch chosen on few rows: half the 95 % interval of a share of one half."""
    points = 100 * 1.96 * math.sqrt(0.25 / rows)
    return (
        f"{name}: the best epoch is chosen on only {rows} held-out rows, where a share varies by up to "
        f"{points:.0f} points by chance. Hold out more (`holdout` in the task), or use --keep-checkpoint last."
    )


def _falls(score: Score | ModelScore) -> bool:
    """Whether the metric is better the lower it is; the Trainer was given its negative then."""
    return isinstance(score, ModelScore) and not score.higher_is_better


def _curves(
    history: list[dict[str, Any]], metric: str, stage: str, *, falls: bool = False
) -> dict[str, list[list[float]]]:
    """The logged curves by name: the loss, its terms if there are several, and the metric on held-out rows."""
    from compress.training.loop import TERM

    loss = f"{stage} loss" if stage else "loss"
    terms = sorted({key for entry in history for key in entry if key.startswith(TERM)})
    names = {"loss": loss, "eval_score": f"{metric}{ON_HELD_OUT}"}
    if len(terms) > 1:
        names |= {term: f"{loss}: {term.removeprefix(TERM)}" for term in terms}
    found = {
        name: [
            [entry["step"], round(-entry[key] if falls and key == "eval_score" else float(entry[key]), 5)]
            for entry in history
            if key in entry and math.isfinite(entry[key])  # an epoch whose score does not exist is no point of a curve
        ]
        for key, name in names.items()
    }
    return {name: points for name, points in found.items() if points}


def wants_bf16(precision: str) -> bool:
    """Whether to train under bf16 autocast: where asked for, or by itself where the processor has bf16 products."""
    import torch

    if precision != "auto":
        return precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    # Elsewhere oneDNN emulates bf16, slower than fp32.
    features = torch.cpu.get_capabilities()
    return bool(features.get("avx512_bf16") or features.get("amx_bf16"))
