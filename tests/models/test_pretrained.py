"""A model's config is read in words: whatever is wrong with the file ends in one line that names it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from compress.cli import compress
from compress.core.errors import CompressError
from compress.models.pretrained import config, raw_config
from tests.tiny import write_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "bert", num_hidden_layers=1)


def nested(folder: Path, depth: int) -> Path:
    """The folder with a setting of so many brackets in its config."""
    raw = json.loads((folder / "config.json").read_text())
    text = json.dumps(raw)[:-1] + ', "nested": ' + "[" * depth + "]" * depth + "}"
    (folder / "config.json").write_text(text)
    return folder


def told(read: Callable[[Path], Any], folder: Path) -> str:
    """What the product's own error says, nothing where there is none; any other error goes through."""
    try:
        read(folder)
    except CompressError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("depth", [900, 3_000, 100_000])
@pytest.mark.parametrize("read", [raw_config, config])
def test_a_config_that_is_nested_deeply_is_read_or_refused_in_a_line(
    read: Callable[[Path], Any], depth: int, folder: Path
) -> None:
    said = told(read, nested(folder, depth))
    assert (str(folder) in said) == bool(said)
    assert "\n" not in said
    assert len(said) <= 500
    assert said or depth < 100_000


@pytest.mark.parametrize("command", ["inspect", "export", "predict", "import"])
def test_every_command_refuses_a_config_that_is_nested_too_deeply(command: str, folder: Path, tmp_path: Path) -> None:
    more = {"inspect": [], "predict": ["a good film"]}.get(command, ["-o", str(tmp_path / "out")])
    done = CliRunner().invoke(compress, [command, str(nested(folder, 100_000)), *more])
    assert done.exit_code == 1
    assert isinstance(done.exception, CompressError), repr(done.exception)
    assert "config.json cannot be read" in str(done.exception)
