"""Reads what every Hugging Face model folder has, without running code from it."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError

LONGEST_REASON = 250
"""Characters of what a library says that a message repeats."""
REMOTE_CODE = "COMPRESS_TRUST_REMOTE_CODE"
"""Set to 1 by `--trust-remote-code`; an environment variable, so that worker processes know it too."""


INSTALL_BITSANDBYTES = "Install it: pip install 'compress-transformers[bitsandbytes]' (or pip install bitsandbytes)"


def needs_bitsandbytes(what: str) -> None:
    """Raises a CompressError where bitsandbytes is not installed, with the way to install it."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise CompressError(f"{what} needs bitsandbytes. {INSTALL_BITSANDBYTES}")


def needs_peft(what: str) -> None:
    """Raises a CompressError where peft is not installed, with the way to install it."""
    if importlib.util.find_spec("peft") is None:
        raise CompressError(f"{what} needs peft. Install it: pip install 'compress-transformers[lora]'")


def config(folder: Path) -> Any:
    """The transformers config in a folder.

    Raises:
        CompressError: it cannot be read.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=trusts_remote_code())
    except Exception as error:
        raise CompressError(why_not(folder, error)) from error


def raw_config(folder: Path) -> dict[str, Any]:
    """`config.json` as it stands, read without transformers.

    Raises:
        CompressError: there is none, or it is no config of a model.
    """
    try:
        found: Mapping[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CompressError(f"{folder / 'config.json'} cannot be read ({first_line(error)}).") from error
    if not isinstance(found, dict) or "model_type" not in found:
        raise CompressError(f"{folder / 'config.json'} names no model_type, so it is not a transformers model.")
    return dict(found)


def trusts_remote_code() -> bool:
    """Whether the user allowed running code from a model's folder. Off by default, and never stored in a file."""
    return os.environ.get(REMOTE_CODE) == "1"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' own bars and remarks off the screen; errors still come through."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def loading_errors(folder: Path) -> Iterator[None]:
    """Opening the model in a folder: transformers is quiet, and whatever it raises becomes a CompressError that says why."""
    with quiet():
        try:
            yield
        except CompressError:
            raise
        except Exception as error:
            raise CompressError(why_not(folder, error)) from error


def why_not(folder: Path, error: Exception) -> str:
    """Why the model in a folder cannot be loaded, from what transformers raised, in one line."""
    text = first_line(error)
    if "trust_remote_code" in str(error):
        return f"The model in {folder} contains its own code, which is not run unless you add --trust-remote-code."
    if isinstance(error, ImportError) and "bitsandbytes" in str(error):
        return f"The model in {folder} was quantized by bitsandbytes. {INSTALL_BITSANDBYTES}"
    if "header" in text.lower() or "safetensor" in type(error).__name__.lower():
        return f"The weights in {folder} are corrupt or cut short ({text}). Copy or download them again."
    if "Unrecognized configuration class" in str(error):
        return f"The model in {folder} is of a type for which transformers has no class for this task."
    return f"The model in {folder} cannot be loaded: {text}. Check that its config and weights match."


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or the first two if the first ends with a colon."""
    lines = [line.strip() for line in (str(error).strip() or type(error).__name__).splitlines()]
    return " ".join(lines[:2] if lines[0].endswith(":") else lines[:1])[:LONGEST_REASON].rstrip(".")
