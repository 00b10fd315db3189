"""Writes `compress/techniques/signatures.pyi`, which tells type checkers and editors what `import compress` makes of settings.

`make format` runs it: python -m tests.techniques.signatures
"""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from compress.core import catalogue
from compress.techniques import functions

FILE = Path(functions.__file__).with_name("signatures.pyi")
HEAD = '''"""The functions of the techniques, for type checkers and editors; `make format` makes this file from the settings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from compress.core.artifact import Artifact

'''


def stub() -> str:
    """The whole file, as ruff formats it."""
    text = HEAD + "\n".join(_function(name) for name in catalogue.names("techniques"))
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(FILE), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def _function(name: str) -> str:
    technique = catalogue.find("techniques", name)
    parameters = functions.signature(technique).parameters.values()
    lines = [f"    {_parameter(one)}," for one in parameters]
    lines.insert(2, "    *,")
    head = f"def {functions.python_name(name)}("
    return "\n".join([head, *lines, ") -> Artifact:", f'    """{functions.summary(technique)}"""', ""])


def _parameter(one: inspect.Parameter) -> str:
    declared = f"{one.name}: {type_text(one.annotation)}"
    if one.default is inspect.Parameter.empty:
        return declared
    return f"{declared} = {json.dumps(one.default) if isinstance(one.default, str) else repr(one.default)}"


def type_text(kind: Any) -> str:
    """A type as it is written in code.

    >>> type_text(int | None), type_text(Literal["a", "b"] | None)
    ('int | None', 'Literal["a", "b"] | None')
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is type(None):
        return "None"
    if origin in (Union, types.UnionType):
        return " | ".join(map(type_text, inner))
    if origin is Literal:
        return f"Literal[{', '.join(map(json.dumps, inner))}]"
    if origin is not None:
        return f"{origin.__name__}[{', '.join(map(type_text, inner))}]"
    return str(kind.__name__)


if __name__ == "__main__":
    FILE.write_text(stub(), encoding="utf-8")
