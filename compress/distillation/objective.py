"""The student's training objective: its distance from teachers and labels, and from the teacher's hidden layers."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from compress.core.labels import inputs_of
from compress.distillation import laws, losses
from compress.distillation.features import PARTS, capture
from compress.distillation.loss_config import Feature, LayerLoss, LossConfig
from compress.distillation.projections import EMBEDDING, projected, projections
from compress.distillation.token_distributions import PREFIX, in_batch, whole
from compress.models import forward
from compress.models.families.layer_widths import head_size
from compress.models.kinds import kind_of_model
from compress.models.widths import widths
from compress.tasks.kinds.answers import Answers

TERMS: Mapping[Feature, str] = {
    "hidden": "hidden states",
    "attention": "attention",
    "relations": "relations",
    "embedding": "embeddings",
}
"""What each layer loss is called in curves."""
OUTPUT = "teacher.output."
"""What the batch's names of the teachers' outputs begin with, each [batch, teachers, ...], or [batch, tokens, teachers, ...]."""
FEATURE = "teacher."
"""What the batch's names of the teacher's features begin with."""
PROJECTIONS = "distillation_projections"
Batch = Mapping[str, Any]
Terms = dict[str, Tensor]
Sample = Callable[[Any, Batch, int], dict[str, Any]]
"""(student, batch, seed) -> the batch with what the student itself generates as labels."""
LayerLosses = Callable[[Batch, float, Terms], Iterator[Tensor]]
"""(batch, progress, terms) -> the layer losses of the forward pass before it, each times its weight; adds their terms."""


@contextmanager
def objective_of(
    student: Any,
    config: LossConfig,
    teacher_config: Any = None,
    *,
    seed: int,
    online_teacher: Any = None,
    bf16: bool = False,
    sample: Sample | None = None,
) -> Iterator[Callable[[Any, Batch, float], tuple[Tensor, Terms]]]:
    """The objective of a student; inside the context its learned projections are part of it.

    `alpha * T^2 * D(teacher || student) + (1 - alpha) * the loss with the labels`, and the layer losses. On the student's own
    samples, which no gradient flows into, the divergence alone: Agarwal et al. 2024, "On-Policy Distillation of Language
    Models", algorithm 1. Which batches are sampled, and what is, depends on the seed, the progress and the batch alone, so a
    resumed run repeats it.

    Args:
        student: the bare model; the objective may be called with a wrapper of it.
        teacher_config: of the teacher whose layers are matched; None where none are.
        seed: for the projections, which are there where the widths differ, and for samples.
        online_teacher: a model to ask at each step (online) for what batches do not bring: features, or next tokens.
        bf16: whether the online teacher runs under autocast.
        sample: what samples from the student; None where `on_policy` is 0.

    Yields:
        (model, batch, progress) -> (loss, its terms by name); see `compress.training.objectives.Objective`.
    """

    @contextmanager
    def asking(batch: Batch) -> Iterator[Any]:
        device = batch["input_ids"].device
        online_teacher.to(device)
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            yield online_teacher

    def next_tokens(found: Answers, batch: Batch, temperature: float) -> Tensor:
        if f"{PREFIX}ids" in batch:
            theirs = in_batch(batch, shifted=not student.config.is_encoder_decoder)
        else:
            with asking(batch) as teacher:
                theirs = whole(forward.answers(teacher, batch).values, temperature)
        return laws.next_tokens(found, theirs, temperature, config.divergence, config.beta)

    def soft_targets(found: Answers, batch: Batch, temperature: float) -> Tensor:
        kind, teachers = kind_of_model(student), range(len(config.teacher_weights))
        given = {one.name: (batch[f"{OUTPUT}{one.name}"], 1 if one.of == "row" else 2) for one in kind.outputs}
        each = ({name: value.select(axis, one) for name, (value, axis) in given.items()} for one in teachers)
        theirs = torch.stack([kind.answers(one, batch).values for one in each], dim=1)
        return laws.soft(config.law, found, theirs, config.teacher_weights, temperature)

    def of_answers(found: Answers, batch: Batch, progress: float, terms: Terms, *, is_sampled: bool) -> Tensor:
        alpha = 1.0 if is_sampled else config.alpha.at(progress)
        # Terms are averaged over batches and gathered from processes, so each batch has the same ones: own samples lack labels.
        if config.on_policy:
            terms["share of own samples"] = torch.tensor(float(is_sampled), device=found.values.device)
        # Over a vocabulary the loss with the labels costs as much as the other one: it is not computed to be shown alone.
        is_shown = not config.law.of_vocabulary or config.alpha.lowest < 1
        hard = laws.hard(config.law, found) if is_shown and not is_sampled else None
        if hard is not None and not config.on_policy:
            terms["labels"] = hard
        if hard is not None and alpha == 0:
            return hard
        soft_of = next_tokens if config.law.of_vocabulary else soft_targets
        soft = soft_of(found, batch, config.temperature.at(progress))
        if not config.on_policy or config.alpha.lowest > 0:
            terms["soft targets"] = soft
        return soft if hard is None else laws.weighted(soft, hard, alpha)

    with _layers(student, config, teacher_config, seed, online_teacher, asking) as of_layers:

        def objective(trained: Any, batch: Batch, progress: float) -> tuple[Tensor, Terms]:
            is_sampled = False
            if sample is not None:
                chance, of_sample = _draws(seed, progress, batch)
                is_sampled = chance < config.on_policy
                batch = sample(student, batch, of_sample) if is_sampled else batch
            found = forward.answers(trained, _without_teacher(batch), inside=student, states=True)
            terms: Terms = {}
            if config.predictions:
                loss = of_answers(found, batch, progress, terms, is_sampled=is_sampled)
            else:
                # Data-parallel training wants a gradient for every weight: without predictions the head's is 0, not none.
                loss = 0.0 * found.values.float().sum()
            return sum(of_layers(batch, progress, terms), loss), terms

        yield objective


@contextmanager
def _layers(
    student: Any,
    config: LossConfig,
    teacher_config: Any,
    seed: int,
    online_teacher: Any,
    asking: Callable[[Batch], Any],
) -> Iterator[LayerLosses]:
    """The layer losses; while this lasts features are captured, and the student has its projections."""
    if not config.layer_losses:
        yield lambda batch, progress, terms: iter(())
        return
    pairs = [pair for one in config.layer_losses if one.kind == "hidden" for pair in one.pairs]
    wanted = config.features("student")
    maps = projections(
        pairs, widths(student.config).hidden, widths(teacher_config).hidden, seed, embedding=wanted.embedding
    )
    sizes = (head_size(student.config), head_size(teacher_config))
    if len(maps):
        setattr(student, PROJECTIONS, maps.to(next(student.parameters()).device))
    live: Any = nullcontext() if online_teacher is None else capture(online_teacher, config.features("teacher"))
    try:
        with capture(student, wanted) as own, live as of_live:

            def losses_of(batch: Batch, progress: float, terms: Terms) -> Iterator[Tensor]:
                theirs = of_live
                if online_teacher is None:
                    theirs = {name.removeprefix(FEATURE): batch[name] for name in batch if name.startswith(FEATURE)}
                else:
                    with asking(batch) as teacher:
                        teacher(**inputs_of(_without_teacher(batch)))
                for one in config.layer_losses:
                    value = _matched(one, own, theirs, batch["attention_mask"], maps, sizes)
                    terms[TERMS[one.kind]] = value
                    # Also where the weight is 0 for a while: data-parallel training wants each step's gradients.
                    yield one.weight.at(progress) * value

            yield losses_of
    finally:
        if len(maps):
            delattr(student, PROJECTIONS)


def _without_teacher(batch: Batch) -> dict[str, Any]:
    """A batch without the teachers' values."""
    return {name: value for name, value in batch.items() if not name.startswith(FEATURE)}


