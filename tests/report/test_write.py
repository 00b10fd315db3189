"""The written files: self-contained, safe with hostile texts, complete, and one verdict in all four."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from compress import report
from compress.core.errors import CompressError
from tests.report.made_up import EXPORT, USUAL, Made, MakeRun, compared, int8

HOSTILE = "<script>alert('x')</script><img src=http://evil.example/x>"


def written(measurements: Any, folder: Path, **more: Any) -> report.Report:
    measurements.save(folder / "measurements")
    return report.write([folder], folder / "report.html", **more)


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "img", "br", "hr", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_asks_the_network_for_nothing(make_run: MakeRun, tmp_path: Path) -> None:
    text = written(make_run(), tmp_path).html.read_text()
    page = Page(text)
    assert page.open == []
    assert not {"link", "img", "iframe", "object", "image"} & {tag for tag, _ in page.tags}
    assert "url(" not in text
    assert "@import" not in text
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")
    policy = next(given for tag, given in page.tags if given.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in (policy["content"] or "")


def test_hostile_names_and_notes_stay_text_everywhere(make_run: MakeRun, tmp_path: Path) -> None:
    variant = Made(HOSTILE, 745, 50, 4.6, 17.8, absent={"disk_bytes": HOSTILE}, steps=USUAL[3].steps)
    distil = compared()
    facts = distil["facts"]
    facts["teacher_effect"] = {**facts["teacher_effect"], "text": HOSTILE, "test": HOSTILE, "word": HOSTILE}
    facts["curves"] = {f"loss: {HOSTILE}": [[1, 2.0], [2, 1.0]], "loss": [[1, 2.0], [2, 1.0]]}
    facts |= {"student": HOSTILE, "teachers": {HOSTILE: 0.5, "b": 0.5}}
    taught = Made("taught", 745, 50, 4.6, 17.8, steps=(distil,))
    files = written(make_run([variant, taught], name=HOSTILE), tmp_path, title=HOSTILE)
    page = Page(files.html.read_text())
    tags = [tag for tag, _ in page.tags]
    assert (tags.count("script"), tags.count("img")) == (1, 0)
    assert "&lt;script&gt;" in files.html.read_text()
    assert "<script" not in files.markdown.read_text()
    assert "<img" not in files.markdown.read_text()


def test_every_link_within_the_page_leads_somewhere(make_run: MakeRun, tmp_path: Path) -> None:
    page = Page(written(make_run(options=("ours", "default")), tmp_path).html.read_text())
    ids = [given["id"] for _, given in page.tags if given.get("id")]
    links = [str(given["href"]) for _, given in page.tags if given.get("href")]
    assert len(ids) == len(set(ids))
    assert links
    assert all(link.removeprefix("#") in ids for link in links)


def test_every_picture_is_well_formed_and_says_in_words_what_it_shows(make_run: MakeRun, tmp_path: Path) -> None:
    text = written(make_run(), tmp_path).html.read_text()
    plots = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    # Quality against speed, differences and speeds, each at two widths, and two learning curves.
    assert len(plots) == 2 * 3 + 2
    for plot in plots:
        root = ElementTree.fromstring(plot)
        assert root.get("role") == "img"
        assert root.find("title") is not None
        assert root.findtext("desc")
        assert "nan" not in plot.lower().replace("nano", "")


def taught(**more: Any) -> list[Made]:
    """A student that was also trained without its teacher, and what was made of it."""
    distil = compared(**more)
    return [
        Made("student", 752, 40, 1.93, 69.6, steps=(distil, EXPORT), precision="fp32"),
        Made("student-int8", 745, 50, 4.62, 17.8, parent="student", steps=(distil, EXPORT, int8("dynamic"))),
    ]


def test_a_student_with_and_without_its_teacher_is_on_the_page_in_the_json_and_in_the_csv(
    make_run: MakeRun, tmp_path: Path
) -> None:
    files = written(make_run(taught()), tmp_path)
    [effect] = [
        step["teacher_effect"]
        for step in json.loads(files.json.read_text())["runs"][0]["steps"]
        if step["teacher_effect"]
    ]
    page = files.html.read_text()
    assert page.count('<p class="effect">') == 1
    assert f'<p class="effect">{effect["text"]}</p>' in page
    assert page.count("With and without the teacher") >= 1
    for value in effect["metrics"]["accuracy"]["taught"]["values"]:
        assert f"{value * 100:.2f}" in page
    with files.csv.open(newline="") as stream:
        lines = {line["name"]: line for line in csv.DictReader(stream)}
    for name in ("student", "student-int8"):
        assert float(lines[name]["teacher_effect_accuracy_points"]) == pytest.approx(100 * effect["difference"])
        assert lines[name]["teacher_effect_accuracy_verdict"] == effect["word"]
        assert lines[name]["teacher_effect_seeds"] == "3"
    assert lines["fp32-onnx"]["teacher_effect_accuracy_points"] == ""


@pytest.mark.parametrize(
    "more",
    [
        {"taught": (0.9,), "plain": (0.8,)},
        {"task": "mrpc", "taught": (0.86, 0.85), "plain": (0.87, 0.90)},
        {"taught": (0.88,) * 10, "plain": (0.88,) * 10},
    ],
    ids=["one seed", "two metrics", "ten seeds"],
)
def test_pages_with_and_without_the_teacher_are_well_formed(
    make_run: MakeRun, tmp_path: Path, more: dict[str, Any]
) -> None:
    text = written(make_run(taught(**more)), tmp_path).html.read_text()
    page = Page(text)
    assert page.open == []
    ids = [given["id"] for _, given in page.tags if given.get("id")]
    assert len(ids) == len(set(ids))
    assert {str(given["href"])[1:] for _, given in page.tags if given.get("href")} <= set(ids)
    for plot in re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL):
        ElementTree.fromstring(plot)
        assert "nan" not in plot.lower()
    table = text[text.index('<table class="seeds">') :]
    columns = table[: table.index("</thead>")].count("<th ")
    rows = re.findall(r"<tr.*?</tr>", table[table.index("<tbody>") : table.index("</table>")], flags=re.DOTALL)
    assert len(rows) == len(more["taught"]) + (2 if len(more["taught"]) > 1 else 0)
    assert all(len(re.findall("<t[dh] ", row)) == columns for row in rows)


def test_an_effect_that_could_not_be_judged_says_why(make_run: MakeRun, tmp_path: Path) -> None:
    from compress.core import catalogue
    from compress.distillation.ablation import Run, effect, metrics_of

    labels = [float(n % 7) for n in range(50)]
    metrics = metrics_of(catalogue.find("tasks", "stsb"))
    found = effect(metrics, labels, [Run(True, 0, [1.0] * 50), Run(False, 0, labels)])
    step = compared()
    step["facts"] = {**step["facts"], "teacher_effect": found}
    files = written(make_run([Made("student", 752, 40, 1.9, 69, steps=(step, EXPORT))]), tmp_path)
    assert "gain is unknown" in files.html.read_text()
    assert "Not judged: pearson of a distilled student is undefined" in files.html.read_text()
    with files.csv.open(newline="") as stream:
        assert [line["teacher_effect_pearson_points"] for line in csv.DictReader(stream)] == ["", "", ""]


def test_a_loss_and_its_terms_share_one_picture_and_each_stage_has_its_own(make_run: MakeRun, tmp_path: Path) -> None:
    text = written(make_run(taught()[:1]), tmp_path).html.read_text()
    curves = text[text.index("<h2>Learning curves</h2>") :]
    titles = re.findall(r"<figcaption>Step \d+, distil to 3 layers: (.*?)</figcaption><svg", curves)
    assert titles == ["stage 1 loss and its terms", "loss and its terms", "accuracy on held-out rows, points"]
    first, second, held_out = re.findall(r"<svg.*?</svg>", curves, flags=re.DOTALL)[:3]
    for plot, names in (
        (first, ["stage 1 loss", "hidden states", "attention", "embeddings"]),
        (second, ["loss", "soft targets", "labels"]),
        (held_out, []),
    ):
        assert sorted(re.findall(r'class="line-name">(.*?)<', plot)) == sorted(names)


def test_what_a_distillation_tells_stands_in_one_line(make_run: MakeRun, tmp_path: Path) -> None:
    files = written(make_run(taught()[:1]), tmp_path)
    line = (
        "Student: layers 1, 3 and 5 of the teacher. Teachers: ../models/minilm-sst2, ../models/large-sst2. Training rows: "
        "12,000 (15.8\u00a0%) labelled by the teacher alone, 6,000 (7.9\u00a0%) augmented by the task's own words. "
        "The teacher's answers lay in the cache: 4 min 3 s saved."
    )
    assert line.replace("'", "&#39;") in files.html.read_text()
    assert line in [one["story"] for one in json.loads(files.json.read_text())["runs"][0]["steps"]]


def test_texts_that_were_left_out_are_counted(make_run: MakeRun, tmp_path: Path) -> None:
    step = {"technique": "distill", "facts": {"min_confidence": {"least": 0.9, "left_out": 1_200, "of": 12_000}}}
    files = written(make_run([Made("student", 752, 40, 1.9, 69, steps=(step, EXPORT))]), tmp_path)
    line = "Unlabelled texts left out: 1,200 (10.0\u00a0%), whose most likely class has a probability below 0.9."
    assert line in files.html.read_text()


@pytest.mark.parametrize("odd", [None, 3, "none", {"text": "only"}, ["a"], {"rows": {}}])
def test_facts_of_another_shape_are_shown_as_they_are(make_run: MakeRun, tmp_path: Path, odd: Any) -> None:
    names = (
        "teacher_effect",
        "student",
        "teachers",
        "rows_unlabelled",
        "rows_augmented",
        "teacher_seconds_saved",
        "min_confidence",
    )
    step = {"technique": "distill", "facts": dict.fromkeys(names, odd)}
    files = written(make_run([Made("odd", 752, 40, 1.9, 69, steps=(step, EXPORT))]), tmp_path)
    page = files.html.read_text()
    assert "<dt>teacher_effect</dt>" in page
    assert 'class="effect"' not in page


def test_every_absent_value_has_a_dash_with_its_reason_and_a_note(make_run: MakeRun, tmp_path: Path) -> None:
    variant = Made("bf16", 770, 2, 1.2, 45, absent={"latency_seconds": "no bf16 kernels here"})
    text = written(make_run([variant]), tmp_path).html.read_text()
    assert '<abbr title="no bf16 kernels here">–</abbr>' in text
    assert "<li>Latency, one text at a time: no bf16 kernels here.</li>" in text


def test_json_is_strict_and_says_the_same_as_the_page(make_run: MakeRun, tmp_path: Path) -> None:
    files = written(make_run(), tmp_path, budget={"max_drop": 1.0, "min_speedup": 2})
    told = json.loads(files.json.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert (told["format"], told["schema_version"]) == ("compress-report", 2)
    run = told["runs"][0]
    assert run["lead"] in files.markdown.read_text().replace("\\", "")
    assert run["budget"]["winners"] == ["int8-dynamic"]
    assert [one["name"] for one in run["artifacts"]][:3] == ["fp32-torch", "fp32-onnx", "student"]
    student = run["artifacts"][2]
    assert student["quality_share"]["accuracy"]["difference"]["word"] == "worse"
    assert student["speeds"][0]["times_as_fast"]["value"] == 1.93
    assert all((one["p99_seconds"]["value"] is None) == bool(one["p99_seconds"]["absent"]) for one in student["speeds"])


def test_csv_has_a_line_for_each_artifact_and_runs_no_formula(make_run: MakeRun, tmp_path: Path) -> None:
    formula = Made("=cmd|' /C calc'!A0", 745, 50, 4.6, 17.8, absent={"accuracy": "+1"})
    files = written(make_run([formula]), tmp_path)
    with files.csv.open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["name"] for line in lines] == ["fp32-torch", "fp32-onnx", "'=cmd|' /C calc'!A0"]
    assert lines[2]["accuracy"] == ""
    assert "accuracy: +1" in lines[2]["absent"]
    assert lines[1]["size_mb"] == "91.2"
    for line in lines:
        for value in line.values():
            assert value[:1] not in {"=", "@", "+"}
            assert value[:1] != "-" or float(value) < 0


def test_runs_are_never_compared_with_one_another(make_run: MakeRun, tmp_path: Path) -> None:
    make_run(USUAL[:1]).save(tmp_path / "one")
    make_run(USUAL[1:2]).save(tmp_path / "deep" / "two")
    files = report.write([tmp_path], tmp_path / "out")
    told = json.loads(files.json.read_text())
    assert len(told["runs"]) == 2
    assert all(len(run["artifacts"]) == 3 for run in told["runs"])
    assert "within one run only" in files.html.read_text()
    assert files.html == tmp_path / "out" / "report.html"


def test_an_artifact_that_was_never_measured_is_listed(make_run: MakeRun, tmp_path: Path) -> None:
    for name in ("forgotten", "unfinished.partial", ".compress-cache"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text('{"fingerprint": "feed"}')
    files = written(make_run(), tmp_path)
    assert [Path(one["folder"]).name for one in json.loads(files.json.read_text())["unmeasured"]] == ["forgotten"]


def test_no_variant_one_variant_and_ten_all_make_a_report(make_run: MakeRun, tmp_path: Path) -> None:
    for count in (0, 1, 10):
        variants = [Made(f"v{n}", 770 - 3 * n, 5 + 4 * n, 1.5 + n / 3, 91 / (1 + n)) for n in range(count)]
        assert written(make_run(variants), tmp_path / str(count)).html.stat().st_size > 10_000


def test_a_large_split_is_reported(make_run: MakeRun, tmp_path: Path) -> None:
    big = Made("big", 36_500, 500, 2.0, 20)
    files = written(make_run([big], rows=40_000, right=36_700), tmp_path)
    assert "40,000 examples" in files.html.read_text()


def test_the_files_name_no_absolute_path_of_the_machine_they_were_made_on(make_run: MakeRun, tmp_path: Path) -> None:
    measurements = make_run()
    artifacts = [replace(one, folder=f"/home/someone/{one.folder}") for one in measurements.artifacts]
    task = {**measurements.task, "data": "/home/someone/secret/SST-2"}
    for file in written(replace(measurements, task=task, artifacts=tuple(artifacts)), tmp_path):
        assert "/home/someone" not in file.read_text()
        assert str(tmp_path) not in file.read_text()


def test_disturbed_timings_are_told_beside_the_speed_they_concern(make_run: MakeRun, tmp_path: Path) -> None:
    measurements = make_run(USUAL[1:2])
    noted = [
        replace(one, notes=("3 of 7 rounds were disturbed",)) if one.name == "speedup" else one
        for one in measurements.measurements
    ]
    files = written(replace(measurements, measurements=tuple(noted)), tmp_path)
    assert "<li>3 of 7 rounds were disturbed.</li>" in files.html.read_text()


def test_a_report_without_measurements_says_how_to_make_some(tmp_path: Path) -> None:
    with pytest.raises(CompressError, match="compress benchmark"):
        report.write([tmp_path], tmp_path / "report.html")
    with pytest.raises(CompressError, match="does not exist"):
        report.write([tmp_path / "nowhere"], tmp_path / "report.html")


@pytest.mark.parametrize("name", ["measurements.html", "manifest.html", "report.pdf"])
def test_a_report_never_writes_over_measurements_or_under_another_kind_of_name(
    make_run: MakeRun, tmp_path: Path, name: str
) -> None:
    make_run().save(tmp_path)
    before = (tmp_path / "measurements.json").read_bytes()
    with pytest.raises(CompressError):
        report.write([tmp_path], tmp_path / name)
    assert (tmp_path / "measurements.json").read_bytes() == before


def test_a_report_needs_neither_torch_nor_transformers_nor_a_runtime(make_run: MakeRun, tmp_path: Path) -> None:
    make_run(metrics=("accuracy", "f1")).save(tmp_path)
    program = (
        "import sys; from pathlib import Path; from compress import report; "
        f"report.write([Path({str(tmp_path)!r})], Path({str(tmp_path / 'report.html')!r})); "
        "found = {'torch', 'transformers', 'onnxruntime', 'onnx', 'datasets'} & set(sys.modules); "
        "sys.exit(f'imported {found}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_page_that_is_no_report_of_ours_is_not_written_over_and_one_of_ours_is(
    make_run: MakeRun, tmp_path: Path
) -> None:
    make_run().save(tmp_path / "runs")
    page = tmp_path / "page.html"
    page.write_text("<p>my thesis")
    with pytest.raises(CompressError, match="not a report made by compress"):
        report.write([tmp_path / "runs"], page)
    assert page.read_text() == "<p>my thesis"
    page.unlink()
    for title in ("first", "second"):
        report.write([tmp_path / "runs"], page, title=title)
    assert "second" in page.read_text()


def test_a_file_beside_the_page_that_is_no_report_of_ours_is_not_written_over(
    make_run: MakeRun, tmp_path: Path
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("mine")
    make_run().save(tmp_path / "runs")
    with pytest.raises(CompressError, match="not a report made by compress"):
        report.write([tmp_path / "runs"], tmp_path / "README.html")
    assert readme.read_text() == "mine"


def test_somebodys_page_about_compress_is_not_taken_for_a_report(make_run: MakeRun, tmp_path: Path) -> None:
    page = tmp_path / "notes.html"
    page.write_text("<p>I ran <code>compress report runs</code>, and learnt")
    make_run().save(tmp_path / "runs")
    with pytest.raises(CompressError, match="not a report made by compress"):
        report.write([tmp_path / "runs"], page)
    assert "and learnt" in page.read_text()


@pytest.mark.parametrize(("suffix", "text"), [(".md", "# My notes"), (".csv", "a,b"), (".json", '{"mine": 1}')])
def test_what_somebody_put_in_the_place_of_a_file_beside_the_page_is_not_written_over(
    make_run: MakeRun, tmp_path: Path, suffix: str, text: str
) -> None:
    make_run().save(tmp_path / "runs")
    page = tmp_path / "page.html"
    report.write([tmp_path / "runs"], page)
    page.with_suffix(suffix).write_text(text)
    with pytest.raises(CompressError, match="not a report made by compress"):
        report.write([tmp_path / "runs"], page)
    assert page.with_suffix(suffix).read_text() == text


def test_a_report_does_not_become_a_models_settings(make_run: MakeRun, tmp_path: Path) -> None:
    make_run().save(tmp_path / "runs")
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(CompressError, match="would be inside a model's folder"):
        report.write([tmp_path / "runs"], tmp_path / "generation_config.html")


UNSEEN = "\x1b[2J\u202e\u200b\u2066\x9b\U000e0041"


def test_control_and_bidirectional_characters_are_shown_in_every_file(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(USUAL[:1])
    named = tuple(replace(one, name=f"{one.name}{UNSEEN}") for one in run.artifacts)
    files = written(replace(run, artifacts=named, notes=(f"a note {UNSEEN}",)), tmp_path, title=f"Title {UNSEEN}")
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert not set(UNSEEN[0] + UNSEEN[4:]) & set(text)
        assert "\\u202e" in text
    assert any(UNSEEN in one["name"] for one in json.loads(files.json.read_text())["runs"][0]["artifacts"])


def test_what_somebody_changed_in_a_file_of_measurements_is_shown_or_refused(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(USUAL[:1])
    last = run.artifacts[-1]
    (step,) = last.manifest["steps"][-1:]
    manifests = [
        {**last.manifest, "steps": 5},
        {**last.manifest, "steps": ["x"], "origin": [1]},
        {**last.manifest, "steps": [{**step, "facts": "x", "settings": [1]}]},
        {**last.manifest, "steps": [{**step, "facts": {"curves": {"loss": [["x", {}], 5]}, "student": 5}}]},
    ]
    changed = [replace(run, artifacts=(*run.artifacts[:-1], replace(last, manifest=one))) for one in manifests]
    changed += [replace(run, suite={"options": 5}, machine={"packages": 5}), replace(run, task={"metrics": {}})]
    for number, one in enumerate(changed):
        with contextlib.suppress(CompressError):
            written(one, tmp_path / str(number))


def test_the_markdown_fits_a_pull_request(make_run: MakeRun, tmp_path: Path) -> None:
    files = written(make_run(), tmp_path)
    text = files.markdown.read_text()
    assert len(text.encode()) < 3000
    header = next(line for line in text.splitlines() if line.startswith("|"))
    assert header.count("|") == 7
    assert json.loads(files.json.read_text())["runs"][0]["lead"] in text.replace("\\", "")
    assert "Accepted loss" in text
    assert "\\_" not in text
