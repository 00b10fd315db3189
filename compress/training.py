"""The one training loop, on Hugging Face's `Trainer`: fine-tuning and distillation differ only in their objective."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import Field

from compress.artifact import is_main_process
from compress.batching import Extra, collate, epoch_order, row_lengths
from compress.errors import NO_SPACE, CompressError
from compress.models import quiet
from compress.progress import Bar, bar, say
from compress.settings import Settings

TERM = "term: "
"""What the names of a loss's terms begin with in the Trainer's log."""
SAVE_SECONDS = 60.0
"""A checkpoint at least this often, so that a killed run loses little."""


class TrainingSettings(Settings):
    """How a model is trained; shared by all techniques that train."""

    epochs: float = Field(3.0, gt=0, le=1000, description="Passes over the training split.")
    batch_size: int = Field(32, ge=1, description="Examples in a step, on each process.")
    learning_rate: float = Field(5e-5, gt=0, lt=1, description="The highest learning rate.")
    warmup: float = Field(0.06, ge=0, lt=1, description="Share of the steps in which the learning rate rises.")
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = Field(
        "linear", description="How the learning rate falls afterwards."
    )
    weight_decay: float = Field(0.01, ge=0, lt=1, description="AdamW's weight decay.")
    accumulate: int = Field(1, ge=1, description="Steps whose gradients are added up before the weights change.")
    max_length: int = Field(
        128, ge=4, description="Tokens after which a text is cut; the count of cut rows is reported."
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="bf16 trains under autocast; auto takes it where the processor has it."
    )
    keep_epoch: Literal["best", "last"] = Field(
        "best",
        description="Which epoch's weights are kept: the best on rows held out of the training split, or the last.",
    )
    seed: int = Field(0, ge=0, description="Decides the order of the rows, dropout, and weights that start anew.")


Objective = Callable[[Any, Mapping[str, Any], float], tuple[Any, Mapping[str, Any]]]
"""(model, batch, progress) -> (loss, its terms by name). The batch has the model's inputs, `labels`, and the extras by
name; progress is the share of the steps that lie behind, from 0 to 1. Each term's mean is kept as a curve."""


class Hold(Protocol):
    """What keeps a model's weights as they must be while it is trained: masks at zero, for example."""

    def start(self) -> None:
        """Once the weights are those that training begins with or goes on from, before the first step."""

    def after_step(self, progress: float) -> None:
        """After each step of the optimizer; `progress` is the share of all steps that are done, above 0, to 1."""

    def is_done(self, progress: float) -> bool:
        """Whether the weights are by now what was asked for: only then is an epoch one to keep."""


@runtime_checkable
class Penalty(Protocol):
    """A hold that has a part in the loss."""

    def loss(self, progress: float) -> Any:
        """What is added to the loss, a scalar."""


@dataclass(frozen=True)
class Trained:
    """What a training run leaves behind, besides the model's weights."""

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
    score: Callable[[np.ndarray, np.ndarray], tuple[str, float]],
    name: str,
    extras: Mapping[str, Extra] | None = None,
    steps: int | None = None,
    stage: str = "",
    hold: Hold | None = None,
) -> Trained:
    """Train a model in place; goes on from the last checkpoint in `scratch` where there is one.

    Args:
        rows: tokenized training rows (`input_ids`, ..., `label`).
        holdout: tokenized rows kept out of training: the best epoch is chosen on them.
        score: (logits, labels) -> the name and value of the metric that decides; higher is better.
        name: the step's name, for messages.
        extras: what else there is of each training row (the teacher's answers), given to the objective by name.
        steps: how many steps, whatever the epochs say.
        stage: the name of a stage that is no whole training (its head may be untrained): nothing is evaluated, the
            last weights are kept, and its curves are named by it.
        hold: called before the first step and after each one, before a checkpoint is written.

    Raises:
        CompressError: the loss is not finite any more; the last good checkpoint stays in `scratch`.
        KeyboardInterrupt: after Ctrl-C, once a checkpoint is saved.
    """
    import torch
    from transformers import TrainingArguments

    bf16 = wants_bf16(settings.precision)
    checkpoints = scratch / "checkpoints"
    evaluates = not stage
    total = steps or int(len(rows) * settings.epochs / (settings.batch_size * settings.accumulate))
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=settings.epochs,
        max_steps=steps or -1,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=64,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,  # below 1 it is a share of all steps
        weight_decay=settings.weight_decay,
        gradient_accumulation_steps=settings.accumulate,
        bf16=bf16,
        optim="adamw_torch_fused",
        seed=settings.seed,
        eval_strategy="epoch" if evaluates else "no",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=evaluates and settings.keep_epoch == "best",
        metric_for_best_model="score",
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
    trainer = _trainer(
        model, arguments, objective, rows, holdout, its_tokenizer, score, name, settings, extras or {}, hold
    )
    if hold:
        trainer.add_callback(_holding(hold))
    before = _last_checkpoint(checkpoints)
    if before:
        say(f"{name}: goes on from step {before.name.removeprefix('checkpoint-')}.")
    started = time.perf_counter()
    try:
        with quiet(), _disk_errors(checkpoints):
            trainer.train(resume_from_checkpoint=str(before) if before else None)
    finally:
        trainer.watch.close()  # whatever happened, Ctrl-C and the screen are as they were
    if trainer.interrupted:
        raise KeyboardInterrupt
    model.eval()
    return Trained(
        {
            "training_steps": trainer.state.global_step,
            "training_rows": len(rows),
            "holdout_rows": len(holdout),
            "training_seconds": round(time.perf_counter() - started, 1),
            "resumed_from_step": trainer.resumed_from,
            "autocast": "bf16" if bf16 else "none",
            "curves": _curves(trainer.state.log_history, trainer.metric_name, stage),
            "kept": settings.keep_epoch if evaluates else "last",
        }
    )


