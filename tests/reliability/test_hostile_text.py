"""Texts that want to be run, obeyed or shown in another order reach page, Markdown, CSV and terminal as harmless text."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from compress import report
from compress.cli import compress
from compress.core import shipped
from compress.core.artifact import MANIFEST
from tests.reliability import counts
from tests.reliability.commands import Commands
from tests.report.made_up import Made, int8, make
from tests.tiny import WORDS, write_model

HOSTILE = {
    "html": "<script>window.PWN=1</script><img src=x onerror=window.PWN=1>",
    "attribute": '" onmouseover="window.PWN=1" x=\'',
    "svg": "<svg onload=window.PWN=1><animate onbegin=window.PWN=1></svg>",
    "link": "[x](javascript:window.PWN=1)",
    "template": "{{ 7 * 7 }}{% for x in range(9) %}{% endfor %}${7*7}#{7*7}",
    "ansi": "\x1b[2J\x1b]0;title\x07\x1b[31m",
    "c1": "\x9b2J\x9d0;title\x9c",
    "carriage": "safe\rEVIL\x08\x08",
    "bidirectional": "user\u202egnp.exe\u2066x\u2069",
    "invisible": "a\u200bb\ufeffc\U000e0041",
    "formula": '=HYPERLINK("http://x","y")',
    "formula-at": "@SUM(1)",
    "formula-plus": "+1+cmd|'/c calc'!A0",
    "formula-minus": "-1+1",
    "table": "a | b\n| --- |\n# Title",
}
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)
"""What must not reach a terminal or a page as it is: controls but tab and line feed, bidirectional and invisible signs."""


class Page(HTMLParser):
    """The tags, attributes and scripts that a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.foreign: list[str] = []
        """Tags and attributes that could run or load something."""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self.scripts.append("")
            self.foreign += [f"script {name}" for name, _ in attrs]
        elif tag in {"img", "iframe", "object", "embed", "animate", "link", "form"}:
            self.foreign.append(tag)
        for name, value in attrs:
            if name.startswith("on") or (value or "").strip().lower().startswith("javascript:"):
                self.foreign.append(f"{tag} {name}")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts[-1] += data


def written(text: str, folder: Path) -> report.Report:
    """A report in which everything that a user or a file may name is called `text`."""
    variants = [Made(f"{text}{n}", 48, 4, 2.4, 23.1, steps=(int8("dynamic"),)) for n in range(2)]
    found = make(variants, rows=60, right=50, name=text)
    artifacts = []
    for one in found.artifacts:
        manifest = copy.deepcopy(dict(one.manifest))
        manifest["origin"]["model_type"] = text
        for step in manifest["steps"]:
            step["settings"] |= {"preset": text, text: text}
        artifacts.append(replace(one, manifest=manifest))
    task, suite = {**found.task, "name": text}, {**found.suite, "name": text}
    named = replace(found, artifacts=tuple(artifacts), task=task, suite=suite, notes=(text,))
    named.save(folder / "measured")
    return report.write([folder / "measured"], folder / "report.html", title=text)


@pytest.mark.parametrize("kind", HOSTILE)
def test_names_and_titles_are_text_in_every_form_of_the_report(kind: str, tmp_path: Path) -> None:
    made = written(HOSTILE[kind], tmp_path)
    page = made.html.read_text(encoding="utf-8")
    seen = Page(page)
    assert seen.foreign == []
    own = (shipped.folder("reports/templates") / "sort.js").read_text(encoding="utf-8").strip()
    assert seen.scripts == [own], "the page runs its own script and no other"
    markdown = made.markdown.read_text(encoding="utf-8")
    assert "<script" not in markdown
    assert "<img" not in markdown
    assert not re.search(r"(?<!\\)\]\(javascript:", markdown)
    table = made.csv.read_text(encoding="utf-8")
    for form, text in {"page": page, "Markdown": markdown, "CSV": table}.items():
        assert not UNSEEN.search(text), (form, UNSEEN.search(text))
        assert "49{" not in text, form  # a template's braces were computed
        assert "#{49}" not in text, form
    for row in csv.reader(io.StringIO(table)):
        for cell in row:
            assert not (cell[:1] in tuple("=@+-\t\r") and not _is_number(cell)), cell
    json.loads(made.json.read_text(encoding="utf-8"))
    counts.record("hostile text", kind=kind, where="report")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_that_a_file_names_reaches_the_terminal_unescaped(kind: str, tmp_path: Path) -> None:
    text = HOSTILE[kind]
    labels = {0: text, 1: f"{text} too"}
    model = write_model(
        tmp_path / "model", "bert", num_hidden_layers=1, id2label=labels, label2id={v: k for k, v in labels.items()}
    )
    runner = CliRunner()
    shown = [runner.invoke(compress, ["predict", str(model), f"the film {text}", WORDS[0]])]
    assert shown[0].exit_code == 0, shown[0].output
    artifact = tmp_path / "artifact"
    assert runner.invoke(compress, ["import", str(model), "-o", str(artifact), "-q"]).exit_code == 0
    said = json.loads((artifact / MANIFEST).read_text())
    said["origin"] |= {"name": text, "model_type": text}
    (artifact / MANIFEST).write_text(json.dumps(said))
    shown.append(runner.invoke(compress, ["inspect", str(artifact)]))
    plan = {"model": str(model), "task": {"name": text, "data": {"train": text}}, "steps": {text: {text: {text: text}}}}
    file = tmp_path / "plan.yaml"
    file.write_text(yaml.safe_dump(plan))
    shown.append(runner.invoke(compress, ["run", str(file), "--dry-run"]))
    for one in shown:
        assert not UNSEEN.search(one.output), repr(one.output[:600])
    counts.record("hostile text", kind=kind, where="terminal")


@pytest.mark.slow
def test_data_and_errors_reach_the_real_terminal_escaped(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", "bert", num_hidden_layers=1)
    commands = Commands(tmp_path)
    text = "".join(HOSTILE.values())
    (tmp_path / "data.csv").write_text(f"text,label\nfine,negative\nawful,{json.dumps(text)}\n", encoding="utf-8")
    task = {
        "name": "moods",
        "text": "text",
        "label": "label",
        "labels": ["negative", "positive"],
        "data": {"train": "data.csv", "evaluation": "data.csv"},
    }
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(task))
    for words in (
        ("predict", text),
        ("predict", model, "--json", text),
        ("finetune", model, "--task", "task.yaml", "-o", "out"),
        ("finetune", model, "--task", text, "-o", "out"),
        ("quantize", model, "-o", text[:60].replace("/", "").replace("\x00", ""), "--dry-run"),
    ):
        ended = commands.run(*words)
        assert "Traceback" not in ended.errors
        for stream in (ended.output, ended.errors):
            assert not UNSEEN.search(stream), (words[0], repr(stream[:600]))


@pytest.mark.slow
def test_no_script_of_a_name_runs_in_a_real_browser(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    made = written("".join(HOSTILE.values()), tmp_path)
    page = made.html.read_text(encoding="utf-8")
    # without the page's own policy, which forbids all scripts but its own: the escaping alone must hold
    page = re.sub(r"<meta[^>]*Content-Security-Policy[^>]*>", "", page)
    probe = "<script>document.title = 'PWN is ' + typeof window.PWN</script></body>"
    (tmp_path / "page.html").write_text(page.replace("</body>", probe), encoding="utf-8")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
    more = ("--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom")
    shown = subprocess.run(
        [browser, *flags, *more, (tmp_path / "page.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "PWN is undefined" in shown.stdout, shown.stdout[:300] + shown.stderr[-300:]