def _matched(
    one: LayerLoss,
    own: Mapping[str, Tensor],
    theirs: Mapping[str, Tensor],
    mask: Tensor,
    maps: nn.ModuleDict,
    head_sizes: tuple[int, int],
) -> Tensor:
    """One layer loss, the sum over its pairs of layers."""
    if one.kind == "embedding":
        return losses.hidden_mse(projected(maps, EMBEDDING, own["embedding"]), theirs["embedding"], mask)
    found = []
    for mine, its in one.pairs:
        if one.kind == "hidden":
            value = projected(maps, f"{mine}:{its}", own[f"hidden.{mine}"])
            found.append(HIDDEN[one.loss](value, theirs[f"hidden.{its}"], mask))
        elif one.kind == "attention":
            mine_of, its_of = (
                # By the size of a head: a pruned model's layers have fewer of them than its config says.
                losses.attention_scores(
                    side[f"query.{layer}"], side[f"key.{layer}"], side[f"query.{layer}"].shape[-1] // size
                )
                for side, layer, size in ((own, mine, head_sizes[0]), (theirs, its, head_sizes[1]))
            )
            found.append(ATTENTION[one.loss](mine_of, its_of, mask))
        else:
            relations = [
                losses.relation_kl(own[f"{part}.{mine}"], theirs[f"{part}.{its}"], mask, one.heads) for part in PARTS
            ]
            found.append(torch.stack(relations).mean())  # MiniLMv2, equation 4: a third each
    return torch.stack(found).sum()


HIDDEN = {"mse": losses.hidden_mse, "cosine": losses.hidden_cosine, "patient": losses.patient}
ATTENTION = {"mse": losses.attention_mse, "kl": losses.attention_kl}


def _draws(seed: int, progress: float, batch: Mapping[str, Any]) -> tuple[float, int]:
    """A number from 0 to 1 and a seed, reproducible in a resumed run."""
    ids = batch["input_ids"].cpu().numpy().tobytes()
    value = hashlib.blake2b(struct.pack("<qd", seed, progress) + ids, digest_size=16).digest()
    return int.from_bytes(value[:8], "little") / 2**64, int.from_bytes(value[8:15], "little")
