"""Settings from YAML and from the command line: a mistake is named with its place and a guess."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Literal

import click
import pytest
from click.testing import CliRunner
from pydantic import Field, ValidationError

from compress.cli.options import click_options, given
from compress.core import shipped
from compress.core.errors import CompressError
from compress.core.paths import named
from compress.core.settings import Settings, below, build, read_yaml


class Shared(Settings):
    epochs: float = Field(3.0, gt=0, description="Passes.")


class Example(Shared):
    precision: Literal["int8", "fp16"] = Field("int8", description="Precision.")
    embeddings: bool = Field(True, description="Tables too.")
    exclude: tuple[str, ...] = Field((), description="Patterns.")
    layers: int | None = Field(None, ge=1, description="Layers.")


class Plain(Settings):
    number: int | bool = 0
    text: str = ""
    names: tuple[str, ...] = ()
    kind: Literal["first", "second", "third"] = "first"


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
        ({"epochs": 0}, "'epochs' is 0 in here: must be greater than 0."),
        ({"epochs": "many"}, "'epochs' is 'many' in here"),
        ({"precision": "int9"}, "'precision' is 'int9' in here: must be 'int8' or 'fp16'. Did you mean 'int8'?"),
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
        ("steps:\n  1: a\n  0x1: b\n", "line 3 is not YAML: '0x1' is the same as '1' before it"),
        ("on: a\ntrue: b\n", "line 2 is not YAML: 'true' is the same as 'on' before it"),
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


NINES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (NINES, "stand for more than 100,000 values"),
        ("steps: &a {b: *a}\n", "or for themselves"),
        (f"steps: {'[' * 5000}\n", "is nested more than"),
        (f"steps: {'{a: ' * 60}1{'}' * 60}\n", "is nested more than"),
        ("a: \0\n", "is not YAML"),
        (f"a: {'9' * 5000}\n", "holds a value that cannot be read"),
        ("a: 2026-13-77\n", "holds a value that cannot be read"),
        ("? [a]\n: 1\n", "is not YAML"),
    ],
    ids=["aliases", "an endless alias", "brackets", "braces", "NUL", "5,000 digits", "no date", "a list as a key"],
)
def test_yaml_that_hangs_or_breaks_a_reader_is_refused_in_one_line(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(text)
    with pytest.raises(CompressError, match=expected):
        read_yaml(file)


def test_keys_that_are_numbers_are_settings_that_there_are_not(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("1: 2\n")
    values, lines = read_yaml(file)
    with pytest.raises(CompressError, match="Unknown setting '1' in my.yaml line 1"):
        build(Example, values, "my.yaml", lines)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"layers": 0}, "--layers 0: must be at least 1."),
        ({"layers": "x"}, "--layers x: must be a whole number."),
        ({"layers": 2.5}, "--layers 2.5: must be a whole number."),
        ({"layers": 10**30}, "--layers 1000000000000000000000000000000: must be a whole number of at most 64 bits."),
        ({"epochs": "many"}, "--epochs many: must be a number."),
        ({"embeddings": "perhaps"}, "--embeddings perhaps: must be true or false."),
        ({"precision": "int"}, "--precision int: must be 'int8' or 'fp16'. Did you mean 'int8'?"),
        ({"exclude": ["a\0"]}, "--exclude a\\x00: must be text of at most 4,096 characters without NUL."),
        ({"exclude": 5}, "--exclude 5: must be a list."),
    ],
)
def test_an_option_that_does_not_fit_is_named_as_it_is_typed(values: dict[str, object], expected: str) -> None:
    with pytest.raises(CompressError) as caught:
        build(Example, values, "compress example")
    assert str(caught.value) == expected


@pytest.mark.parametrize("value", [{}, [], float("inf"), {"a": [1]}, 10**400, None, "\ud83d", b"x", True])
@pytest.mark.parametrize("technique", ["distill", "prune", "quantize", "qat", "finetune"])
def test_whatever_stands_in_a_setting_is_taken_or_refused_in_one_line(technique: str, value: object) -> None:
    from compress.core import catalogue

    model = catalogue.find("techniques", technique).settings
    for name in model.model_fields:
        with contextlib.suppress(CompressError):
            build(model, {name: value}, "here")


@pytest.mark.parametrize("text", ["x" * 300, "a/" * 3000, "a\0b", "", " "])
def test_a_path_that_no_system_holds_is_refused(text: str) -> None:
    with pytest.raises(CompressError):
        named(text)
    with pytest.raises(CompressError):
        shipped.find("pipelines", f"{text}.yaml" if text.strip() else text)


def test_a_path_in_the_users_home_is_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert named("~/runs") == Path("/home/me/runs")


def test_whole_numbers_have_64_bits_and_texts_4096_characters() -> None:
    for number in (2**63 - 1, -(2**63) + 1):
        assert build(Plain, {"number": number}, "here").number == number
    for number in (2**63, -(2**63)):
        with pytest.raises(CompressError, match="64 bits"):
            build(Plain, {"number": number}, "here")
    assert len(build(Plain, {"text": "x" * 4096, "names": ["x" * 4096]}, "here").text) == 4096
    for values in ({"text": "x" * 4097}, {"names": ["a", "x" * 4097]}):
        with pytest.raises(CompressError, match="at most 4,096 characters"):
            build(Plain, values, "here")


def test_settings_do_not_change_once_they_are_built() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        build(Plain, {}, "here").text = "x"


def test_a_value_in_a_list_is_named_with_the_lists_line_and_a_type_is_no_part_of_a_name() -> None:
    with pytest.raises(CompressError, match=r"'names\.1' is 5 in here line 7: must be a text"):
        build(Plain, {"names": ["a", 5]}, "here", {("names",): 7})
    with pytest.raises(CompressError, match="'number' is 'x' in here: must be a whole number"):
        build(Plain, {"number": "x"}, "here")
    for given_name, name in (("firts", "first"), ("secnd", "second"), ("thrid", "third")):
        with pytest.raises(CompressError, match=f"Did you mean '{name}'"):
            build(Plain, {"kind": given_name}, "here")


def test_lines_below_a_path_are_those_of_its_own_keys() -> None:
    lines = {("a",): 1, ("a", "b"): 2, ("a", "b", "c"): 3, ("x",): 4, ("x", "b"): 5}
    assert below(lines, "a") == {("b",): 2, ("b", "c"): 3}


@pytest.mark.parametrize(
    ("taken", "refused", "reason"),
    [
        (f"a: {'[' * 50}{']' * 50}", f"a: {'[' * 51}{']' * 51}", "more than 50 levels"),
        (f"a: '{'[' * 200}'", f"a: '{'[' * 201}'", "more than 50 levels"),
        ("\n".join(f"a{n}: [1]" for n in range(250)), f"a: '{']' * 9}{'{' * 210}'", "more than 50 levels"),
        (
            f"a: &a [{', '.join('x' * 98)}]\nb: [{', '.join(['*a'] * 1009 + ['x'] * 6)}]",
            f"a: &a [{', '.join('x' * 98)}]\nb: [{', '.join(['*a'] * 1009 + ['x'] * 7)}]",
            "more than 100,000 values",
        ),
    ],
    ids=["levels", "brackets", "closed brackets", "values"],
)
def test_yaml_is_read_up_to_its_limits(tmp_path: Path, taken: str, refused: str, reason: str) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(taken)
    assert "a" in read_yaml(file)[0] or "a0" in read_yaml(file)[0]
    file.write_text(refused)
    with pytest.raises(CompressError, match=reason):
        read_yaml(file)
