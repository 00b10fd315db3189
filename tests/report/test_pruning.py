"""A prune step reads as a line, and its long lists do not flood the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compress import report
from compress.report import lineage, wording
from tests.report.made_up import EXPORT, Made, MakeRun, removed, zeroed


def step(raw: dict[str, Any]) -> lineage.MadeStep:
    return lineage.steps({"steps": [raw]})[0]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (removed(), "prune structured, keep 50 % of the MACs"),
        (removed("kwon", budget="parameters", keep=0.7), "prune kwon, keep 70 % of the parameters"),
        (removed(budget="latency", milliseconds=12.5), "prune structured, to 12.5 ms"),
        (removed("layers", layers=3), "prune to 3 layers"),
        (removed("layers", layers=1), "prune to 1 layer"),
        (removed("layers", layers=[0, 2, 5]), "prune to layers 0, 2, 5"),
        (removed("width", hidden_size=192), "prune to width 192"),
        (removed("width", heads=6, intermediate_size=768), "prune to 6 heads, feed-forward 768"),
        (zeroed(), "prune magnitude, 60 % zeros"),
        (zeroed("wanda", 0.5, pattern="2:4"), "prune wanda 2:4"),
        (zeroed("movement", penalty=4.0), "prune movement, as many zeros as it learns"),
        ({"technique": "prune"}, "prune"),
    ],
)
def test_a_prune_step_in_a_few_words(raw: dict[str, Any], words: str) -> None:
    assert step(raw).words.replace("\u00a0", " ") == words


def test_heads_and_neurons_that_went_are_counted_beside_what_was_asked() -> None:
    assert step(removed()).story.replace("\u00a0", " ") == (
        "Structured pruning: 25 of 72 heads and 4,608 of 9,216 neurons removed; 49.98 % of the MACs kept, asked 50 %, "
        "55.1 % of the layers' parameters. Recovered for 1 epoch, with the unpruned model as teacher. Teacher: minilm-sst2."
    )


def test_zeros_delivered_are_told_beside_what_was_asked() -> None:
    assert step(zeroed()).story.replace("\u00a0", " ") == (
        "Magnitude pruning: 60 % of 10,616,832 weights in 36 matrices are zero, asked 60 %. Pruned while it was trained "
        "for 2 epochs, with the unpruned model as teacher. Teacher: minilm-sst2."
    )
    assert "are zero, 2:4." in step(zeroed("sparsegpt", 0.5, pattern="2:4")).story
    assert "asked" not in step(zeroed("movement", penalty=4.0)).story


def test_layers_that_stay_and_zeros_that_were_brought_along_are_told() -> None:
    raw = {
        "technique": "prune",
        "settings": {"method": "layers", "layers": 3, "epochs": 0.0},
        "facts": {"layers_kept": [0, 2, 5], "layers_of_teacher": 6, "share_of_zeros": 0.6},
    }
    assert step(raw).story.replace("\u00a0", " ") == (
        "Layer dropping: 3 of 6 layers kept (0, 2, 5, counted from 0); 60 % of the remaining weights are zero, as the "
        "model brought them along."
    )


def test_dimensions_that_stay_are_told() -> None:
    raw = {
        "technique": "prune",
        "settings": {"method": "width", "hidden_size": 192, "epochs": 0.0},
        "facts": {"hidden_kept": 192, "hidden_of": 384},
    }
    assert step(raw).story.replace("\u00a0", " ") == "Width pruning: 192 of 384 hidden dimensions kept."
    raw["facts"]["widths"] = "hidden width 384 to 192, heads 12 to 6, feed-forward 1536 to 768"  # type: ignore[index]  # a mapping
    assert step(raw).story == f"Width pruning: {raw['facts']['widths']}."  # type: ignore[index]  # a mapping


def test_another_teacher_none_and_adapters_are_told_as_they_were() -> None:
    assert "merged, with another model as teacher." in step(removed(teacher="runs/large", lora_rank=16)).story
    alone = removed()
    alone["facts"] = {name: value for name, value in alone["facts"].items() if name != "teachers"}
    assert "Recovered for 1 epoch, on the labels alone." in step(alone).story
    assert "Recovered" not in step(removed(epochs=0.0)).story


def test_lists_of_what_was_removed_are_counts_by_layer_on_the_page_and_whole_in_the_json(
    make_run: MakeRun, tmp_path: Path
) -> None:
    make_run([Made("smaller", 757, 20, 1.6, 60, steps=(removed(), EXPORT), precision="fp32")]).save(tmp_path)
    files = report.write([tmp_path], tmp_path / "report.html")
    text = files.html.read_text()
    assert "4, 3, 4, 5, 5, 4 (by layer; listed in the manifest)" in text
    assert "768, 768, 768, 768, 768, 768 (by layer" in text
    assert "25 of 72 heads" in text
    assert "1531, 1533" not in text
    steps = json.loads(files.json.read_text())["runs"][0]["steps"]
    facts = next(one["facts"] for one in steps if one["technique"] == "prune")
    assert facts["heads_removed"] == removed()["facts"]["heads_removed"]
    assert facts["neurons_removed"][5] == list(range(1, 1536, 2))


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.6, "60 %"),
        (0.5243, "52.4 %"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (1e-6, "less than 0.1 %"),
        (0.99999, "more than 99.9 %"),
    ],
)
def test_a_share_is_never_rounded_to_none_or_all(share: float, words: str) -> None:
    assert wording.percent(share).replace("\u00a0", " ") == words


@pytest.mark.parametrize("odd", [None, 3, "none", [], ["a"], [[1], "b"], {"asked": "half"}, True])
def test_facts_and_settings_of_another_shape_are_no_error(make_run: MakeRun, tmp_path: Path, odd: Any) -> None:
    raw = {
        "technique": "prune",
        "settings": dict.fromkeys(removed()["settings"] | zeroed()["settings"], odd),
        "facts": dict.fromkeys(removed()["facts"] | zeroed()["facts"], odd),
    }
    make_run([Made("odd", 757, 20, 1.6, 60, steps=(raw, EXPORT))]).save(tmp_path)
    assert report.write([tmp_path], tmp_path / "report.html").html.stat().st_size > 10_000
