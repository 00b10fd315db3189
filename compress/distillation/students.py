"""Makes the student: some of the teacher's layers, a narrower teacher, or another model."""

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
from compress.tasks.task import DescribedTask, Task

FLOATING = ("fp32", "fp16", "bf16")


@dataclass(frozen=True)
class Student:
    """A student before its training."""

    model: Any
    tokenizer: Any
    facts: Mapping[str, Any] = field(default_factory=dict)


def make(teacher: Artifact, settings: Distill, task: Task, described: DescribedTask) -> Student:
    """The student described by the settings of `compress distill`.

    Of a generative teacher: shrink and fine-tune, Shleifer & Rush 2020, "Pre-trained Summarization Distillation", section 3:
    the layers that stay are copied, spaced as evenly as can be with the first and the last among them; embeddings and head
    are the teacher's. A narrower student: see `compress.models.narrowing.narrow`.

    Args:
        task: the student's.
        described: the same with its data, for calibration rows.

    Raises:
        CompressError: the settings do not fit the teacher, or the student's vocabulary does not fit its tokenizer.
    """
    import torch

    from compress.distillation.layer_importance import most_important_layers
    from compress.models.layers import keep_layers, layer_count

    torch.manual_seed(settings.seed)
    its_tokenizer = models.tokenizer(teacher.folder)
    if settings.student is not None:
        return _warned_if_not_smaller(_given(Path(settings.student), task, its_tokenizer, settings.seed), teacher)
    model = _opened(teacher, settings, task)
    told: list[str] = []
    facts: dict[str, Any] = {}
    for side, asked in _sides(settings, task, model.config).items():
        total = layer_count(model.config, side)
        if settings.layer_choice == "importance" and isinstance(asked, int):
            batches = calibration.tensors(settings.calibration, described, its_tokenizer, model.config)
            kept = most_important_layers(model, asked, batches, side)
            how = f"the most important on {settings.calibration}"
        else:
            kept, how = chosen(asked, model.config, side, settings.layer_choice)
        model = keep_layers(model, kept, side)
        of_side, words = (f"{side}_", f"{side} ") if side else ("", "")
        facts |= {f"{of_side}layers_kept": list(kept), f"{of_side}layers_of_teacher": total}
        told.append(f"{words}layers {', '.join(map(str, kept))} of {total} ({how})")
    if settings.narrows:
        from compress.models.narrowing import narrow
        from compress.models.widths import all_widths, change_in_words

        before = all_widths(model.config)
        model = narrow(
            model,
            calibration.tensors(settings.calibration, described, its_tokenizer, model.config),
            hidden_size=settings.hidden_size,
            intermediate_size=settings.intermediate_size,
            heads=settings.heads,
        )
        told.append(f"{change_in_words(before, all_widths(model.config))}, by importance")
    return Student(model, its_tokenizer, {**facts, "student": "; ".join(told)})


def _opened(teacher: Artifact, settings: Distill, task: Task) -> Any:
    """The teacher's model. Where a file has the answers it may be a base: it has a new head then, with a message."""
    if settings.teacher_answers is None or task.is_generative or models.is_trained_for(teacher.folder, task):
        return models.load(teacher).float()
    return models.for_task(teacher.folder, task, seed=settings.seed).float()


def keeps_all(settings: Distill, task: Task, config: Any) -> bool:
    """Whether the student has as many layers as its teacher, and the same widths.

    Raises:
        CompressError: the layers that are asked for are not there.
    """
    from compress.models.layers import layer_count

    counts = []
    for side, asked in _sides(settings, task, config).items():
        name, total = f"{side}_layers" if side else "layers", layer_count(config, side)
        choice = "even" if settings.layer_choice == "importance" else settings.layer_choice
        kept, _ = chosen(asked, config, side, choice)
        if kept != tuple(sorted(set(kept))) or not 0 <= kept[0] <= kept[-1] < total:
            raise CompressError(f"{name} {kept} are not increasing indices from 0 to {total - 1}. Correct them.")
        counts.append(len(kept) == total)
    return bool(counts) and all(counts) and not settings.narrows


