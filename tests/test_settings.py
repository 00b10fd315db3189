"""Settings from YAML and from the command line: a mistake is named with its place and a guess."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click
import pytest
from click.testing import CliRunner
from pydantic import Field

from compress.errors import CompressError
from compress.options import click_options, given
from compress.settings import Settings, below, build, read_yaml


class Shared(Settings):
    epochs: float = Field(3.0, gt=0, description="Passes.")


class Example(Shared):
    precision: Literal["int8", "fp16"] = Field("int8", description="Precision.")
    embeddings: bool = Field(True, description="Tables too.")
    exclude: tuple[str, ...] = Field((), description="Patterns.")
    layers: int | None = Field(None, ge=1, description="Layers.")


def test_an_unknown_setting_is_named_with_file_line_and_a_guess(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("steps:\n  int8:\n    quantize:\n      mode: x\n      precison: int8\n")
    values, lines = read_yaml(file)
    with pytest.raises(
        CompressError, match=r"'precison' in step 'int8' of my.yaml line 5\. Did you mean 'precision'\?"
    ):
        build(
            Example,
            {"precison": "int8"},
            "step 'int8' of my.yaml",
            below(lines, "steps", "int8", "quantize"),
        )
    assert values["steps"]["int8"]["quantize"]["mode"] == "x"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"epochs": 0}, "'epochs' is 0 in here: Input should be greater than 0."),
        ({"epochs": "many"}, "'epochs' is 'many' in here"),
        ({"precision": "int9"}, "'precision' is 'int9' in here: Input should be 'int8' or 'fp16'."),
        ({"epochs": float("nan")}, "finite"),
    ],
)
def test_a_value_that_does_not_fit_is_shown(values: dict[str, object], expected: str) -> None:
    with pytest.raises(CompressError) as caught:
        build(Example, values, "here")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: [1\n", "line 3 is not YAML"),
        ("a: 1\na: 2\n", "line 2 has 'a' a second time"),
        ("- a\n", "is not a mapping"),
        ("a: !!python/object/apply:os.system [ls]\n", "is not YAML"),
    ],
)
def test_yaml_that_cannot_be_read_is_named_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(text)
    with pytest.raises(CompressError, match=expected):
        read_yaml(file)


def _typed(*arguments: str) -> dict[str, object]:
    found: dict[str, object] = {}

    def callback(**values: object) -> None:
        found.update(given(click.get_current_context(), values))

    command = click.Command("example", params=click_options(Example), callback=callback)
    result = CliRunner().invoke(command, list(arguments))
    assert result.exit_code == 0, result.output
    return found


def test_options_become_settings_and_what_was_not_typed_is_left_to_the_defaults() -> None:
    typed = _typed("--precision", "fp16", "--no-embeddings", "--exclude", "a*, b", "--layers", "3")
    assert typed == {"precision": "fp16", "embeddings": False, "exclude": ["a*", "b"], "layers": 3}
    assert build(Example, typed, "here").exclude == ("a*", "b")
    assert _typed() == {}


def test_a_settings_class_shows_its_own_options_before_those_it_shares() -> None:
    names = [option.name for option in click_options(Example)]
    assert names == ["precision", "embeddings", "exclude", "layers", "epochs"]
