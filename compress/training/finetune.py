"""Fine-tunes a generative model: its initialization (a checkpoint, an encoder, a config), and one or two stages of training.

A summarizer made out of an encoder learns best in two: the decoder alone first, while the encoder stands still, then all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.progress import say
from compress.data import prompt_templates
from compress.models import encoder_to_seq2seq as summarizers
from compress.models import generators
from compress.models import load as models
from compress.tasks.task import DescribedTask, Task
from compress.training import frozen_encoder
from compress.training.data import data_for
from compress.training.finetune_settings import Finetune
from compress.training.objectives import reference_tokens
from compress.training.train import train

Begun = Literal["config", "encoder", "encoder-decoder", "decoder"]


@dataclass(frozen=True)
class Start:
    """A model as fine-tuning begins with it."""

    model: Any
    """Its weights are in fp32, whatever they were stored in."""
    tokenizer: Any
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The metadata to record of how it was made."""


def begun_from(source: Artifact) -> Begun:
    """What a generative model starts from."""
    if source.format == "config":
        return "config"
    if not models.generates(source.folder):
        return "encoder"
    return "encoder-decoder" if models.has_encoder(source.folder) else "decoder"


def check(settings: Finetune, source: Artifact, task: Task) -> None:
    """Refuses what cannot work, before any weights are loaded.

    Args:
        settings: of `compress.techniques.finetune`.
        source: what it starts from.

    Raises:
        CompressError: a setting decides nothing here, or task and model do not fit.
    """
    kind = begun_from(source)
    if not task.is_generative and kind == "config":
        raise CompressError(
            f"'{task.name}' needs a trained encoder. Only generative models are trained from a config: give a model."
        )
    stacks = kind != "decoder" if kind != "config" else summarizers.is_encoder_decoder(source.folder)
    if task.is_generative and not task.of_kind.has_encoder and stacks:
        holds = "an encoder" if kind == "encoder" else "a model with an encoder"
        raise CompressError(f"'{task.name}' is language modelling, which needs a decoder; {source.folder} is {holds}.")
    writes = task.is_generative
    for name, is_set, where, fits in (
        ("label_smoothing", settings.label_smoothing > 0, "a generative task", writes),
        ("vocab_size", settings.vocab_size is not None, "a model trained from a config", kind == "config"),
        (
            "decoder_layers",
            settings.decoder_layers is not None,
            "a seq2seq model initialized from an encoder",
            kind == "encoder",
        ),
        ("freeze_encoder_epochs", settings.freeze_encoder_epochs > 0, "an encoder-decoder", stacks),
        ("encoder_lr_multiplier", settings.encoder_lr_multiplier != 1, "an encoder-decoder", stacks),
    ):
        if is_set and not (fits and writes):
            raise CompressError(f"The setting '{name}' is for {where}, not for {source.name} with '{task.name}'.")


def start(source: Artifact, described: DescribedTask, settings: Finetune, scratch: Path) -> Start:
    """The model to train for a generative task.

    Raises:
        CompressError: it cannot be opened or made.
    """
    kind = begun_from(source)
    if kind == "config":
        return _from_config(source, described, settings, scratch)
    if kind == "encoder":
        model, its_tokenizer = summarizers.from_encoder(source.folder, decoder_layers=settings.decoder_layers)
        layers = f"{model.config.encoder_layers} and {model.config.decoder_layers} layers"
        say(f"{source.name} becomes the encoder of a BART with {layers}; the decoder is initialized with copies.")
        return Start(model, its_tokenizer, {"made_from": "encoder", "decoder_layers": model.config.decoder_layers})
    return Start(generators.generator(source.folder).float(), models.tokenizer(source.folder))


def fine_tune(
    begun: Start, described: DescribedTask, settings: Finetune, *, scratch: Path, cache: Path, name: str
) -> dict[str, Any]:
    """Train it on its task, in place; continues where an earlier run of the same was stopped.

    Args:
        begun: what `start` gave.
        described: the task and its data.
        settings: of `compress.techniques.finetune`.
        scratch: for checkpoints.
        cache: for what is keyed by content.
        name: of the step, for messages.

    Returns:
        The results to record: steps, rows, seconds, curves.

    Raises:
        CompressError: see `compress.training.train.train`.
    """
    from compress.training.loop import RATE_FACTOR  # imports torch, which `check` does not need

    model = begun.model
    data = data_for(described, begun.tokenizer, model.config, settings.max_length)
    if data.task.of_kind.has_references:
        model.generation_config.max_new_tokens = prompt_templates.settings(data.task).max_target
        model.generation_config.max_length = None
    frozen: Mapping[str, Any] = {}
    if settings.freeze_encoder_epochs:
        rate = settings.freeze_encoder_learning_rate or settings.learning_rate
        frozen = frozen_encoder.train_decoder(
            model,
            data,
            settings.model_copy(update={"epochs": settings.freeze_encoder_epochs, "learning_rate": rate}),
            its_tokenizer=begun.tokenizer,
            places=frozen_encoder.Places(scratch / "frozen", cache),
            name=name,
            label_smoothing=settings.label_smoothing,
        )
    if settings.encoder_lr_multiplier != 1:
        for parameter in _of_the_encoder_alone(model):
            setattr(parameter, RATE_FACTOR, settings.encoder_lr_multiplier)
    done = train(
        model,
        reference_tokens(model, settings.label_smoothing),
        data.train,
        data.holdout,
        settings,
        its_tokenizer=begun.tokenizer,
        scratch=scratch,
        score=data.score,
        collate=data.collate,
        name=name,
    )
    return {**begun.facts, **data.facts, **_together(frozen, done.facts)}


def _from_config(source: Artifact, described: DescribedTask, settings: Finetune, scratch: Path) -> Start:
    from compress.data import loading

    task = described.task
    rows = loading.load(task, described.data, "train").rows
    model, its_tokenizer = summarizers.from_config(
        source.folder, _texts(rows, task), scratch / "start", vocabulary=settings.vocab_size, seed=settings.seed
    )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    say(
        f"{source.name}: a {model.config.model_type} of {parameters / 1e6:.1f} million random weights, and a vocabulary of "
        f"{len(its_tokenizer)} from the training split."
    )
    return Start(model, its_tokenizer, {"made_from": "config", "vocabulary": len(its_tokenizer)})


def _texts(rows: Any, task: Task) -> Iterator[str]:
    """The texts on which the tokenizer is trained."""
    from compress.data.prompt_templates import source_text

    for batch in rows.iter(1000):
        yield from (source_text(task, text) for text in batch["text"])
        yield from batch.get("label", ())


def _of_the_encoder_alone(model: Any) -> list[Any]:
    """The encoder's parameters except the embeddings that it shares with the decoder."""
    others = {id(parameter) for parameter in model.get_decoder().parameters()}
    return [parameter for parameter in model.get_encoder().parameters() if id(parameter) not in others]


def _together(frozen: Mapping[str, Any], joint: Mapping[str, Any]) -> dict[str, Any]:
    if not frozen:
        return dict(joint)
    return {
        **joint,
        "curves": {**frozen["curves"], **joint["curves"]},
        "training_steps": frozen["training_steps"] + joint["training_steps"],
        "training_seconds": round(frozen["training_seconds"] + joint["training_seconds"], 1),
        "frozen_steps": frozen["training_steps"],
        "frozen_score": frozen["score"],
    }
