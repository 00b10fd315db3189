"""Reports of generative models: their scores on their own scales, what copying would score, and how fast tokens come."""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import report
from compress.core.measurement import Measurements
from compress.metrics.metric import find
from compress.report import degenerate_outputs as collapse
from compress.report import lineage, outputs
from compress.report.comparison import Row, compare
from compress.report.recommendations import latency_front
from compress.report.scales import Scale
from tests.report.made_up_generative import (
    COLLAPSED,
    GENERATORS,
    ROUNDS,
    ROWS,
    Generator,
    bases,
    decoders,
    references_of,
    summarizers,
    texts_of,
    write_outputs,
)
from tests.report.test_terminal import shown
from tests.report.test_write import HOSTILE, Page, written


@pytest.fixture(scope="module")
def summaries() -> Measurements:
    """A run of summarizers, one of which has collapsed."""
    return summarizers((*GENERATORS, COLLAPSED))


@pytest.fixture(scope="module")
def scored() -> Measurements:
    """The same with more metrics."""
    return summarizers((*GENERATORS, COLLAPSED), metrics=("rouge_l", "rouge1", "bleu", "chrf"))


@pytest.fixture(scope="module")
def told(scored: Measurements, tmp_path_factory: pytest.TempPathFactory) -> report.Report:
    """The report of it, with the texts that were generated."""
    folder = tmp_path_factory.mktemp("report")
    write_outputs(folder / "measurements", (*GENERATORS, COLLAPSED))
    return written(scored, folder, budget={"min_speedup": 1.3})


def run_of(files: report.Report) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(files.json.read_text())["runs"][0]
    return run


@pytest.fixture(scope="module")
def modelled() -> Measurements:
    """A run of language models, judged by perplexity."""
    return decoders()


def row(measurements: Measurements, name: str) -> Row:
    return next(one for one in compare(measurements).rows if one.name == name)


def changed(measurements: Measurements, name: str, artifact: str, **changes: Any) -> Measurements:
    """The same with one quantity of one artifact as it is told here."""
    fingerprint = next(one.fingerprint for one in measurements.artifacts if one.name == artifact)
    found = (
        replace(one, **changes) if (one.name, one.artifact) == (name, fingerprint) else one
        for one in measurements.measurements
    )
    return replace(measurements, measurements=tuple(found))


def test_bleu_is_compared_by_resampling_its_counts_and_not_by_a_mean_over_sentences(
    told: report.Report,
) -> None:
    import sacrebleu

    tests = run_of(told)["tests"]
    change = next(one for one in tests if (one["name"], one["metric"]) == ("student", "bleu"))
    texts, references = [texts_of(one, ROWS, 0) for one in (GENERATORS[0], bases()[0])], [references_of(ROWS, 0)]
    mine, its = (sacrebleu.corpus_bleu(text, references).score / 100 for text in texts)
    assert change["value"] == pytest.approx(mine - its)
    assert (change["word"], change["test"], change["examples"]) == ("worse", "paired jackknife", ROWS)
    assert change["interval"][0] < mine - its < change["interval"][1] < 0


def test_a_perplexity_that_rises_is_worse_and_one_that_falls_is_better() -> None:
    found = decoders((Generator("up", 0.4, 1.5, 40, surprise=0.1), Generator("down", 0.4, 1.5, 40, surprise=-0.1)))
    up, down = (row(found, name).quality["perplexity"] for name in ("up", "down"))
    assert up.difference.word == "worse"
    assert down.difference.word == "better"
    root = row(found, "fp32-torch").quality["perplexity"].value.value or math.nan
    # Noise of 0.01 in each of 120 texts, around exp(0.1).
    assert (up.value.value or math.nan) / root == pytest.approx(math.exp(0.1), rel=5e-3)


