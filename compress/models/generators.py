"""Opens generative models: encoder-decoders (T5, BART) and decoders (GPT-2, Llama).

It is separate from `load`: such a model is never given a new head for a task, and has generation settings, layers that a cache is
sized by, and perhaps quantized weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compress.core.errors import CompressError
from compress.models.auto_classes import auto_class, unequal_class
from compress.models.finite_weights import check_finite
from compress.models.kinds import kind_of
from compress.models.opening import Opened, compared, opened
from compress.models.pretrained import first_line, loading_errors, quiet, raw_config, trusts_remote_code, why_not
from compress.models.weight_files import weights
from compress.tasks import kinds
from compress.tasks.kinds import Kind


def generator(folder: Path, **changes: Any) -> Any:
    """The generative model in a folder, in evaluation mode, in the precision it was saved in; `changes` go to its config.

    A head that is tied to the embeddings, and embeddings that encoder and decoder share, are stored once and stay tied.

    Raises:
        CompressError: it holds a classifier, weights are missing, corrupt or pickled, or it needs its own code.
    """
    kind = kind_of(folder)
    if kind is None or not kind.generates:
        raise CompressError(
            f"The model in {folder} is not a generative model: it is neither an encoder-decoder nor a decoder."
        )
    from compress.models import gptq_checkpoint
    from compress.models.families.cutting import opened_by
    from compress.models.generation_config import generation_config

    settings = generation_config(folder)
    if gptq_checkpoint.is_described(raw_config(folder)):
        return _from_integers(folder, kind, settings)
    with loading_errors(folder):
        unequal = unequal_class(folder, kind)
    opener = auto_class(kind) if unequal is None else opened_by(unequal)
    found = opened(folder, opener, kind=unequal, **changes)
    _check_head(folder, found)
    _check_family(folder, found.model.config)
    _state_layers_(found.model.config)
    found.model.generation_config = settings
    if not kind.has_encoder and found.model.config.is_encoder_decoder:
        raise CompressError(
            f"{folder / 'config.json'} says `is_encoder_decoder`, but {type(found.model).__name__} has no encoder. "
            "Set it to false."
        )
    return found.model


def _state_layers_(config: Any) -> None:
    """Write into a config how many layers its decoder has, where the encoder has another number, as transformers looks for it: in
    T5 it counts the encoder's, and a longer decoder finds no room in its cache (see `Architecture.layer_config`)."""
    from compress.models.families.families import architectures, stack

    if not config.is_encoder_decoder or config.model_type not in architectures():
        return
    stacks = [stack(config, side) for side in ("encoder", "decoder")]
    counts = [getattr(config, one.layer_count) for one in stacks]
    if len(set(counts)) == 1:
        return
    for one, count in zip(stacks, counts, strict=True):
        for name, value in one.layer_config(config, range(count)).items():
            setattr(config, name, value)


def _check_family(folder: Path, config: Any) -> None:
    from compress.models.families.families import architectures

    known = architectures().get(config.model_type)
    reason = known.why_not(config) if known is not None else ""
    if reason:
        raise CompressError(f"The {config.model_type} model in {folder} is not supported: {reason}.")


def _check_head(folder: Path, found: Opened) -> None:
    """A generative model is not trained from a new head."""
    lacking = sorted({*found.missing, *found.reshaped})
    if lacking:
        raise CompressError(
            f"The weights in {folder} lack {len(lacking)} of the model's tensors ({lacking[0]}, ...). Save the model again."
        )


def from_config(file: Path) -> Any:
    """A generative model with random weights for a `config.json`, with as many heads and neurons as it says.

    Raises:
        CompressError: the file is not the config of a generative model.
    """
    from transformers import AutoConfig

    from compress.models.families.cutting import resized_
    from compress.models.generation_config import of_config

    try:
        config = AutoConfig.from_pretrained(file)
        kind = kinds.by_head(["ForConditionalGeneration" if config.is_encoder_decoder else "ForCausalLM"])
        assert kind is not None
        _state_layers_(config)
        model = resized_(auto_class(kind).from_config(config))
        settings = of_config(file)
        settings.update(**model.generation_config.to_dict(), defaults_only=True)
        model.generation_config = settings
        return model
    except CompressError:
        raise
    except Exception as error:
        raise CompressError(f"{file} is not the config of a generative model ({first_line(error)}).") from error


def _from_integers(folder: Path, kind: Kind, settings: Any) -> Any:
    """A GPTQ checkpoint's model with weights dequantized to fp32; it needs the memory of a float model."""
    from transformers import AutoConfig

    from compress.models import gptq_checkpoint
    from compress.models.families.cutting import resized_

    files = weights(folder)
    check_finite(files)
    with quiet():
        try:
            config = AutoConfig.from_pretrained(folder, trust_remote_code=trusts_remote_code())
            del config.quantization_config
            config.dtype = "float32"
            model = resized_(auto_class(kind).from_config(config, trust_remote_code=trusts_remote_code()))
            told = gptq_checkpoint.fill_(model, files, raw_config(folder))
            model.generation_config = settings
        except CompressError:
            raise
        except Exception as error:
            raise CompressError(why_not(folder, error)) from error
    found = compared(folder, model.eval(), told)
    _check_head(folder, found)
    return found.model
