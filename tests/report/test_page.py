"""The page's structure: what its first screen says, how its tables are built, and that its script is the one it allows."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from compress.measure.quantities import CHANGED, measured
from tests.report.made_up import USUAL, Made, MakeRun, int8, make
from tests.report.test_write import Page, written

GOOD = Made("good", 7720, 30, 2.5, 23.0, steps=(int8("dynamic"),))
"""Twenty rows better of 8,720: shown to be not worse than a point."""
ALSO_GOOD = Made("also-good", 7710, 30, 2.1, 30.0, steps=(int8("static"),))
WORSE = (replace(USUAL[0], right=7300, flips=500), replace(USUAL[3], right=7280, flips=500))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page that recommends a variant, with a runner-up and two that are worse."""
    run = make([ALSO_GOOD, GOOD, *WORSE], rows=8720, right=7700)
    return written(run, tmp_path_factory.mktemp("report")).html.read_text()


def words_of(html: str) -> str:
    """What somebody reads, without markup."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def part(page: str, start: str, end: str) -> str:
    return page[page.index(start) : page.index(end, page.index(start))]


def test_the_policy_allows_the_pages_own_script_and_no_other(page: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    policy = next(
        str(given["content"])
        for tag, given in Page(page).tags
        if tag == "meta" and given.get("http-equiv") == "Content-Security-Policy"
    )
    directives = dict(one.strip().split(" ", 1) for one in policy.split(";"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == f"'sha256-{digest}'"


def test_the_table_has_six_columns_and_every_row_as_many_cells(page: str) -> None:
    table = part(page, '<table class="variants">', '<h2 id="run-1-plots">')
    head = part(table, "<thead>", "</thead>")
    assert [words_of(one) for one in re.findall(r"<th .*?</th>", head)] == [
        "Variant",
        "Accuracy",
        "Speed",
        "Latency",
        "Size",
        "Memory",
    ]
    rows = re.findall(r'<tr class="main">.*?</tr>', table, flags=re.DOTALL)
    assert len(rows) == 6
    assert {len(re.findall(r"<t[dh] ", row)) for row in rows} == {6}


def test_rows_are_ordered_by_rank_below_the_uncompressed_model_and_the_recommended_one_is_marked(page: str) -> None:
    table = part(page, '<table class="variants">', '<h2 id="run-1-plots">')
    names = re.findall(r'<tr class="main">\s*<th scope="row">(.*?)[ <]', table)
    assert names[:2] == ["fp32-torch", "fp32-onnx"]
    assert names[2] == "good"
    assert set(names[-2:]) == {"student", "student-int8"}
    (marked,) = re.findall(r'<tbody class="variant recommended".*?</tbody>', table, flags=re.DOTALL)
    assert 'scope="row">good <span class="mark recommended">recommended</span>' in marked


def test_the_baseline_is_not_judged_against_itself(page: str) -> None:
    table = part(page, '<table class="variants">', '<h2 id="run-1-plots">')
    bases = re.findall(r'<tbody class="base".*?</tbody>', table, flags=re.DOTALL)
    for base in bases:
        main = part(base, '<tr class="main">', "</tr>")
        assert 'class="word' not in main
        assert "0.00 (0.00" not in main
        assert "1.00×" not in main


def test_p99_is_left_out_where_no_row_has_it_and_said_once(page: str) -> None:
    assert ">p99<" not in page
    assert page.count("p99 is left out") == 1


def test_conditions_and_dates_are_in_words(page: str) -> None:
    body = words_of(re.sub(r"<style>.*?</style>|<script>.*?</script>", "", page, flags=re.DOTALL))
    assert "23 Nov 2026, 02:10 UTC" in body
    assert "32 texts of 64 tokens" in body
    for coded in ("b1 real", "32×64", "32x64", "2026-11-23T"):
        assert coded not in body


def test_the_first_screen_says_what_the_verdict_rests_on(page: str) -> None:
    first = words_of(part(page, 'class="lead"', '<h2 id="run-1-variants">'))
    for said in (
        "Accepted loss 1 point of accuracy",
        "98.8 % each: 95 % for all 4 variants together",
        "8,720 examples",
    ):
        assert said in first
    for said in ("as fast as fp32 ONNX", "as fast as torch", "smaller than fp32 ONNX", "ms →", "MB →", "runs/good"):
        assert said in first


def test_a_cards_intervals_name_their_level(page: str) -> None:
    cards = words_of(part(page, '<ul class="cards">', "</ul>"))
    assert re.search(r"points [−+\d.]+ to [−+\d.]+, 98\.8.% interval", cards)
    assert len(re.findall(r"as fast as (?:fp32 ONNX|torch) [\d.]+ to [\d.]+, 95.% interval", cards)) == 4


def test_a_card_says_which_ratios_were_not_measured_and_why(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run([Made("int8", 769, 2, 2.5, 20)])
    refused = [
        replace(one, value=None, interval=None, absent="the machine was busy") if one.name == "speedup" else one
        for one in run.measurements
    ]
    text = written(replace(run, measurements=tuple(refused)), tmp_path).html.read_text()
    cards = words_of(part(text, '<ul class="cards">', "</ul>"))
    for name in ("fp32 ONNX", "torch"):
        assert f"– not measured against {name}" in cards
    assert "as fast as" not in cards
    assert "the machine was busy" in cards


@pytest.mark.parametrize(("megabytes", "said"), [(45.6, "2.0× smaller than fp32"), (90.0, "0.99× the size of fp32")])
def test_a_card_calls_a_model_smaller_where_the_first_sentence_does(
    megabytes: float, said: str, make_run: MakeRun, tmp_path: Path
) -> None:
    text = written(make_run([Made("int8", 769, 2, 2.5, megabytes)]), tmp_path).html.read_text()
    assert said in words_of(part(text, '<ul class="cards">', "</ul>"))
    (cell,) = re.findall(
        r'<td class="number" data-column="Size">.*?</td>', text[text.index(">int8 <span") :], re.DOTALL
    )[:1]
    assert words_of(cell).endswith(said.split(" than")[0].split(" of")[0])


def test_the_details_count_the_answers_that_differ_one_text_at_a_time(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run([Made("int8", 769, 2, 2.5, 20)])
    mine = next(one.fingerprint for one in run.artifacts if one.name == "int8")
    changed = measured(mine, CHANGED, 3, {"batch": 1, "against_batch": 32}, samples=200)
    text = written(replace(run, measurements=(*run.measurements, changed)), tmp_path).html.read_text()
    assert text.count("<dt>Answers that differ one text at a time</dt>\n<dd>3 of 200 examples</dd>") == 1


def test_the_rules_of_choice_are_folded_below(page: str) -> None:
    assert "How the recommendation is chosen" in part(page, '<details class="part" id="reading">', "</details>")


def test_settings_at_their_defaults_are_folded(make_run: MakeRun, tmp_path: Path) -> None:
    step = {"technique": "distill", "settings": {"epochs": 7, "seed": 0, "temperature": None}, "facts": {}}
    text = written(make_run([Made("tuned", 770, 3, 2.0, 40, steps=(step, int8("dynamic")))]), tmp_path).html.read_text()
    (made,) = re.findall(
        r'<details class="step"[^>]*>\s*<summary>Step \d: distil .*?\n</details>\n<', text, flags=re.DOTALL
    )
    changed, defaults = made.split('<details class="defaults">')
    assert "<dt>epochs</dt>" in changed
    assert "<dt>seed</dt>" not in changed
    assert "and 2 defaults" in defaults
    assert "<dt>seed</dt>" in defaults


def test_no_folded_part_is_open_at_first(page: str) -> None:
    assert "<details" in page
    assert not re.search(r"<details[^>]*\bopen\b", page)


def test_the_headings_go_down_by_one_level_at_a_time(page: str) -> None:
    levels = [int(tag[1]) for tag, _ in Page(page).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
