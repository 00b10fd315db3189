"""The running training loop: a `Trainer` with this project's objective, order of rows, checks and progress bar."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_utils import EvalPrediction

from compress.core.errors import CompressError
from compress.core.labels import NO_LABEL, inputs_of
from compress.core.progress import Bar, bar, say
from compress.core.stopping import listen
from compress.data.collate import Collate, Extra, collate, epoch_order, step_lengths
from compress.metrics.metric import Undefined
from compress.training.checkpoints import finish, unfinish, whole_checkpoints
from compress.training.objectives import Hold, ModelScore, Objective, Penalty, Score, Scored

TERM = "term: "
"""What the names of a loss's terms begin with in the Trainer's log."""
SAVE_SECONDS = 60.0
"""A checkpoint as often as this, so that a killed run loses little."""
SAVE_COST = 1.2
"""Seconds that a checkpoint may take for it; one that takes longer is written as much less often: for a fiftieth of the time."""
NO_DECAY = "no_weight_decay"
"""A parameter with this attribute, true, gets no weight decay."""
NOT_SCORED = -math.inf
"""What the Trainer compares of an epoch whose score does not exist: no other is worse."""
RATE_FACTOR = "learning_rate_factor"
"""A parameter with this attribute is trained at this multiple of the learning rate."""


def trainer(
    model: Any,
    arguments: TrainingArguments,
    objective: Objective,
    rows: Any,
    holdout: Any,
    *,
    its_tokenizer: Any,
    score: Score | ModelScore,
    name: str,
    extras: Mapping[str, Extra],
    hold: Hold | None = None,
    its_collate: Collate = collate,
    together: Callable[[Mapping[str, Any]], Hashable] | None = None,
) -> Loop:
    """A loop that is ready for `train()`; call its `watch.close()` afterwards, whatever happened.

    Args: as of `compress.training.train.train`.
    """
    loop = Loop(
        objective,
        score,
        name,
        hold,
        model=model,
        args=arguments,
        train_dataset=Placed(rows) if together is None else Grouped(rows, together),
        eval_dataset=holdout,
        data_collator=lambda features: its_collate(rows_of(features), its_tokenizer, extras),
    )
    loop.remove_callback(PrinterCallback)
    loop.add_callback(loop.watch)
    if hold:
        loop.add_callback(Holding(hold))
    return loop


class Loop(Trainer):
    """The Trainer, with this project's objective and checks."""

    metric_name = "score"
    unscored = ""
    """Why the last evaluation has no score, where it has none."""
    control: TrainerControl
    interrupted: int | None = None
    """The signal that asked to stop."""
    resumed_from: int | None = None

    def __init__(
        self, objective: Objective, score: Score | ModelScore, name: str, hold: Hold | None, **named: Any
    ) -> None:
        super().__init__(compute_metrics=self._measure, **named)
        self.to_minimize, self.score, self.name, self.hold = objective, score, name, hold
        self.watch = Watch(self)
        self.one_class: dict[int, int] = {}
        """Steps after which the model gave all held-out rows one class, though they have several, and which."""
        self.terms: dict[str, Any] = {}
        self.batches = 0
        # Our objective is a mean over its batch, so the Trainer must divide it by the batches it accumulates.
        self.model_accepts_loss_kwargs = False

    @property
    def progress(self) -> float:
        """The share of completed steps, from 0 to 1."""
        return float(self.state.global_step / max(self.state.max_steps, 1))

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        # The rows of one step over all processes, so that they see what one process with as large a batch would see.
        args = self.args
        step_rows = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
        return Order(self.train_dataset.lengths(), step_rows, args.seed)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        if return_outputs:  # evaluation on held-out rows: only the logits count
            outputs = model(**inputs_of(inputs))
            return torch.zeros((), device=outputs.logits.device), {"loss": None, "logits": outputs.logits}
        loss, terms = self.to_minimize(model, inputs, self.progress)
        if isinstance(self.hold, Penalty):
            penalty = self.hold.loss(self.progress)
            loss, terms = loss + penalty, {**terms, "penalty": penalty}
        self.batches += 1
        for term, value in terms.items():
            self.terms[term] = self.terms.get(term, 0) + value.detach()
        if not torch.isfinite(loss):
            kept = next(iter(whole_checkpoints(Path(self.args.output_dir))), None)
            where = f"The last good checkpoint is {kept}." if kept else "No checkpoint was saved before."
            raise CompressError(
                f"The loss of '{self.name}' is {loss.item()} at step {self.state.global_step + 1}, so training stopped. "
                f"{where} Lower the learning rate ({self.args.learning_rate:g}) or use --precision fp32."
            )
        return loss

    def get_decay_parameter_names(self, model: Any) -> list[str]:
        """All but biases, norms, and parameters that are tagged."""
        tagged = {name for name, value in model.named_parameters() if getattr(value, NO_DECAY, False)}
        return [name for name in super().get_decay_parameter_names(model) if name not in tagged]

    def create_optimizer(self, model: Any = None) -> Any:
        is_new = self.optimizer is None
        optimizer = super().create_optimizer(model)
        if is_new:
            _rates_of_their_own_(optimizer)
        return optimizer

    def _save_checkpoint(self, *given: Any, **named: Any) -> None:
        began = time.monotonic()
        checkpoint = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        if self.args.should_save:
            unfinish(checkpoint)
        super()._save_checkpoint(*given, **named)
        self.accelerator.wait_for_everyone()  # each process writes its random state
        if self.args.should_save:
            finish(checkpoint)
        self.watch.pause = SAVE_SECONDS * max(1.0, (time.monotonic() - began) / SAVE_COST)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs and self.batches:
            means = {term: self.accelerator.gather(value / self.batches).mean() for term, value in self.terms.items()}
            logs |= {f"{TERM}{term}": float(mean) for term, mean in means.items()}
            self.terms, self.batches = {}, 0
        super().log(logs, start_time)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        if not isinstance(self.score, ModelScore):
            return dict(super().evaluate(eval_dataset, ignore_keys, metric_key_prefix))
        model = self.accelerator.unwrap_model(self.model)
        was_training = model.training
        if self.watch.opened is not None:
            self.watch.running.advance(0, f"scoring {self.score.rows:,} held-out rows")
        model.eval()
        try:
            with torch.no_grad(), self.accelerator.autocast():
                found = self.score.of(model)
        finally:
            model.train(was_training)
        metrics = {f"{metric_key_prefix}_score": self._comparable(found, self.score.higher_is_better)}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _measure(self, prediction: EvalPrediction) -> dict[str, float]:
        assert not isinstance(self.score, ModelScore)
        logits = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
        labels, starts = prediction.label_ids, None
        if logits.ndim == 3:  # one answer a word: [rows, tokens, outputs]
            answered = labels != NO_LABEL
            logits, labels, starts = logits[answered], labels[answered], np.r_[0, np.cumsum(answered.sum(1))]
        if labels.ndim == 1 and logits.ndim == 2 and logits.shape[1] > 1:
            classes = np.unique(logits.argmax(axis=1))
            if len(classes) == 1 < len(np.unique(labels)):
                self.one_class[self.state.global_step] = int(classes[0])
        return {"score": self._comparable(self.score(logits, labels, starts))}

    def _comparable(self, found: Scored, higher_is_better: bool = True) -> float:
        """The score by which the Trainer chooses the best epoch: higher is better."""
        self.metric_name, value = found
        self.unscored = str(value) if isinstance(value, Undefined) else ""
        if isinstance(value, Undefined):
            return NOT_SCORED
        return value if higher_is_better else -value


