"""Makes the student that a distillation trains: some of the teacher's layers, a narrower teacher, or another model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.model_files import of_tokenizer
from compress.core.progress import warn
from compress.data import calibration
from compress.distillation.distill_settings import Distill
from compress.distillation.generation_settings import GenerationSettings
from compress.models import load as models
from compress.models.layer_choice import Layers
from compress.models.stored import model_files, safetensors_parameters

FLOATING = ("fp32", "fp16", "bf16")


@dataclass(frozen=True)
class Student:
    """A student before its training."""

    model: Any
    tokenizer: Any
    facts: Mapping[str, Any] = field(default_factory=dict)
    kept: tuple[int, ...] | None = None
    """The teacher's layers that it has, where it was cut out of the teacher."""


def make(teacher: Artifact, settings: Distill, task: Any, description: Mapping[str, Any]) -> Student:
    """The student that the settings of `compress distill` describe.

    Args:
        settings: layers, layer_choice, hidden_size, intermediate_size, heads, student, calibration, seed.
        task: the `compress.tasks.task.Task`.
        description: the task's description, for calibration rows.

    Raises:
        CompressError: the settings do not fit the teacher, or the student's vocabulary does not fit its tokenizer.
    """
    import torch

    torch.manual_seed(settings.seed)
    its_tokenizer = models.tokenizer(teacher.folder)
    if settings.student is not None:
        return _told_if_no_smaller(_given(Path(settings.student), task, its_tokenizer, settings.seed), teacher)
    model = models.load(teacher).float()
    told: list[str] = []
    facts: dict[str, Any] = {}
    kept = None
    if settings.layers is not None:
        kept, how = _layers(model, settings.layers, settings, description, its_tokenizer)
        model, total = _cut(model, kept)
        facts |= {"layers_kept": list(kept), "layers_of_teacher": total}
        told.append(f"layers {', '.join(map(str, kept))} of {total} ({how})")
    if settings.narrows:
        from compress.models.narrowing import narrow
        from compress.models.widths import widths

        before = widths(model.config)
        model = narrow(
            model,
            calibration.tensors(settings.calibration, description, its_tokenizer, model.config),
            hidden_size=settings.hidden_size,
            intermediate_size=settings.intermediate_size,
            heads=settings.heads,
        )
        after = widths(model.config)
        told.append(
            f"hidden width {before.hidden} to {after.hidden}, heads {before.heads} to {after.heads}, "
            f"feed-forward {before.neurons} to {after.neurons}, by importance"
        )
    return Student(model, its_tokenizer, {**facts, "student": "; ".join(told)}, kept)


def make_writer(teacher: Artifact, settings: Distill) -> Student:
    """The student of a teacher that writes text: some of its layers, or another model.

    Shrink and fine-tune: Shleifer & Rush 2020, "Pre-trained Summarization Distillation", section 3: the layers that stay are
    copied, spaced as evenly as can be with the first and the last among them; embeddings and head are the teacher's.

    Args:
        settings: layers (of encoder and decoder), decoder_layers, encoder_layers, layer_choice, student, seed.

    Raises:
        CompressError: the settings do not fit the teacher, or the student's vocabulary does not fit its tokenizer.
    """
    import torch

    from compress.models.layers import keep_layers, layer_count

    torch.manual_seed(settings.seed)
    its_tokenizer = models.tokenizer(teacher.folder)
    if settings.student is not None:
        return _told_if_no_smaller(_given_writer(Path(settings.student), its_tokenizer), teacher)
    model = models.load(teacher).float()
    facts: dict[str, Any] = {}
    told = []
    for side, asked in asked_layers(settings.layers, settings, model.config).items():
        total = layer_count(model.config, side)
        kept, how = chosen_of_side(asked, total, settings.layer_choice)
        model = keep_layers(model, kept, side)
        facts |= {f"{side}_layers_kept": list(kept), f"{side}_layers_of_teacher": total}
        told.append(f"{side} layers {', '.join(map(str, kept))} of {total} ({how})")
    return Student(model, its_tokenizer, {**facts, "student": "; ".join(told)})


def asked_layers(layers: Layers, settings: GenerationSettings, config: Any) -> dict[str, int | tuple[int, ...]]:
    """The layers that the settings ask for, by side of the model: `encoder` and `decoder`.

    Args:
        layers: those of each side for which the settings have none of its own.

    Raises:
        CompressError: a decoder has no encoder's layers.
    """
    if not config.is_encoder_decoder and settings.encoder_layers is not None:
        raise CompressError(f"A {config.model_type} model is a decoder: it has no encoder_layers. Use layers.")
    found = {"encoder": settings.encoder_layers, "decoder": settings.decoder_layers}
    if layers is not None:
        sides = ("encoder", "decoder") if config.is_encoder_decoder else ("decoder",)
        found |= {side: layers for side in sides if found[side] is None}
    return {side: asked for side, asked in found.items() if asked is not None}


