"""A technique's help shows each option under a heading, and no option that does not apply."""

from __future__ import annotations

import re

import click
import pytest
from click.testing import CliRunner

from compress.cli import compress
from compress.cli.commands import technique_command
from compress.cli.options import FIRST, LAST
from compress.core import catalogue
from compress.core.headings import HEADINGS, grouped
from compress.core.setting_names import FORMER

TECHNIQUES = catalogue.names("techniques")


def page(name: str) -> str:
    return CliRunner().invoke(compress, [name, "--help"]).output


def sections(name: str) -> dict[str, set[str]]:
    """The options of a help by heading."""
    parts = re.split(r"^(\S.*):$", page(name).split("\n  Example:")[0], flags=re.MULTILINE)[1:]
    return {
        heading: set(re.findall(r"^  (?:-\w, )?--([a-z0-9-]+)", text, re.MULTILINE))
        for heading, text in zip(parts[::2], parts[1::2], strict=True)
    }


@pytest.mark.parametrize("name", TECHNIQUES)
def test_each_setting_stands_under_one_heading(name: str) -> None:
    found = sections(name)
    settings = catalogue.find("techniques", name).settings
    listed = [option for options in found.values() for option in options]
    assert sorted(listed) == sorted(set(listed))
    for heading, names in grouped(settings).items():
        assert {one.replace("_", "-") for one in names} <= found[heading]
    assert set(found) - set(HEADINGS) <= {FIRST, LAST, settings.HEADING}


@pytest.mark.parametrize("name", ["distill", "prune", "qat"])
def test_the_long_helps_have_headings_of_a_page_at_most(name: str) -> None:
    found = sections(name)
    assert {"Teacher and loss", "Generation (generative models)", "Data", "Training", "Advanced"} <= set(found)
    assert max(len(options) for options in found.values()) <= 12
    assert list(found)[:2] == ["Output", catalogue.find("techniques", name).settings.HEADING]


def test_what_does_not_apply_is_not_shown() -> None:
    assert "--decoder-layers" not in page("qat")
    assert "--decoder-layers" in page("distill")


@pytest.mark.parametrize("name", FORMER)
def test_former_names_are_read_and_not_shown(name: str) -> None:
    command = technique_command(name)
    options = {one.name: one for one in command.params if isinstance(one, click.Option)}
    shown = page(name)
    for former in FORMER[name].values():
        assert options[former.name].hidden
        assert f"--{former.name.replace('_', '-')} " not in shown


def test_an_option_typed_by_its_former_name_arrives_under_the_new_one() -> None:
    words = ["quantize", "nowhere", "-o", "x", "--integer-inputs", "--block", "48", "--precision", "int4"]
    told = CliRunner().invoke(compress, [*words, "--mode", "weights"])
    assert "--group-size 48: must be 16, 32, 64, 128" in str(told.exception)
    first, *changes = told.stderr.splitlines()
    assert first.startswith("quantize: reading nowhere")
    assert changes == [
        f"compress quantize: {change}. The old name will be removed in the next release."
        for change in ("--block is now --group-size", "--integer-inputs is now --accuracy-level 4")
    ]
