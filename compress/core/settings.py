"""Builds validated settings from user input; errors suggest names and give YAML lines."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from compress.core.errors import CompressError, guess, listing, shown

Model = TypeVar("Model", bound=BaseModel)
Lines = Mapping[tuple[str, ...], int]
"""The line of each key of a YAML file, by the path of keys that leads to it."""

LONGEST = 4096
"""Characters of a text."""
LARGEST = 2**63 - 1
"""Of whole numbers: what 64 bits hold."""
MOST_VALUES = 100_000
"""In a YAML file with its aliases written out: nine lines can stand for a billion values."""
DEEPEST = 50
MOST_OPEN = 200
"""Brackets that are not closed again."""
BRACKETS = re.compile(r"[\[\]{}]")
COMMAND = "compress "
"""What `where` begins with when settings are a command's options."""


class _Loader(yaml.SafeLoader):
    """YAML that refuses equal keys: of `1` and `0x1`, or `on` and `true`, the last one would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping, each of whose own keys is there once; those that `<<` brings in may be given again."""
        seen: dict[Any, yaml.Node] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            value = self.construct_object(key, deep=True)
            if isinstance(value, Hashable) and value in seen:
                problem = f"{shown(key.value)} is the same as {shown(seen[value].value)} before it. Put one in quotes"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            if isinstance(value, Hashable):
                seen[value] = key
        return super().construct_mapping(node, deep)


class Settings(BaseModel):
    """The base of all settings: validated, frozen, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    HEADING: ClassVar[str] = "Settings"
    """What a class's settings stand under in a command's help, see `compress.core.headings`."""

    @property
    def set_by_preset(self) -> frozenset[str]:
        """The names of the settings that a preset set, not the user."""
        return frozenset()

    @field_validator("*", mode="after")
    @classmethod
    def _fits(cls, value: Any) -> Any:
        for one in value if isinstance(value, tuple | list) else (value,):
            if isinstance(one, int) and not -LARGEST <= one <= LARGEST:
                raise ValueError("must be a whole number of at most 64 bits")
            if isinstance(one, str) and (len(one) > LONGEST or "\0" in one):
                raise ValueError(f"must be text of at most {LONGEST:,} characters without NUL")
        return value


def build(
    model: type[Model],
    values: Mapping[str, Any],
    where: str,
    lines: Lines | None = None,
    *,
    also: Iterable[str] = (),
) -> Model:
    """The settings object for the values a user wrote.

    Args:
        where: what is named in an error: `step 'int8' of my.yaml`, or `compress quantize`, whose settings are options.
        lines: the line of each key, by its path within `values`.
        also: what else could have been written there: it is guessed and listed where a name is unknown.

    Raises:
        CompressError: a name is unknown (with a guess), missing, or a value does not fit.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise CompressError(_message(model, error, where, lines or {}, also)) from error
    except (TypeError, ArithmeticError, RecursionError) as error:  # pydantic lets these of a check through
        raise CompressError(f"A setting in {where} has the wrong type ({error}).") from error