def _rates_of_their_own_(optimizer: torch.optim.Optimizer) -> None:
    """Tagged parameters leave their groups for new ones behind all others; without a tag nothing changes, so that a
    checkpoint from before there were tags fits. The schedule multiplies each group's own rate."""
    for group in list(optimizer.param_groups):
        by_factor: dict[float, list[Any]] = {}
        for parameter in group["params"]:
            by_factor.setdefault(float(getattr(parameter, RATE_FACTOR, 1.0)), []).append(parameter)
        group["params"] = by_factor.pop(1.0, [])
        for factor, parameters in by_factor.items():
            optimizer.add_param_group({**group, "params": parameters, "lr": factor * group["lr"]})


class Order(torch.utils.data.Sampler):
    """Each epoch's order of rows, which depends on the seed and the epoch only."""

    epoch = 0

    def __init__(self, lengths: np.ndarray, step_rows: int, seed: int) -> None:
        self.lengths, self.step_rows, self.seed = lengths, step_rows, seed

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(epoch_order(self.lengths, self.step_rows, self.seed, self.epoch).tolist())


class Placed(torch.utils.data.Dataset):
    """Rows with their indices, so that extra values are found without copying."""

    def __init__(self, plain: Any) -> None:
        self.plain = plain

    def __len__(self) -> int:
        return len(self.plain)

    def lengths(self) -> np.ndarray:
        """What each takes of a step, [rows]."""
        return step_lengths(self.plain)

    def __getitem__(self, place: int) -> dict[str, Any]:
        return {"place": place, **self.plain[place]}  # rows that were chosen among others bring the places they had

    def __getitems__(self, places: list[int]) -> list[dict[str, Any]]:
        columns = self.plain[places]
        return [
            {"place": place, **{key: values[i] for key, values in columns.items()}} for i, place in enumerate(places)
        ]


