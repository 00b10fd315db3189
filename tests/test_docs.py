"""What the documents tell a user to type exists, and what they link to is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from compress.cli import compress
from compress.cli.doctor import TESTED

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*/README.md"))]
NO_COMMANDS = ("compress --help", "compress average")
"""Of the whole program; of the page that tells how a technique, called `average` there, is added."""
COMMANDS = [
    pytest.param(page, line, id=f"{page.relative_to(ROOT)}: {line[:60]}")
    for page in PAGES
    for line in dict.fromkeys(
        [
            *re.findall(r"^(?:\$ | {4,})(compress [^\n`#]+)", page.read_text(encoding="utf-8"), re.MULTILINE),
            *(" ".join(one.split()) for one in re.findall(r"`(compress [^`#]+)`", page.read_text(encoding="utf-8"))),
        ]
    )
    if line not in NO_COMMANDS
]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_every_command_in_the_documents_parses(page: Path, line: str) -> None:
    words = shlex.split(line.replace("TECHNIQUE", "distill").replace("NAME", "quickstart"))
    command = compress.get_command(None, words[1].strip(",."))
    assert command is not None, words[1]
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    known = {flag for parameter in shown for flag in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.split("=")[0] for word in words[2:] if word.startswith("-")} - {"--help", "-h", "-"} <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_holds_both_sides_of_a_merge(page: Path) -> None:
    assert not re.findall(r"^(?:<{7}|={7}$|>{7})", page.read_text(encoding="utf-8"), re.MULTILINE)


ORDERED = [ROOT / "README.md", *(page for page in PAGES if page != ROOT / "README.md" and page.name != "adding.md")]
"""In the order in which a newcomer reads: the first page, then any other. What to type when adding code is not run."""
YOURS = re.compile(r"[A-Z][A-Z_-]+(\.yaml)?")
"""A name in capitals stands for the reader's own model, folder or file."""


def typed(page: Path) -> list[list[str]]:
    """The commands of a page, of `compress` and of `make`, in order, each as its words."""
    text = page.read_text(encoding="utf-8")
    lines = re.findall(r"^(?:\$ |`|    (?=compress ))((?:compress|make) [^\n`#]+)", text, re.MULTILINE)
    return [shlex.split(line) for line in lines if "NAME" not in line and "TECHNIQUE" not in line]


def made_by(pipeline: str) -> set[str]:
    """The folders that a shipped pipeline makes, and what lies in them."""
    steps = yaml.safe_load((ROOT / "pipelines" / f"{pipeline}.yaml").read_text(encoding="utf-8"))["steps"]
    return {f"runs/{pipeline}", *(f"runs/{pipeline}/{step}" for step in steps)}


@pytest.mark.parametrize("page", ORDERED, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_reads_what_an_earlier_one_has_made(page: Path) -> None:
    known = {"demo", "reviews.csv"} | made_by("quickstart-summarize")
    for words in [
        *typed(ROOT / "README.md"),
        *(typed(page) if page.name != "README.md" or page.parent != ROOT else []),
    ]:
        if words[:2] == ["make", "quickstart"]:
            known |= made_by("quickstart")
        if words[0] == "make":
            continue
        if words[:3] == ["compress", "run", "mine.yaml"]:
            known.add("runs/mine/student-int8")  # of `compress init`; tests/test_readme.py runs it
        command = compress.get_command(None, words[1])
        assert command is not None
        given = command.make_context(words[1], words[2:], resilient_parsing=True).params
        read = [given.get(name) for name in ("source", "artifact", "teacher", "student", "adapter", "data")]
        read += [*(given.get("artifacts") or ()), *(given.get("sources") or ())]
        for one in filter(None, map(str, filter(None, read))):
            there = one in known or YOURS.fullmatch(one) or (ROOT / one).is_file()
            assert there, f"{' '.join(words)}: nothing before it makes {one}"
        for change in given.get("changes") or ():
            value = change.split("=", 1)[1]
            assert "/" not in value or YOURS.search(value), f"{' '.join(words)}: {value} is nobody's folder"
        if given.get("out"):
            known.add(str(given["out"]))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_between_the_documents_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def data_page() -> str:
    return (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


def test_the_table_of_a_tasks_keys_is_the_settings_that_there_are() -> None:
    from compress.data.description import OF_ANY_TASK
    from compress.tasks import kinds
    from compress.tasks.kinds.template import LABELLED

    rows = re.findall(r"^\| (all|own|labels|several|text) \| `(\w+)` \|", data_page(), re.MULTILINE)
    own = ("kind", "labels", "range")
    expected = {key: "several" for one in kinds.templates().values() for key in one.own_keys}
    expected |= {key: "text" for one in kinds.templates().values() for key in one.keys}
    expected |= {**dict.fromkeys(OF_ANY_TASK, "all"), **dict.fromkeys(LABELLED, "labels"), **dict.fromkeys(own, "own")}
    assert {key: whose for whose, key in rows} == expected
    assert len(rows) == len(expected)


def test_the_table_of_a_tasks_keys_tells_their_defaults() -> None:
    from compress.tasks.task import Generation, Task

    defaults = dict(re.findall(r"^\| \w+ \| `(\w+)` \| .*? \| ([^|]*) \| [^|]*\|$", data_page(), re.MULTILINE))
    task = Task(name="x", kind="classification", text_columns=("t",), label_column="l", metrics=("accuracy",))
    for key in ("holdout", "seed", "bad_rows", "allow_overlap"):
        assert defaults[key].strip("`") == str(getattr(task, key)).lower(), key
    for key in ("max_source", "max_target", "empty"):
        assert defaults[key].strip("`") == str(getattr(Generation(), key)), key


@pytest.mark.parametrize("block", re.findall(r"^```yaml\n(.*?)^```", data_page(), re.MULTILINE | re.DOTALL))
def test_every_description_on_the_page_about_data_is_a_task(block: str) -> None:
    from compress.data.loading import resolve

    task, _ = resolve(yaml.safe_load(block))
    assert task.files or task.name == "answers"


def test_every_target_of_make_that_the_readme_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake ([a-z]+)\b", (ROOT / "README.md").read_text(encoding="utf-8"))) - {"it"}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_page_on_the_architecture_names_files_and_functions_that_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.split("## Where to change what")[1].split("\n## ")[0]
    named = re.findall(r"`(compress/[\w/.]+)`(?:, `(\w+)`)?", table)
    assert len(named) >= 10
    for path, name in named:
        assert (ROOT / path).exists(), path
        assert not name or re.search(rf"^ *(def|class) {name}\b", (ROOT / path).read_text(encoding="utf-8"), re.M), name


def test_the_doctor_knows_the_tested_versions() -> None:
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"
    )
    assert {name: pinned[name] for name in TESTED} == TESTED


def test_the_data_folders_name_the_code_that_reads_them_in_their_first_line() -> None:
    for folder in ("pipelines", "calibration", "benchmarks", "reports"):
        first = (ROOT / folder / "README.md").read_text(encoding="utf-8").splitlines()[0]
        named = re.search(r"compress/[a-z_/]+(\.py)?", first)
        assert named, first
        assert (ROOT / named[0]).exists()