def read_yaml(file: Path) -> tuple[dict[str, Any], Lines]:
    """A YAML mapping, loaded safely, with the line of each of its keys.

    Raises:
        CompressError: the file is missing, is not YAML, is not a mapping, or has a key twice.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise CompressError(f"{file} does not exist. Check the path.") from error
    except (OSError, ValueError) as error:
        raise CompressError(f"{file} cannot be read ({error}).") from error
    lines: dict[tuple[str, ...], int] = {}
    try:
        node = _composed(text)
        _note_lines(node, (), lines, file)
        values = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise CompressError(f"{file} line {line} is not YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise CompressError(f"{file} is not YAML: {error}.") from error
    except RecursionError as error:
        raise CompressError(f"{file} is nested more than {DEEPEST} levels deep. Write it flatter.") from error
    except (ValueError, TypeError, ArithmeticError) as error:  # a date without such a day, a number of 5,000 digits
        raise CompressError(f"{file} holds a value that cannot be read ({error}). Put it in quotes.") from error
    if not isinstance(values, dict):
        raise CompressError(f"{file} is not a mapping. It starts with lines such as `model: runs/teacher`.")
    return values, lines


def read_value(text: str) -> Any:
    """The YAML value that a user wrote on the command line.

    Raises:
        ValueError: it is none.
    """
    try:
        _composed(text)
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError, TypeError, ArithmeticError, CompressError) as error:
        raise ValueError(str(error)) from error


def below(lines: Lines, *path: str) -> Lines:
    """The lines of the keys below a path, by their path from there."""
    return {key[len(path) :]: line for key, line in lines.items() if key[: len(path)] == path and len(key) > len(path)}


def _message(model: type[BaseModel], error: ValidationError, where: str, lines: Lines, also: Iterable[str]) -> str:
    first = error.errors(include_url=False)[0]
    path = tuple(str(part) for part in first["loc"])
    line = next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), None)
    place = f"{where} line {line}" if line else where
    if first["type"] in ("extra_forbidden", "invalid_key"):
        known = [*model.model_fields, *also]
        return f"Unknown setting '{path[-1]}' in {place}.{guess(path[-1], known)} There are: {listing(known)}."
    name = ".".join(_without_types(path))
    if first["type"] == "missing":
        return f"The setting '{name}' is missing in {place}."
    value, reason = first["input"], f"{_reason(first)}."
    if first["type"] == "literal_error":
        reason += guess(value, _quoted(first["ctx"]["expected"]))
    if not path:
        return f"In {place}: {reason}"
    if where.startswith(COMMAND):
        typed = ",".join(str(one) for one in value) if isinstance(value, list) else str(value)
        return f"--{name.replace('_', '-')} {typed}: {reason}"
    return f"'{name}' is {shown(value)} in {place}: {reason}"


def _without_types(path: tuple[str, ...]) -> tuple[str, ...]:
    """The path without what pydantic adds to it where a setting may be of several types: `layers.function-before[...]`."""
    named = {"int", "float", "str", "bool", "constrained-int", "constrained-float", "constrained-str"}
    return tuple(part for part in path if part not in named and "[" not in part)


def _reason(error: Any) -> str:
    """What a value must be, in plain words: pydantic's messages are about inputs and validation."""
    kind, context = error["type"], error.get("ctx", {})
    limits = {
        "greater_than": ("greater than", "gt"),
        "greater_than_equal": ("at least", "ge"),
        "less_than": ("less than", "lt"),
        "less_than_equal": ("at most", "le"),
    }
    if kind in limits:
        words, key = limits[kind]
        return f"must be {words} {context[key]}"
    if kind == "literal_error":
        return f"must be {context['expected']}"
    plain = {
        "finite_number": "must be a finite number",
        "model_type": "must be a mapping",
        "dict_type": "must be a mapping",
        "list_type": "must be a list",
        "tuple_type": "must be a list",
        "string_type": "must be a text",
        "too_short": f"must have at least {context.get('min_length')} entries",
        "too_long": f"must have at most {context.get('max_length')} entries",
        "int_from_float": "must be a whole number",
        "int_parsing_size": "must be a whole number of at most 64 bits",
    }
    if kind in plain:
        return plain[kind]
    for start, words in (("int_", "a whole number"), ("float_", "a number"), ("bool_", "true or false")):
        if kind.startswith(start):
            return f"must be {words}"
    return str(error["msg"]).removeprefix("Value error, ")


def _quoted(expected: str) -> list[str]:
    """The names in pydantic's `'a', 'b' or 'c'`."""
    return expected.split("'")[1::2]


def _composed(text: str) -> yaml.Node | None:
    """The tree of a YAML text.

    Raises:
        YAMLError: it is none, or is endless, or would be, with its aliases written out.
        RecursionError: it is nested too deeply.
    """
    depth = 0
    for sign in BRACKETS.findall(text):  # PyYAML takes the square of their number in time
        depth += 1 if sign in "[{" else -1
        if depth > MOST_OPEN:
            raise RecursionError
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    counts: dict[int, int] = {}

    def count(one: yaml.Node, depth: int) -> int:
        if id(one) not in counts:
            if depth > DEEPEST:
                raise RecursionError
            counts[id(one)] = MOST_VALUES  # what refers to itself has no end
            parts = (
                [part for pair in one.value for part in pair]
                if isinstance(one, yaml.MappingNode)
                else one.value
                if isinstance(one, yaml.SequenceNode)
                else []
            )
            counts[id(one)] = 1 + sum(count(part, depth + 1) for part in parts)
        return counts[id(one)]

    if node is not None and count(node, 0) > MOST_VALUES:
        raise yaml.YAMLError(f"its aliases (&, *) stand for more than {MOST_VALUES:,} values, or for themselves")
    return node


def _note_lines(node: yaml.Node | None, path: tuple[str, ...], lines: dict[tuple[str, ...], int], file: Path) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        here = (*path, str(key.value))
        if here in lines:
            raise CompressError(
                f"{file} line {key.start_mark.line + 1} has {shown(key.value)} a second time. Keep one."
            )
        lines[here] = key.start_mark.line + 1
        _note_lines(value, here, lines, file)