def layers_kept(settings: Distill, task: Task, config: Any) -> tuple[int, int] | None:
    """How many of its teacher's layers the student keeps, and of how many, encoder and decoder together; None of another model.

    Args:
        config: the teacher's.
    """
    from compress.models.layers import layer_count

    if settings.student is not None:
        return None
    asked = _sides(settings, task, config)
    has_both = getattr(config, "is_encoder_decoder", False) and task.is_generative
    totals = {side: layer_count(config, side) for side in (("encoder", "decoder") if has_both else asked or ("",))}
    kept = {side: count if isinstance(count, int) else len(count) for side, count in asked.items()}
    return sum(kept.get(side, total) for side, total in totals.items()), sum(totals.values())


def _sides(settings: Distill, task: Task, config: Any) -> dict[str, int | tuple[int, ...]]:
    """The requested layers, by `encoder` and `decoder` of a generative model; those of an encoder are under no name."""
    if task.is_generative:
        return requested_layers(settings.layers, settings, config)
    return {} if settings.layers is None else {"": settings.layers}


def requested_layers(layers: Layers, settings: GenerationSettings, config: Any) -> dict[str, int | tuple[int, ...]]:
    """The requested layers of `encoder` and `decoder`.

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


def chosen(asked: int | tuple[int, ...], config: Any, side: str, choice: str) -> tuple[tuple[int, ...], str]:
    """Which layers are kept, and how they were chosen, in words.

    Args:
        asked: how many, or which.
        config: the teacher's.
        side: of a generative model; empty for an encoder.
        choice: `even`, `first` or `last`; `most_important_layers` chooses by importance.

    Raises:
        CompressError: there are not as many.
    """
    from compress.models.families.families import family
    from compress.models.layers import chosen_layers, layer_count

    if not isinstance(asked, int):
        return tuple(asked), "as named"
    spaced = "evenly spaced, with the first and the last" if side else "evenly spaced"
    words = {"even": spaced, "first": "the first", "last": "the last"}
    first = choice == "even" if side else family(config).first_layer_differs
    return chosen_layers(layer_count(config, side), asked, choice, first=first), words[choice]


def own_tokenizer(student: str | None) -> Path | None:
    """The folder of a given student's own tokenizer, None where it has none or there is no given student."""
    if student is None:
        return None
    folder = Path(student) if Path(student).is_dir() else Path(student).parent
    return folder if of_tokenizer(folder) else None


def _given(given: Path, task: Task, teachers_tokenizer: Any, seed: int) -> Student:
    """A checkpoint or a config, with its own tokenizer where one lies beside it."""
    from compress.models import generators

    own = own_tokenizer(str(given))
    its_tokenizer = models.tokenizer(own) if own else teachers_tokenizer
    is_config = given.is_file()
    if task.is_generative:
        model = generators.from_config(given) if is_config else generators.generator(given)
    else:
        model = models.from_config(given, task) if is_config else models.for_task(given, task, seed=seed)
    model = model if is_config else model.float()
    _check_tokens(model, its_tokenizer, given, own is not None)
    return Student(
        model, its_tokenizer, {"student": f"{'random weights for' if is_config else 'checkpoint'} {given.name}"}
    )


def _warned_if_not_smaller(student: Student, teacher: Artifact) -> Student:
    """The student, with a warning if it has as many parameters as its teacher or more."""
    if teacher.precision not in FLOATING:
        return student  # its integers are packed, so that its file does not tell how many they are
    stored = {one.data_ptr(): one.numel() for one in student.model.state_dict().values() if one.is_floating_point()}
    own = sum(stored.values())
    of_teacher = safetensors_parameters(model_files(teacher))
    if own >= of_teacher:
        warn(f"The student has {own:,} parameters and its teacher {of_teacher:,}: it is not smaller than its teacher.")
    return student


def _check_tokens(model: Any, its_tokenizer: Any, given: Path, is_own: bool) -> None:
    if model.config.vocab_size < len(its_tokenizer):
        whose = "its tokenizer" if is_own else "the teacher's tokenizer"
        raise CompressError(
            f"The student in {given} knows {model.config.vocab_size} tokens, but {whose} has {len(its_tokenizer)}. "
            "Give a student with that vocabulary, or put its own tokenizer beside it."
        )