def test_one_long_text_is_not_enough_to_call_a_model_worse(modelled: Measurements) -> None:
    one_text = replace(
        modelled,
        measurements=tuple(
            replace(one, statistics=(tuple(float(cell) for cell in np.sum(one.statistics, axis=0)),))
            if one.name == "perplexity"
            else one
            for one in modelled.measurements
        ),
    )
    change = row(one_text, "student").quality["perplexity"].difference
    assert change.word is None
    assert change.interval is None
    assert "too few examples" in (change.absent or "")
    assert change.value is not None
    assert change.value > 0


def test_scores_recorded_in_points_are_read_as_the_shares_that_all_others_are() -> None:
    shares = summarizers(GENERATORS[:1], metrics=("bleu",), rows=30)
    lead = shares.baselines["lead-3"]["bleu"]
    points = replace(
        shares,
        measurements=tuple(
            replace(one, unit="points", value=100 * (one.value or 0.0), interval=(0.0, 100.0))
            if one.name == "bleu"
            else one
            for one in shares.measurements
        ),
        baselines={"lead-3": {"bleu": 100 * lead}},
    )
    for one, other in zip(compare(shares).rows, compare(points).rows, strict=True):
        assert other.quality["bleu"].value.value == pytest.approx(one.quality["bleu"].value.value)
        assert other.quality["bleu"].value.interval == (0.0, 1.0)
        assert other.quality["bleu"].difference.value == one.quality["bleu"].difference.value
    assert compare(points).baselines[0].values["bleu"] == pytest.approx(lead)


def test_the_headline_is_the_time_of_all_texts_and_not_a_median_of_calls(summaries: Measurements) -> None:
    headline = compare(summaries).headline
    assert headline is not None
    assert (headline.batch, headline.length) == (8, "real")
    mine = next(one.fingerprint for one in summaries.artifacts if one.name == "int8")
    [calls] = [
        one.raw
        for one in summaries.measurements
        if (one.artifact, one.name, one.condition.get("length")) == (mine, "latency_seconds", "real")
    ]
    speed = row(summaries, "int8").speeds[headline]
    rounds = np.reshape(calls, (ROUNDS, -1))
    assert speed.time.value == pytest.approx(np.median(rounds.sum(axis=1)))
    assert speed.median.value == pytest.approx(np.median(calls))
    assert speed.ratio.value == 1.72


def test_a_collapsed_model_is_told_of_and_never_recommended(told: report.Report, summaries: Measurements) -> None:
    run = run_of(told)
    [warning] = run["generation"]["warnings"]
    assert "collapsed has collapsed: only 0.8\u00a0% of its 120 outputs are distinct" in warning
    assert "no better than that of Lead-3" in warning
    assert "collapsed" not in [one["name"] for one in run["recommendations"]]
    for file in (told.html, told.markdown):
        assert "has collapsed: only 0.8" in file.read_text()
    terminal = " ".join(shown(summaries).split())
    assert "has collapsed" in terminal
    assert "distinct outputs: fp32-torch 100\u00a0%" in shown(summaries)
    assert max(len(line) for line in shown(summaries).splitlines()) <= 80


def test_outputs_that_often_repeat_are_told_of_without_calling_it_collapse(summaries: Measurements) -> None:
    often = changed(summaries, "distinct_outputs", "int8", value=0.8)
    said = collapse.warning(compare(often), row(often, "int8"))
    assert "Only 80\u00a0% of its 120 outputs are distinct (int8)" in said
    assert "collapsed" not in said
    assert collapse.warning(compare(summaries), row(summaries, "int8")) == ""


def test_a_summarizer_whose_interval_holds_lead_3_is_not_shown_to_be_better_than_it(summaries: Measurements) -> None:
    close = replace(summaries, baselines={"lead-3": {"rouge_l": 0.60}})
    assert "is not shown to be better than that of Lead-3, 60.00" in collapse.warning(
        compare(close), row(close, "int8")
    )