def _curves(history: list[dict[str, Any]], metric: str, stage: str) -> dict[str, list[list[float]]]:
    """What was logged, by name: the loss, each of its terms where there are several, and the metric on held-out rows."""
    loss = f"{stage} loss" if stage else "loss"
    terms = sorted({key for entry in history for key in entry if key.startswith(TERM)})
    names = {"loss": loss, "eval_score": f"{metric} on held-out rows"}
    if len(terms) > 1:
        names |= {term: f"{loss}: {term.removeprefix(TERM)}" for term in terms}
    found = {
        name: [[entry["step"], round(float(entry[key]), 5)] for entry in history if key in entry]
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


def _trainer(
    model: Any,
    arguments: Any,
    objective: Objective,
    rows: Any,
    holdout: Any,
    its_tokenizer: Any,
    score: Callable[[np.ndarray, np.ndarray], tuple[str, float]],
    name: str,
    settings: TrainingSettings,
    extras: Mapping[str, Extra],
    hold: Hold | None,
) -> Any:
    """A `Trainer` with our objective, our order of rows, our checks, and our progress bar."""
    import torch
    from transformers import Trainer, TrainerCallback
    from transformers.trainer_utils import EvalPrediction

    lengths = row_lengths(rows)
    # The rows of one step over all processes, so that they see what one process with as large a batch would see.
    step_rows = settings.batch_size * settings.accumulate * arguments.world_size

    class Order(torch.utils.data.Sampler):
        epoch = 0

        def set_epoch(self, epoch: int) -> None:
            self.epoch = epoch

        def __len__(self) -> int:
            return len(lengths)

        def __iter__(self) -> Iterator[int]:
            return iter(epoch_order(lengths, step_rows, settings.seed, self.epoch).tolist())

    class Placed(torch.utils.data.Dataset):
        """Rows that know their place, so that extras are found without being copied."""

        def __init__(self, plain: Any) -> None:
            self.plain = plain

        def __len__(self) -> int:
            return len(self.plain)

        def __getitem__(self, place: int) -> dict[str, Any]:
            return {**self.plain[place], "place": place}

        def __getitems__(self, places: list[int]) -> list[dict[str, Any]]:
            columns = self.plain[places]
            return [
                {**{key: values[i] for key, values in columns.items()}, "place": place}
                for i, place in enumerate(places)
            ]

    class Loop(Trainer):
        metric_name = "score"
        interrupted = False
        resumed_from: int | None = None

        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.terms: dict[str, Any] = {}
            self.batches = 0

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return Order()

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            if return_outputs:  # evaluation on held-out rows: only the logits count
                labels = inputs.pop("labels")
                outputs = model(**inputs)
                return torch.zeros((), device=labels.device), {"loss": None, "logits": outputs.logits}
            progress = self.state.global_step / max(self.state.max_steps, 1)
            loss, terms = objective(model, inputs, progress)
            if isinstance(hold, Penalty):
                penalty = hold.loss(progress)
                loss, terms = loss + penalty, {**terms, "penalty": penalty}
            self.batches += 1
            for term, value in terms.items():
                self.terms[term] = self.terms.get(term, 0) + value.detach()
            if not torch.isfinite(loss):
                kept = next(iter(_whole_checkpoints(Path(arguments.output_dir))), None)
                where = f"The last good checkpoint is {kept}." if kept else "No checkpoint was saved before."
                raise CompressError(
                    f"The loss of '{name}' is {loss.item()} at step {self.state.global_step + 1}, so training stopped. "
                    f"{where} Lower the learning rate ({settings.learning_rate:g}) or use --precision fp32."
                )
            return loss

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            if "loss" in logs and self.batches:
                means = {
                    term: self.accelerator.gather(value / self.batches).mean() for term, value in self.terms.items()
                }
                logs |= {f"{TERM}{term}": float(mean) for term, mean in means.items()}
                self.terms, self.batches = {}, 0
            super().log(logs, start_time)

    def measure(prediction: EvalPrediction) -> dict[str, float]:
        logits = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
        loop.metric_name, value = score(logits, prediction.label_ids)
        return {"score": value}

    class Watch(TrainerCallback):
        """Shows progress, saves now and then, and turns Ctrl-C into a checkpoint and a stop."""

        running: Bar
        opened: Any = None
        saved = 0.0
        former: Any = None
        loss = ""

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            loop.resumed_from = state.global_step or None
            self.saved = time.monotonic()
            self.opened = bar(f"{name}: training", state.max_steps, state.global_step)
            self.running = self.opened.__enter__()
            try:
                self.former = signal.signal(signal.SIGINT, self._stop)
            except ValueError:  # not the main thread, where signals cannot be caught
                self.former = None

        def _stop(self, *_: Any) -> None:
            loop.interrupted = True
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a second one stops at once
            say(f"{name}: stopping after this step; the same command goes on from there.")

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
            self.running.advance(1, self.loss)
            if loop.interrupted:
                control.should_training_stop = control.should_save = True
            elif args.world_size == 1 and time.monotonic() - self.saved > SAVE_SECONDS:
                # Processes side by side could not agree on the time: they save after each epoch only.
                control.should_save = True
            return control

        def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
            unfinished = hold is not None and not hold.is_done(state.global_step / max(state.max_steps, 1))
            if loop.interrupted or unfinished:  # an epoch cut short is no candidate for the best one
                control.should_evaluate = False
            return control

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.saved = time.monotonic()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                self.loss = f"loss {logs['loss']:.3f}"

        def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
            if metrics and "eval_score" in metrics:
                value = metrics["eval_score"]
                say(f"{name}: epoch {state.epoch:.2g}: {loop.metric_name} {value:.4f} on {len(holdout)} held-out rows.")

        def close(self) -> None:
            if self.former is not None:
                signal.signal(signal.SIGINT, self.former)
                self.former = None
            if self.opened is not None:
                self.opened.__exit__(None, None, None)
                self.opened = None

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.close()

    watch = Watch()
    loop = Loop(
        model=model,
        args=arguments,
        train_dataset=Placed(rows),
        eval_dataset=holdout,
        data_collator=lambda features: collate(features, its_tokenizer, extras),
        compute_metrics=measure,
        callbacks=[watch],
    )
    loop.remove_callback(_printer())
    # Our objective is a mean over its batch, so the Trainer must divide it by the batches it accumulates.
    loop.model_accepts_loss_kwargs = False
    loop.watch = watch
    return loop


def _holding(hold: Hold) -> Any:
    from transformers import TrainerCallback

    class Holding(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            hold.start()

        def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            hold.after_step((state.global_step + 1) / max(state.max_steps, 1))  # counted up only afterwards

    return Holding()


def _printer() -> Any:
    from transformers.trainer_callback import PrinterCallback

    return PrinterCallback


@contextmanager
def _disk_errors(checkpoints: Path) -> Iterator[None]:
    """A checkpoint that cannot be written ends in one line: its writers wrap the system's error in kinds of their own."""
    try:
        yield
    except Exception as error:
        text = str(error)
        full = isinstance(error, OSError) and error.errno in NO_SPACE
        if full or "No space left" in text or "File too large" in text or "file write failed" in text:
            reason = text.split("\n", 1)[0]
            raise CompressError(
                f"A checkpoint cannot be written to {checkpoints} ({reason}). Free some space."
            ) from error
        raise


def _whole_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints that were written whole, the newest first. With several processes each writes a random state."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda one: int(one.name.rsplit("-", 1)[1]), reverse=True)
    return [one for one in found if (one / "trainer_state.json").is_file() and any(one.glob("rng_state*.pth"))]


def _last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint; those that were cut short are removed, so that they are not taken for whole ones."""
    whole = _whole_checkpoints(folder)
    if is_main_process():
        for checkpoint in set(folder.glob("checkpoint-*")) - set(whole):
            shutil.rmtree(checkpoint, ignore_errors=True)
    return whole[0] if whole else None