def chosen_of_side(asked: int | tuple[int, ...], total: int, choice: str) -> tuple[tuple[int, ...], str]:
    """Which layers of one side are kept, and how they were chosen, in words.

    Raises:
        CompressError: there are not as many, or the choice is one for classifiers.
    """
    from compress.models.layers import chosen_layers

    if not isinstance(asked, int):
        return tuple(asked), "as named"
    if choice == "importance":
        raise CompressError(
            "layer_choice importance measures a classifier's answers. Choose even, first or last, or name the layers (0,2)."
        )
    words = {"even": "evenly spaced, with the first and the last", "first": "the first", "last": "the last"}
    return chosen_layers(total, asked, choice, first=choice == "even"), words[choice]


def _given_writer(given: Path, teachers_tokenizer: Any) -> Student:
    """A checkpoint or a config of a model that writes text, with its own tokenizer where one lies beside it."""
    from compress.models import generators

    own = own_tokenizer(str(given))
    its_tokenizer = models.tokenizer(own) if own else teachers_tokenizer
    is_config = given.is_file()
    model = generators.from_config(given) if is_config else generators.generator(given).float()
    _check_tokens(model, its_tokenizer, given, own is not None)
    return Student(
        model, its_tokenizer, {"student": f"{'random weights for' if is_config else 'checkpoint'} {given.name}"}
    )


def own_tokenizer(student: str | None) -> Path | None:
    """The folder of a given student's own tokenizer, None where it has none or there is no given student."""
    if student is None:
        return None
    folder = Path(student) if Path(student).is_dir() else Path(student).parent
    return folder if of_tokenizer(folder) else None


def _given(given: Path, task: Any, teachers_tokenizer: Any, seed: int) -> Student:
    """A checkpoint or a config, with its own tokenizer where one lies beside it."""
    own = own_tokenizer(str(given))
    its_tokenizer = models.tokenizer(own) if own else teachers_tokenizer
    is_config = given.is_file()
    model = models.from_config(given, task) if is_config else models.for_task(given, task, seed=seed).float()
    _check_tokens(model, its_tokenizer, given, own is not None)
    return Student(
        model, its_tokenizer, {"student": f"{'random weights for' if is_config else 'checkpoint'} {given.name}"}
    )


def _told_if_no_smaller(student: Student, teacher: Artifact) -> Student:
    """The student, after a warning where it has as many parameters as its teacher or more."""
    if teacher.precision not in FLOATING:
        return student  # its integers are packed, so that its file does not tell how many they are
    stored = {one.data_ptr(): one.numel() for one in student.model.state_dict().values() if one.is_floating_point()}
    own = sum(stored.values())
    of_teacher = safetensors_parameters(model_files(teacher))
    if own >= of_teacher:
        warn(
            f"The student has {own:,} parameters and its teacher {of_teacher:,}: it learns from the teacher, but is no smaller."
        )
    return student


def _check_tokens(model: Any, its_tokenizer: Any, given: Path, is_own: bool) -> None:
    if model.config.vocab_size < len(its_tokenizer):
        whose = "its tokenizer" if is_own else "the teacher's tokenizer"
        raise CompressError(
            f"The student in {given} knows {model.config.vocab_size} tokens, but {whose} has {len(its_tokenizer)}. "
            "Give a student with that vocabulary, or put its own tokenizer beside it."
        )


def _layers(
    model: Any,
    asked: int | tuple[int, ...],
    settings: Distill,
    description: Mapping[str, Any],
    its_tokenizer: Any,
) -> tuple[tuple[int, ...], str]:
    """Which layers to keep, and how they were chosen, in words."""
    from compress.distillation.layer_importance import least_missed
    from compress.models.families.families import family
    from compress.models.layers import chosen_layers, layer_count

    if not isinstance(asked, int):
        return asked, "as named"
    if settings.layer_choice == "importance":
        batches = calibration.tensors(settings.calibration, description, its_tokenizer, model.config)
        return least_missed(model, asked, batches), f"those missed most on {settings.calibration}"
    first = family(model.config).first_layer_differs
    words = {"even": "evenly spaced", "first": "the first", "last": "the last"}
    total = layer_count(model.config)
    return chosen_layers(total, asked, settings.layer_choice, first=first), words[settings.layer_choice]


def _cut(model: Any, kept: tuple[int, ...]) -> tuple[Any, int]:
    from compress.models.layers import keep_layers, layer_count

    return keep_layers(model, kept), layer_count(model.config)
