"""The shell completes names of what ships, and files where a file can be given."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

from compress.cli import compress
from compress.cli.completion import KINDS, names


def completed(*words: str) -> dict[str, str]:
    """What the shell is given for the last word: the value, and its type."""
    asked = ShellComplete(compress, {}, "compress", "_COMPRESS_COMPLETE")
    return {one.value: one.type for one in asked.get_completions(list(words[:-1]), words[-1])}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run", "quick"), "quickstart"),
        (("benchmark", "runs/a", "--suite", "qu"), "quick"),
        (("benchmark", "runs/a", "--task", "mr"), "mrpc"),
        (("benchmark", "runs/a", "--runtime", "onnx"), "onnx_runtime"),
        (("distill", "runs/a", "--task", "sst"), "sst2"),
        (("quantize", "runs/a", "--calibration", "revi"), "reviews-256"),
        (("predict", "--runtime", "py"), "pytorch"),
        (("list", "tas"), "tasks"),
    ],
)
def test_names_of_what_ships_are_completed(words: tuple[str, ...], expected: str) -> None:
    assert completed(*words)[expected] == "plain"


def test_a_name_is_offered_with_a_line_that_says_what_it_is() -> None:
    asked = ShellComplete(compress, {}, "compress", "_COMPRESS_COMPLETE")
    (one,) = asked.get_completions(["run"], "sst2")
    assert one.help == names("pipelines")["sst2"] != ""


@pytest.mark.parametrize(
    "words",
    [
        ("run", "mine/pip"),
        ("benchmark", "runs/te"),
        ("distill", "runs/te"),
        ("quantize", "runs/te", "-o", "runs/in"),
        ("distill", "runs/a", "--task", "mine/ta"),
        ("predict", "runs/te"),
    ],
)
def test_files_are_offered_where_a_file_can_be_given(words: tuple[str, ...]) -> None:
    assert completed(*words) == {words[-1]: "file"}


def test_every_kind_that_can_be_listed_is_completed() -> None:
    assert set(completed("list", "")) == set(KINDS)


def test_completing_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys\nfrom click.shell_completion import ShellComplete\nfrom compress.cli import compress\n"
        "asked = ShellComplete(compress, {}, 'compress', '_COMPRESS_COMPLETE')\n"
        "assert asked.get_completions(['run'], 'q') and asked.get_completions(['list'], '')\n"
        "assert not {'torch', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