def test_lead_3_has_a_row_beside_the_summarizers_in_every_form(told: report.Report, summaries: Measurements) -> None:
    files = told
    score = f"{summaries.baselines['lead-3']['rouge_l'] * 100:.2f}"
    for text in (files.html.read_text(), files.markdown.read_text(), shown(summaries)):
        assert "Lead-3" in text
        assert score in text
    with files.csv.open(newline="") as stream:
        line = next(one for one in csv.DictReader(stream) if one["role"] == "no model")
    assert float(line["rouge_l"]) == summaries.baselines["lead-3"]["rouge_l"]
    assert line["size_mb"] == ""


def test_every_score_has_its_signature_beside_it(told: report.Report) -> None:
    import sacrebleu

    files, signatures = told, run_of(told)["generation"]["signatures"]
    assert signatures["bleu"].endswith(f"tok:13a|smooth:exp|version:{sacrebleu.__version__}")
    assert "stemmer:porter" in signatures["rouge_l"]
    for signature in signatures.values():
        assert signature in files.html.read_text()
    assert "greedy decoding, at most 64 new tokens" in files.html.read_text()


def test_perplexity_is_written_on_its_own_scale_in_every_form(modelled: Measurements, tmp_path: Path) -> None:
    files = written(modelled, tmp_path, budget={"max_drop": 0.5, "min_speedup": 1.3})
    value = row(modelled, "student").quality["perplexity"].value.value or math.nan
    for text in (files.html.read_text(), files.markdown.read_text(), shown(modelled)):
        assert f"{value:.2f}" in text
        assert f"{value * 100:.2f}" not in text
        assert "lower is better" in text
    assert "points of perplexity" not in files.html.read_text()
    run = json.loads(files.json.read_text())["runs"][0]
    assert run["budget"]["winners"] == ["int8"]
    assert run["budget"]["limits"][0] == "perplexity at most 0.5 higher"
    student = next(one for one in run["artifacts"] if one["name"] == "student")
    assert student["quality_share"] == {}
    assert student["quality_own_scale"]["perplexity"]["value"]["value"] == value
    with files.csv.open(newline="") as stream:
        line = next(one for one in csv.DictReader(stream) if one["name"] == "student")
    assert float(line["perplexity"]) == value
    assert line["perplexity_verdict"] == "worse"
    assert float(line["perplexity_difference"]) > 0


def test_the_picture_of_a_perplexity_has_the_lower_one_higher_up() -> None:
    from compress.report.charts import pareto

    spots = [pareto.Spot("good", 1.0, 9.0), pareto.Spot("bad", 2.0, 12.0)]
    drawn = {
        lower: pareto.draw(spots, pareto.Axes("m", "c", lower_is_better=lower), "t", "d", width=900, height=400).drawing
        for lower in (True, False)
    }

    def height(plot: str, name: str) -> float:
        from xml.etree import ElementTree

        spot = next(one for one in ElementTree.fromstring(plot).iter("g") if one.findtext("title") == name)
        return float(next(one for one in spot.iter("circle")).get("cy") or "nan")

    assert height(drawn[True], "good") < height(drawn[True], "bad")
    assert height(drawn[False], "good") > height(drawn[False], "bad")


def test_a_slower_decoder_of_higher_perplexity_is_on_no_front() -> None:
    found = decoders((Generator("high", 0.4, 1.2, 40, surprise=0.2), Generator("low", 0.4, 1.5, 40, surprise=0.1)))
    comparison = compare(found)
    assert [one.name for one in latency_front(comparison)][:1] == ["low"]
    assert "high" not in [one.name for one in latency_front(comparison)]


@pytest.mark.parametrize(
    ("value", "words"),
    [(4.2711, "4.271"), (9.9996, "10.00"), (31.456, "31.46"), (812.34, "812.3"), (54321.0, "54,321")],
)
def test_a_perplexity_has_more_digits_the_smaller_it_is(value: float, words: str) -> None:
    scale = Scale("perplexity", in_points=False, higher_is_better=False)
    assert scale.shown(value) == words
    assert scale.signed(-value) == f"−{words}"
    assert scale.signed(0.0001) == "0.000"


