"""What a student minimises: its predictions' distance from teachers and labels, and its hidden layers' from the teacher's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from compress.core.errors import CompressError
from compress.core.labels import ANSWERED, TARGETS
from compress.distillation import laws, losses
from compress.distillation.features import Wanted, capture
from compress.distillation.layer_maps import layer_map
from compress.distillation.loss_settings import LossSettings
from compress.distillation.projections import EMBEDDING, projected, projections
from compress.distillation.schedules import Schedule
from compress.models.families.layer_widths import head_size
from compress.models.layers import layer_count
from compress.models.widths import widths
from compress.tasks.kinds.answers import marked
from compress.tasks.kinds.laws import CATEGORICAL, Law

Kind = Literal["hidden", "attention", "relations", "embedding"]
TERMS: Mapping[Kind, str] = {
    "hidden": "hidden states",
    "attention": "attention",
    "relations": "relations",
    "embedding": "embeddings",
}
"""What each term is called in curves."""
LOGITS = "teacher.logits"
"""The batch's name for the teachers' logits, [batch, teachers, labels], or [batch, tokens, teachers, labels]."""
FEATURE = "teacher."
"""What the batch's names of the teacher's features begin with."""
PROJECTIONS = "distillation_projections"
NEVER, PLAIN = Schedule.of(0.0), Schedule.of(1.0)
TEMPERATURE = Schedule.of(4.0)
"""Of classes, where no other is set."""


@dataclass(frozen=True)
class Match:
    """One intermediate loss: what of the student is to be like what of the teacher."""

    kind: Kind
    weight: Schedule
    loss: str = "mse"
    """hidden: mse, cosine or patient; attention: mse or kl."""
    pairs: tuple[tuple[int, int], ...] = ()
    """(student's layer, teacher's layer); not for embeddings. Their losses are added up, as TinyBERT and PKD do."""
    heads: int = 0
    """Relation heads."""


@dataclass(frozen=True)
class Goal:
    """All that a student minimises in a stage of its training."""

    matches: tuple[Match, ...] = ()
    predictions: bool = True
    """Whether the predictions count; in a first stage the hidden layers alone may."""
    law: Law = CATEGORICAL
    alpha: Schedule = NEVER
    temperature: Schedule = PLAIN
    teacher_weights: tuple[float, ...] = (1.0,)

    def wanted(self, side: Literal["student", "teacher"]) -> Wanted:
        """The features that the matches read on one side."""
        place = 0 if side == "student" else 1
        layers: dict[str, tuple[int, ...]] = {
            kind: tuple(sorted({pair[place] for match in self.matches if match.kind == kind for pair in match.pairs}))
            for kind in ("hidden", "attention", "relations")
        }
        return Wanted(**layers, embedding=any(match.kind == "embedding" for match in self.matches))


def goals(
    settings: LossSettings, student: Any, teacher: Any, law: Law, teacher_weights: tuple[float, ...] = (1.0,)
) -> tuple[Goal, ...]:
    """What a student minimises in each stage of its training.

    Args:
        student: its config.
        teacher: its config.
        law: of the task's answers.
        teacher_weights: one a teacher.

    Raises:
        CompressError: a layer map does not fit the models, or the relation heads do not fit their widths.
    """
    layers = layer_count(student), layer_count(teacher)
    found = []
    weighted: tuple[tuple[Kind, Schedule, str], ...] = (
        ("hidden", settings.hidden_weight, settings.hidden_loss),
        ("attention", settings.attention_weight, settings.attention_loss),
        ("relations", settings.relation_weight, "kl"),
        ("embedding", settings.embedding_weight, "mse"),
    )
    for kind, weight, loss in weighted:
        if weight.highest == 0:
            continue
        names = {"hidden": settings.layer_map, "attention": settings.layer_map, "relations": settings.relation_map}
        pairs = layer_map(names[kind], *layers) if kind in names else ()
        ours, theirs = widths(student), widths(teacher)
        heads = settings.relation_heads or ours.heads
        if kind == "relations" and (ours.hidden % heads or theirs.hidden % heads):
            raise CompressError(
                f"{heads} relation heads do not divide both the student's width, {ours.hidden}, and the teacher's, "
                f"{theirs.hidden}. Set relation_heads to a divisor of {math.gcd(ours.hidden, theirs.hidden)}."
            )
        found.append(Match(kind, weight, loss, pairs, heads))
    predictions = Goal((), True, law, settings.alpha, settings.temperature or TEMPERATURE, teacher_weights)
    matches = tuple(found)
    if settings.intermediate_epochs:
        return Goal(matches, predictions=False), predictions
    return (replace(predictions, matches=matches),)


@contextmanager
def learning(
    student: Any, goal: Goal, teacher_config: Any, *, seed: int, live_teacher: Any = None, bf16: bool = False
) -> Iterator[Callable[[Any, Mapping[str, Any], float], tuple[Tensor, dict[str, Tensor]]]]:
    """The objective for a student, whose learned projections belong to it while this lasts.

    Args:
        student: the bare classifier; the objective may be called with a wrapper of it.
        teacher_config: of the teacher whose features are matched.
        seed: for the projections, which are there where the widths differ.
        live_teacher: a model to ask for the features at each step, where the batches do not bring them.
        bf16: whether the live teacher runs under autocast.

    Yields:
        (model, batch, progress) -> (loss, its terms by name); see `compress.training.objectives.Objective`.
    """
    pairs = [pair for match in goal.matches if match.kind == "hidden" for pair in match.pairs]
    wanted = goal.wanted("student")
    maps = projections(
        pairs, widths(student.config).hidden, widths(teacher_config).hidden, seed, embedding=wanted.embedding
    )
    if len(maps):
        setattr(student, PROJECTIONS, maps.to(next(student.parameters()).device))
    with ExitStack() as stack:
        own = stack.enter_context(capture(student, wanted))
        theirs: Mapping[str, Tensor] = {}
        if live_teacher is not None:
            theirs = stack.enter_context(capture(live_teacher, goal.wanted("teacher")))

        def objective(trained: Any, batch: Mapping[str, Any], progress: float) -> tuple[Tensor, dict[str, Tensor]]:
            inputs = {
                name: value for name, value in batch.items() if name not in TARGETS and not name.startswith(FEATURE)
            }
            logits = trained(**inputs).logits
            terms: dict[str, Tensor] = {}
            # Data-parallel training wants a gradient for every weight: without predictions the head's is 0, not none.
            nothing = 0.0 * logits.float().sum()
            parts = [_prediction(goal, logits, batch, progress, terms) if goal.predictions else nothing]
            if goal.matches:
                if live_teacher is not None:
                    live_teacher.to(logits.device)
                    with torch.no_grad(), torch.autocast(logits.device.type, torch.bfloat16, enabled=bf16):
                        live_teacher(**inputs)
                    taught = theirs
                else:
                    taught = {name.removeprefix(FEATURE): batch[name] for name in batch if name.startswith(FEATURE)}
                sizes = (head_size(student.config), head_size(teacher_config))
                for match in goal.matches:
                    value = _matched(match, own, taught, batch["attention_mask"], maps, sizes)
                    terms[TERMS[match.kind]] = value
                    # Also where the weight is 0 for a while: data-parallel training wants each step's gradients.
                    parts.append(match.weight.at(progress) * value)
            return sum(parts[1:], parts[0]), terms

        try:
            yield objective
        finally:
            if len(maps):
                delattr(student, PROJECTIONS)


def _prediction(
    goal: Goal, logits: Tensor, batch: Mapping[str, Any], progress: float, terms: dict[str, Tensor]
) -> Tensor:
    alpha = goal.alpha.at(progress)
    answered = batch.get(ANSWERED)
    found = marked({"logits": logits}, batch)
    hard = laws.hard(goal.law, found)
    terms["labels"] = hard
    if alpha == 0:
        return hard
    taught = batch[LOGITS] if answered is None else batch[LOGITS][answered.bool()]
    soft = laws.soft(goal.law, found, taught, goal.teacher_weights, goal.temperature.at(progress))
    terms["soft targets"] = soft
    return losses.weighted(soft, hard, alpha)


def _matched(
    match: Match,
    own: Mapping[str, Tensor],
    taught: Mapping[str, Tensor],
    mask: Tensor,
    maps: nn.ModuleDict,
    head_sizes: tuple[int, int],
) -> Tensor:
    """One match's loss, the sum over its pairs of layers."""
    if match.kind == "embedding":
        return losses.hidden_mse(projected(maps, EMBEDDING, own["embedding"]), taught["embedding"], mask)
    found = []
    for mine, its in match.pairs:
        if match.kind == "hidden":
            value = projected(maps, f"{mine}:{its}", own[f"hidden.{mine}"])
            found.append(HIDDEN[match.loss](value, taught[f"hidden.{its}"], mask))
        elif match.kind == "attention":
            ours, theirs = (
                # By the size of a head: a pruned model's layers have fewer of them than its config says.
                losses.attention_scores(
                    side[f"query.{layer}"], side[f"key.{layer}"], side[f"query.{layer}"].shape[-1] // size
                )
                for side, layer, size in ((own, mine, head_sizes[0]), (taught, its, head_sizes[1]))
            )
            found.append(ATTENTION[match.loss](ours, theirs, mask))
        else:
            relations = [
                losses.relation_kl(own[f"{one}.{mine}"], taught[f"{one}.{its}"], mask, match.heads)
                for one in ("query", "key", "value")
            ]
            found.append(torch.stack(relations).mean())  # MiniLMv2, equation 4: a third each
    return torch.stack(found).sum()


HIDDEN = {"mse": losses.hidden_mse, "cosine": losses.hidden_cosine, "patient": losses.patient}
ATTENTION = {"mse": losses.attention_mse, "kl": losses.attention_kl}
