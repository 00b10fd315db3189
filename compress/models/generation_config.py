"""The settings with which a generative model decodes: those of its `generation_config.json`, or else of its `config.json`, where
transformers kept them before version 4.26.

Decoding, export and saving read them here, so that torch, ONNX and a saved model generate the same. It imports transformers:
with it: import it where it is needed.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from transformers import GenerationConfig

from compress.core.errors import CompressError
from compress.models.decoding_settings import NOT_DONE
from compress.models.pretrained import first_line, quiet

FILE = "generation_config.json"
COUNTS = (
    *("num_beams", "num_return_sequences", "max_length", "max_new_tokens", "min_length", "min_new_tokens"),
    *("no_repeat_ngram_size", "encoder_no_repeat_ngram_size"),
)
TOKENS = (
    *("eos_token_id", "bos_token_id", "pad_token_id", "decoder_start_token_id"),
    *("forced_bos_token_id", "forced_eos_token_id"),
)
FACTORS = ("length_penalty", "repetition_penalty", "encoder_repetition_penalty")


class KeptGenerationConfig(GenerationConfig):  # type: ignore[misc, unused-ignore]  # Any in some versions
    """A generation config that can be saved whenever it could be read.

    transformers refuses to save a changed one in which a setting does nothing, as a temperature beside `do_sample: false`
    (Llama 2's, as published): after an epoch, when its checkpoint is due. What the model came with is kept instead.
    """

    def validate(self, strict: bool = False, **others: Any) -> None:
        """Raises ValueError where a setting is wrong whatever the others say; `strict` is not heeded."""
        super().validate(strict=False, **others)


def generation_config(folder: Path) -> KeptGenerationConfig:
    """The settings of the model in a folder, as transformers takes them when it opens the model.

    Raises:
        CompressError: the file cannot be read, a setting in it is none, or one is not done here.
    """
    file = folder / FILE
    return _read(file if file.is_file() else folder / "config.json")


def of_config(file: Path) -> KeptGenerationConfig:
    """The settings in the file of a model's config.

    Raises as `generation_config`.
    """
    return _read(file)


def write(source: Path, folder: Path) -> None:
    """Put the settings of the model in a folder into another folder, as a `generation_config.json`.

    Raises as `generation_config`.
    """
    with quiet():
        generation_config(source).save_pretrained(folder)


def _read(file: Path) -> KeptGenerationConfig:
    try:
        with quiet():
            found: KeptGenerationConfig = KeptGenerationConfig.from_pretrained(
                file.parent, config_file_name=file.name, local_files_only=True, _from_model_config=file.name != FILE
            )
            found.validate()
    except Exception as error:  # transformers raises many kinds, each about the file
        raise CompressError(f"{file} is not a valid generation config: {first_line(error)}. Correct it.") from error
    found._from_model_config = None  # else it is written into the file
    _check(found, file)
    return found


def _check(config: KeptGenerationConfig, file: Path) -> None:
    """Now, and not when the model first generates, which is after an epoch of training. Of what kind a value is, transformers
    does not look at before, if at all."""
    for name, harmless in NOT_DONE.items():
        value = getattr(config, name, None)
        if value not in harmless:
            raise CompressError(
                f"{file} asks for '{name}' ({str(value)[:60]}), which is not supported and would "
                "change the generated texts. Remove it if you can do without."
            )
    for name in COUNTS + FACTORS:
        value = getattr(config, name)
        kinds = (int,) if name in COUNTS else (int, float)
        least = -math.inf if name == "length_penalty" else 0  # below 0 it makes texts shorter
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds) or not value >= least):
            raise CompressError(
                f"{file}: '{name}' is {str(value)[:60]!r}, which is not a number{' of 0 or more' * (least == 0)}. Correct it."
            )
    for name in TOKENS:
        value = getattr(config, name, None)
        ids = value if isinstance(value, list) else [value] * (value is not None)
        if any(isinstance(one, bool) or not isinstance(one, int) for one in ids):
            raise CompressError(
                f"{file}: '{name}' is {str(value)[:60]!r}, which is not a token id: give a number. Correct it."
            )