def test_tokens_a_second_first_tokens_and_memory_are_told_by_condition(told: report.Report) -> None:
    files = told
    int8 = next(one for one in run_of(told)["artifacts"] if one["name"] == "int8")["generation"]
    first, second = int8["paces"]
    assert (first["batch"], first["length"], first["new_tokens"]) == (1, "32", 16)
    assert first["output_tokens_per_second"]["value"] == pytest.approx(16 * 1.72 / 0.11)
    assert second["time_to_first_token_seconds"]["value"] == pytest.approx(0.3 * 0.9 / 1.72)
    assert int8["memory_growth_bytes_per_token"]["value"] == 12_288
    assert list(int8["peak_memory_bytes_by_new_tokens"]) == ["16", "32", "64"]
    assert int8["output_tokens_count"]["value"] == 14.2
    page = files.html.read_text()
    for words in (
        "250 tokens/s",
        "12.3 kB",
        "one prompt of 32 tokens, 16 new",
        "8 prompts of 128 tokens, 16 new tokens each",
    ):
        assert words in page


def test_pages_of_generative_models_are_well_formed_and_every_link_leads_somewhere(
    told: report.Report, modelled: Measurements, tmp_path: Path
) -> None:
    for files in (told, written(modelled, tmp_path)):
        page = Page(files.html.read_text())
        assert page.open == []
        ids = [given["id"] for _, given in page.tags if given.get("id")]
        assert len(ids) == len(set(ids))
        assert {str(given["href"])[1:] for _, given in page.tags if given.get("href")} <= set(ids)


def test_markdown_is_escaped_once(told: report.Report) -> None:
    text = told.markdown.read_text()
    assert "\\\\" not in text
    assert "summarizer\\" not in text
    assert "| Variant | ROUGE-L, points | Speed | Latency | Size | Memory |" in text


def test_every_table_has_as_many_cells_in_each_row_as_columns(told: report.Report) -> None:
    page = told.html.read_text()
    tables = re.findall(r'<table class="cells">.*?</table>', page, flags=re.DOTALL)
    assert len(tables) == 3
    for table in tables:
        head, body = table.split("<tbody>")
        rows = re.findall(r"<tr.*?</tr>", body, flags=re.DOTALL)
        assert len(rows) >= 5
        assert {len(re.findall("<t[dh][ >]", one)) for one in rows} == {head.count("<th ")}
    for block in told.markdown.read_text().split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) <= 1


def test_the_first_three_texts_stand_side_by_side_and_stay_text(told: report.Report) -> None:
    page = told.html.read_text()
    assert page.count("<summary>Text ") == 3
    assert "Bob: &lt;b&gt;0&lt;/b&gt;" in page
    assert "<b>0</b>" not in page + told.markdown.read_text()
    examples = run_of(told)["generation"]["examples"]
    assert [one["number"] for one in examples] == [1, 2, 3]
    assert list(examples[0]["outputs"]) == ["fp32-torch", "fp32-onnx", "student", "int8", "collapsed"]
    assert examples[0]["outputs"]["collapsed"] == "anna will call bob"
    assert examples[1]["outputs"]["int8"] == texts_of(GENERATORS[1], 5, 0)[1]


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("not json\n", []),
        ("", []),
        ('{"output": "one"}\nnot json\n', ["one"]),
        ('["a list"]\n{"other": 1}\n{"output": null}\n', ["", "", ""]),
        ('"text alone"\n', ["text alone"]),
    ],
)
def test_files_of_outputs_that_cannot_be_read_tell_as_far_as_they_can(
    summaries: Measurements, tmp_path: Path, content: str, texts: list[str]
) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "int8.jsonl").write_text(content)
    found = outputs.examples(tmp_path / "measurements.json", compare(summaries))
    assert [dict(one.outputs)["int8"] for one in found] == texts