class Grouped(torch.utils.data.Dataset):
    """Rows that stand in one batch together, as one: a query's candidates. A batch size counts them."""

    def __init__(self, plain: Any, together: Callable[[Mapping[str, Any]], Hashable]) -> None:
        self.placed = Placed(plain)
        places: dict[Hashable, list[int]] = {}
        for place, row in enumerate(plain):
            places.setdefault(together(row), []).append(place)
        self.places = list(places.values())

    def __len__(self) -> int:
        return len(self.places)

    def lengths(self) -> np.ndarray:
        """What each takes of a step, [groups]."""
        of_rows = self.placed.lengths()
        return np.array([of_rows[some].sum() for some in self.places])

    def __getitem__(self, number: int) -> list[dict[str, Any]]:
        return self.placed.__getitems__(self.places[number])


def rows_of(features: list[Any]) -> list[Mapping[str, Any]]:
    """The rows of a batch, whose features may be several of them each."""
    return [row for one in features for row in (one if isinstance(one, list) else [one])]


class Watch(TrainerCallback):
    """Shows progress, saves checkpoints, and on Ctrl-C and the like saves one and stops."""

    running: Bar
    opened: Any = None
    saved = 0.0
    pause = 0.0
    """Seconds from one checkpoint to the next within an epoch."""
    loss = ""
    scored = 0
    """Batches of held-out rows that were scored in this evaluation."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.restore: Callable[[], None] = _nothing

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.loop.resumed_from = state.global_step or None
        if args.load_best_model_at_end and state.best_global_step:
            # As the checkpoint told it, its path may be one of before the folder was moved, and was dropped then.
            state.best_model_checkpoint = str(Path(args.output_dir) / f"checkpoint-{state.best_global_step}")
        self.saved, self.pause = time.monotonic(), SAVE_SECONDS
        self.opened = bar(f"{self.loop.name}: training", state.max_steps, state.global_step)
        self.running = self.opened.__enter__()
        self.restore = listen(self._stop)

    def _stop(self, number: int) -> None:
        self.loop.interrupted = number
        say(f"{self.loop.name}: stopping after this step; the same command continues.")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        self.running.advance(1, self.loss)
        if self.loop.interrupted:
            control.should_training_stop = control.should_save = True
        elif args.world_size == 1 and time.monotonic() - self.saved > self.pause:
            # Processes side by side could not agree on the time: they save after each epoch only.
            control.should_save = True
        return control

    def on_prediction_step(self, args: Any, state: Any, control: Any, eval_dataloader: Any = None, **_: Any) -> None:
        if self.opened is None:
            return
        self.scored += 1
        rows = len(self.loop.eval_dataset)
        done = min(rows, self.scored * args.per_device_eval_batch_size * args.world_size)
        self.running.advance(0, f"scoring held-out rows: {done:,} of {rows:,}")

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        unfinished = self.loop.hold is not None and not self.loop.hold.is_done(self.loop.progress)
        if self.loop.interrupted or unfinished:  # an epoch cut short is no candidate for the best one
            control.should_evaluate = False
        return control

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.saved = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.loss = f"loss {logs['loss']:.3f}"

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
        self.scored = 0
        if metrics and "eval_score" in metrics:
            epoch, metric, value = f"epoch {state.epoch:.2g}", self.loop.metric_name, metrics["eval_score"]
            score, rows = self.loop.score, len(self.loop.eval_dataset)
            if isinstance(score, ModelScore):
                value, rows = value if score.higher_is_better else -value, score.rows
            if self.loop.unscored:
                say(f"{self.loop.name}: {epoch}: {metric} does not exist on {rows} held-out rows: {self.loop.unscored}")
            else:
                say(f"{self.loop.name}: {epoch}: {metric} {value:.4f} on {rows} held-out rows.")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Restores signals and the screen."""
        self.restore()
        self.restore = _nothing
        if self.opened is not None:
            with suppress(OSError):  # the terminal is gone, which SIGHUP may have told us
                self.opened.__exit__(None, None, None)
            self.opened = None


def _nothing() -> None:
    """Does nothing: there is nothing to restore."""


class Holding(TrainerCallback):
    """Calls a hold at the start and after each step."""

    def __init__(self, hold: Hold) -> None:
        self.hold = hold

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.hold.start()

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.hold.after_step((state.global_step + 1) / max(state.max_steps, 1))  # counted up only afterwards
