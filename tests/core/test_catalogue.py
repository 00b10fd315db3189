"""Whatever the program lists can be used, and listing it imports nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from compress.core import catalogue, shipped
from compress.core.errors import CompressError

LISTED = [(kind, name) for kind in catalogue.MARKS for name in catalogue.names(kind)]


@pytest.mark.parametrize(("kind", "name"), LISTED)
def test_everything_listed_is_found_under_its_name_and_has_a_summary(kind: str, name: str) -> None:
    assert catalogue.find(kind, name).name == name
    summary = catalogue.summary(kind, name)
    assert summary.endswith((".", "?"))
    assert len(summary) > 20


@pytest.mark.parametrize("kind", ["pipelines", "calibration", "benchmarks"])
def test_every_shipped_file_tells_what_it_is_in_its_first_line(kind: str) -> None:
    for name in shipped.names(kind):
        assert shipped.find(kind, name).read_text().startswith("# "), name


def test_an_unknown_name_is_answered_with_a_guess_and_the_names_there_are() -> None:
    with pytest.raises(
        CompressError, match=r"Unknown technique 'destill'\. Did you mean 'distill'\? There are: distill, "
    ):
        catalogue.find("techniques", "destill")


def _imported(*arguments: str) -> set[str]:
    code = (
        "import sys, json\nfrom compress.__main__ import main\n"
        f"sys.argv = ['compress', *{list(arguments)!r}]\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.strip().splitlines()[-1]))


HEAVY = {"torch", "transformers", "onnxruntime", "onnx", "datasets", "scipy", "sklearn", "pandas"}


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["--version"]])
def test_help_and_lists_import_neither_torch_nor_transformers(arguments: list[str]) -> None:
    assert not _imported(*arguments) & (HEAVY | {"numpy", "pydantic"})


@pytest.mark.parametrize("name", catalogue.names("techniques"))
def test_a_techniques_help_imports_neither_torch_nor_transformers(name: str) -> None:
    assert not _imported(name, "--help") & HEAVY