def test_a_name_that_leads_out_of_the_folder_opens_no_file(summaries: Measurements, tmp_path: Path) -> None:
    (tmp_path / "run" / "outputs").mkdir(parents=True)
    (tmp_path / "secret.jsonl").write_text('{"output": "secret"}\n')
    named = replace(summaries.artifacts[3], name="../../secret")
    artifacts = (*summaries.artifacts[:3], named, *summaries.artifacts[4:])
    comparison = compare(replace(summaries, artifacts=artifacts))
    assert outputs.examples(tmp_path / "run" / "measurements.json", comparison) == ()


def test_hostile_texts_of_models_stay_text(summaries: Measurements, tmp_path: Path) -> None:
    evil = replace(summaries, baselines={HOSTILE: {"rouge_l": 0.2, HOSTILE: HOSTILE}})
    evil = changed(evil, "rouge_l", "int8", notes=(f"signature {HOSTILE}",))
    evil.save(tmp_path)
    (tmp_path / "outputs").mkdir()
    line = {"source": HOSTILE, "reference": HOSTILE, "output": f"{HOSTILE}\n# [x](http://evil.example)"}
    (tmp_path / "outputs" / "int8.jsonl").write_text(json.dumps(line) + "\n")
    files = report.write([tmp_path], tmp_path / "report.html")
    tags = [tag for tag, _ in Page(files.html.read_text()).tags]
    assert (tags.count("script"), tags.count("img")) == (1, 0)
    assert "<script" not in files.markdown.read_text()
    assert "\n# [x]" not in files.markdown.read_text()


@pytest.mark.parametrize(
    ("technique", "settings", "words"),
    [
        ("quantize", {"precision": "int4", "mode": "weights"}, "int4 weights alone"),
        ("quantize", {"precision": "nf4", "mode": "bitsandbytes"}, "nf4 by bitsandbytes"),
        ("quantize", {"precision": "int8", "mode": "bitsandbytes"}, "int8 by bitsandbytes"),
        ("quantize", {"precision": "int4", "mode": "gptq"}, "int4 by GPTQ"),
        ("quantize", {"precision": "int8", "mode": "dynamic", "decoder": "fp32"}, "int8 dynamic, decoder fp32"),
        ("quantize", {"precision": "fp16", "encoder": "int8"}, "fp16, encoder int8"),
        ("distill", {"decoder_layers": 3}, "distil to 3 decoder layers"),
        (
            "distill",
            {"encoder_layers": "0,2", "decoder_layers": 1},
            "distil to encoder layers 0, 2 and 1 decoder layer",
        ),
        (
            "distill",
            {"layers": 2, "loss": "reverse_kl", "on_policy": 0.5},
            "distil to 2 layers, reverse KL, 50\u00a0% on-policy",
        ),
        ("distill", {"divergence": "jsd", "pseudo_labels": 1.0}, "distil, Jensen-Shannon, pseudo-labels"),
        ("distill", {"layers": 3, "pseudo_labels": 0.0, "on_policy": 0.0, "alpha": 0.5}, "distil to 3 layers"),
        (
            "distill",
            {"decoder_layers": 1, "divergence": "forward_kl", "alpha": 0},
            "distil to 1 decoder layer, without the teacher",
        ),
        ("distill", {"layers": 3, "alpha": 0.0, "hidden_weight": 1.0}, "distil to 3 layers"),
    ],
)
def test_steps_of_generative_models_are_told_in_a_few_words(
    technique: str, settings: dict[str, Any], words: str
) -> None:
    assert lineage.steps({"steps": [{"technique": technique, "settings": settings}]})[0].words == words


def test_references_that_the_teacher_generated_are_told_in_a_line() -> None:
    facts = {"pseudo_labels": {"rows": 4000, "of": 8000, "beams": 4, "empty": 0, "distinct": 0.99, "seconds": 3.0}}
    step = lineage.steps({"steps": [{"technique": "distill", "facts": facts}]})[0]
    assert (
        step.story
        == "References generated by the teacher with 4 beams: 4,000 (50.0\u00a0%), 99\u00a0% of them distinct."
    )


