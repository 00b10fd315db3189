"""What a user writes under `task:` becomes a generative task, and whatever is wrong with it is said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compress.core import catalogue
from compress.core.errors import CompressError
from compress.data import loading
from compress.data.description import find, resolve
from compress.data.prompt_templates import prefix, prompt, source_text
from compress.tasks.kinds.trivial import Known, lead_three
from compress.tasks.scoring import metrics
from compress.tasks.task import Task

OWN = {"name": "mine", "kind": "summarization", "data": {"train": "a.jsonl"}, "source": "chat", "target": "gist"}
PAIRS = {"name": "mine", "kind": "translation", "data": "d", "source": "a", "target": "b"}
KNOWN = tuple(name for name in catalogue.names("tasks") if find(name).is_generative)


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_task_is_called_as_its_file_survives_its_manifest_and_is_scored_by_metrics_of_its_kind(
    name: str,
) -> None:
    task = find(name)
    assert task.name == name
    assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task
    assert all(task.kind in metric.kinds for metric in metrics(task))
    summary = sys.modules[f"compress.tasks.{name}"].__doc__ or ""
    assert "?" in summary.splitlines()[0]


def test_generative_tasks_and_metrics_are_listed_beside_the_others() -> None:
    assert {"samsum", "dialogsum", "cnn_dailymail", "xsum", "wikitext2"} <= set(KNOWN)
    assert set(KNOWN) < set(catalogue.names("tasks"))
    assert {"rouge_l", "perplexity", "accuracy"} <= set(catalogue.names("metrics"))


@pytest.mark.parametrize("description", ["samsum", {"name": "samsum", "line_end": " | "}, OWN, PAIRS])
def test_the_tasks_of_classifiers_and_of_generators_are_resolved_at_one_place(description: Any) -> None:
    assert loading.resolve(description) == resolve(description)
    assert loading.resolve(description)[0].is_generative
    assert not loading.resolve("sst2")[0].is_generative


def test_columns_of_texts_without_a_kind_are_asked_for_one() -> None:
    with pytest.raises(CompressError, match="A task of your own takes a kind"):
        loading.resolve({name: value for name, value in OWN.items() if name != "kind"})
    with pytest.raises(CompressError, match="'rouge_l' in task 'sst2' is for summarization or translation, not for"):
        loading.resolve({"name": "sst2", "metric": "rouge_l"})


def test_the_manifests_of_classifiers_do_not_change() -> None:
    assert "generation" not in catalogue.find("tasks", "sst2").to_json()


def test_a_described_task_has_its_columns_settings_and_the_usual_metrics() -> None:
    task, data = resolve({**OWN, "line_end": " | ", "max_target": 60, "dialogue": True, "empty": "keep", "seed": 3})
    assert (task.text_columns, task.label_column, data) == (("chat",), "gist", ".")
    assert task.metric == "rouge_l"
    assert task.generation is not None
    assert (task.generation.line_end, task.generation.max_target, task.generation.is_dialogue) == (" | ", 60, True)
    assert (task.empty_text_is_bad, task.seed) == (False, 3)
    assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task
    assert resolve({**OWN, "metric": ["rouge1", "chrf"]})[0].metrics == ("rouge1", "chrf")


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("samsun", "Unknown task 'samsun'. Did you mean 'samsum'?"),
        ({"name": "mine", "data": "d"}, "A task of your own takes a kind"),
        ({**OWN, "sauce": "x"}, "Unknown setting 'sauce' in task 'mine'. Did you mean 'source'?"),
        ({k: v for k, v in OWN.items() if k != "target"}, "has no 'target'"),
        ({k: v for k, v in OWN.items() if k != "data"}, "has no 'data'"),
        ({**OWN, "data": {"train": "a.docx"}}, "a.docx has no known format"),
        (
            {**OWN, "metric": "perplexity"},
            "'perplexity' in task 'mine' is for language modelling, not for summarization",
        ),
        ({**OWN, "metric": "rouge"}, "Unknown metric 'rouge'"),
        ({**OWN, "metric": []}, "`metric` is empty"),
        ({**OWN, "max_source": 0}, "max_source"),
        ({**OWN, "holdout": 1.5}, "holdout"),
        ({**OWN, "limit": {"trian": 5}}, "limit"),
        ({**OWN, "prompt": "Sum up:"}, "no {source} in it"),
        ({**OWN, "languages": ["a", "b"]}, "for a translation"),
        ({**PAIRS, "languages": ["English"]}, "languages"),
        ({**OWN, "documents": "rows"}, "has no 'documents'"),
        ({"name": "mine", "kind": "language_modelling", "data": "d", "target": "x"}, "has no 'target'"),
        ({"name": "wikitext2", "max_source": 512}, "language modelling, which has no 'max_source'"),
        ({"name": "samsum", "kind": "translation"}, "is a known one"),
        ({**OWN, "kind": "classification"}, "kind"),
    ],
)
def test_what_is_wrong_with_a_description_is_said(description: Any, message: str) -> None:
    with pytest.raises(CompressError) as error:
        resolve(description)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_t5_gets_the_prefix_it_was_pretrained_with_and_others_none() -> None:
    summarization, translation = find("samsum"), resolve({**PAIRS, "languages": ["English", "German"]})[0]
    assert prefix(summarization, "t5") == "summarize: "
    assert prefix(translation, "t5") == "translate English to German: "
    assert prefix(resolve(PAIRS)[0], "t5") == ""
    assert [prefix(summarization, family) for family in ("bart", "mt5", "marian")] == ["", "", ""]
    assert prefix(resolve({"name": "samsum", "prefix": "sum: "})[0], "bart") == "sum: "
    assert prefix(resolve({"name": "samsum", "prefix": ""})[0], "t5") == ""


def test_a_decoder_is_asked_by_a_prompt_around_the_source() -> None:
    assert prompt(find("samsum")) == ("", "\n\nTL;DR:")
    assert prompt(resolve({**PAIRS, "languages": ["English", "German"]})[0]) == ("English: ", "\nGerman:")
    assert prompt(resolve({**OWN, "prompt": "<{source}> is"})[0]) == ("<", "> is")


def test_line_ends_become_what_the_task_says_and_nothing_else_changes() -> None:
    text = "a\r\nb \n\n c\\1"
    assert source_text(find("samsum"), text) == text
    assert source_text(resolve({"name": "samsum", "line_end": r"\1 | "})[0], text) == r"a\1 | b\1 | c\1"


def test_the_lead_of_a_dialogue_is_its_first_turns_and_of_an_article_its_first_sentences() -> None:
    text = "One. Two.\nThree.\nFour.\nFive."
    assert lead_three(Known({"text": [text]}, is_dialogue=True)) == ["One. Two.\nThree.\nFour."]
    assert lead_three(Known({"text": [text]})) == ["One.\nTwo.\nThree."]


def test_bleu_is_counted_as_the_target_language_needs_it() -> None:
    bleu, chrf = metrics(resolve({**PAIRS, "languages": ["English", "Chinese"]})[0])
    assert "tok:zh" in bleu.signature()
    assert chrf.name == "chrf"
    assert "tok:13a" in metrics(resolve(PAIRS)[0])[0].signature()


def test_resolving_a_task_imports_nothing_heavy(tmp_path: Path) -> None:
    heavy = ("torch", "transformers", "datasets", "pandas", "pyarrow", "sklearn", "scipy", "nltk", "sacrebleu")
    code = (
        "import sys\nfrom compress.data.description import known, resolve\nfrom compress.tasks.scoring import metrics\n"
        "for name in known(): metrics(resolve(name)[0])\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