@pytest.mark.parametrize(("metric", "words"), [("rouge_l", "+3.00"), ("perplexity", "−0.952")])
def test_what_a_teacher_brought_to_a_generative_student_is_shown_on_its_scale(
    tmp_path: Path, metric: str, words: str
) -> None:
    from compress.distillation.ablation import Run, effect

    chance = np.random.default_rng(0).uniform(0.2, 0.6, 40)
    tables = {
        "rouge_l": [np.stack([chance + more, np.ones(40)], axis=1) for more in (0.03, 0.0)],
        # exp(2.302585) is 10: a tenth less of log-likelihood is 0.952 less of perplexity.
        "perplexity": [
            np.stack([np.full(40, 64 * (math.log(10) - less)), np.full(40, 64.0)], axis=1) for less in (0.1, 0)
        ],
    }
    runs = [Run(distilled, 0, list(one)) for distilled, one in zip((True, False), tables[metric], strict=True)]
    found = effect([replace(find(metric), statistics=lambda own, _: np.asarray(own))], [""] * 40, runs)
    step = {"technique": "distill", "settings": {"layers": 1}, "facts": {"teacher_effect": found}, "compresses": True}
    measurements = summarizers([replace(GENERATORS[0], steps=(step,))], rows=20)
    files = written(measurements, tmp_path)
    table = re.findall(r'<table class="seeds">.*?</table>', files.html.read_text(), flags=re.DOTALL)[0]
    assert words in table
    assert ("points of 100" in table) == (metric == "rouge_l")
    with files.csv.open(newline="") as stream:
        line = next(one for one in csv.DictReader(stream) if one["name"] == "student")
    column, factor = ("teacher_effect_rouge_l_points", 100) if metric == "rouge_l" else ("teacher_effect_perplexity", 1)
    assert float(line[column]) == pytest.approx(factor * found["difference"])
    assert line[f"teacher_effect_{metric}_verdict"] == "better"


@pytest.mark.parametrize("technique", ["distill", "quantize", "qat", "prune", "export", "something new"])
@pytest.mark.parametrize("odd", [None, 3, 0.5, True, "text", ["a"], {"b": {"c": 1}}, []])
def test_a_step_with_settings_of_any_kind_is_told(technique: str, odd: Any) -> None:
    names = [
        "layers",
        "loss",
        "divergence",
        "pseudo_labels",
        "on_policy",
        "decoder_layers",
        "encoder",
        "mode",
        "weights",
    ]
    names += ["precision", "temperature", "hidden_size", "attention", "method", "sparsity", "unheard_of"]
    for settings in (dict.fromkeys(names, odd), odd):
        step = lineage.steps({"steps": [{"technique": technique, "settings": settings}]})[0]
        assert step.words


def test_real_texts_one_at_a_time_are_the_headline_before_those_in_batches(summaries: Measurements) -> None:
    one_at_a_time = tuple(
        replace(one, condition={**one.condition, "batch": 1})
        for one in summaries.measurements
        if one.condition.get("length") == "real"
    )
    comparison = compare(replace(summaries, measurements=(*summaries.measurements, *one_at_a_time)))
    real = [one.words for one in comparison.conditions if one.length == "real"]
    assert real == ["one text at a time", "8 texts at a time"]
    assert comparison.headline == comparison.conditions[0]
    assert comparison.headline.words == real[0]


def test_a_report_of_generative_models_opens_no_model_library(tmp_path: Path) -> None:
    summarizers(GENERATORS[:1], metrics=("rouge_l", "bleu"), rows=20).save(tmp_path)
    program = (
        "import sys; from pathlib import Path; from compress import report; "
        f"report.write([Path({str(tmp_path)!r})], Path({str(tmp_path / 'report.html')!r})); "
        "found = {'torch', 'transformers', 'onnxruntime', 'onnx', 'datasets'} & set(sys.modules); "
        "sys.exit(f'imported {found}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
