"""The teacher's outputs as references: those of transformers' own beam search, for the rows of the share, asked once."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.errors import CompressError
from compress.data import loading
from compress.distillation import sequence_kd
from compress.distillation.sequence_kd import TeacherReferences, with_teacher_references
from compress.distillation.teacher import Teacher
from compress.models.generators import generator
from compress.models.load import resolve_model, tokenizer
from compress.runtimes import generating
from tests.tiny_generators import write_generator, write_pairs, write_text
from tests.written import torch_generator

Ask = Callable[..., tuple[TeacherReferences, Any]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows the teacher was asked for, each time that it was."""
    counts: list[int] = []
    write = sequence_kd._write

    def counting(*given: Any) -> None:
        counts.append(len(given[2]))
        write(*given)

    monkeypatch.setattr(sequence_kd, "_write", counting)
    return counts


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """`ask("bart", share=0.5)`: what a random teacher of that family generates for the task's rows, and the rows before."""
    description = write_pairs(tmp_path / "data", rows=60)

    def ask(
        family: str = "bart", *, share: float = 1.0, beams: int = 2, cache: str = "cache"
    ) -> tuple[TeacherReferences, Any]:
        folder = tmp_path / family
        if not folder.exists():
            write_generator(folder, family, init_std=0.5, initializer_range=0.5)
        task, data = loading.resolve(description)
        rows = loading.load(task, data, "train").rows
        teacher = Teacher(resolve_model(str(folder)))
        return with_teacher_references(
            teacher, rows, task, tokenizer(folder), share=share, beams=beams, cache=tmp_path / cache
        ), rows

    return ask


def test_all_are_what_the_teachers_beam_search_generates_for_each_row_alone(ask: Ask, tmp_path: Path) -> None:
    found, rows = ask()
    model, its_tokenizer = generator(tmp_path / "bart"), tokenizer(tmp_path / "bart")
    assert found.rows["text"] == rows["text"]
    differ = set()
    for text, label in zip(found.rows["text"], found.rows["label"], strict=True):
        ids = torch.tensor([its_tokenizer(text)["input_ids"]])
        with torch.no_grad():
            (written,) = model.generate(input_ids=ids, num_beams=2, max_new_tokens=8, do_sample=False)
        expected = its_tokenizer.decode(written, skip_special_tokens=True).strip()
        assert label == expected or not expected
        differ.add(expected)
    assert len(differ) > 3
    facts = found.facts["pseudo_labels"]
    assert (facts["rows"], facts["of"], facts["beams"]) == (len(rows), len(rows), 2)


def test_a_decoder_continues_its_prompt(ask: Ask) -> None:
    found, rows = ask("gpt2", share=0.5)
    changed = sum(a != b for a, b in zip(found.rows["label"], rows["label"], strict=True))
    assert 0 < changed <= found.facts["pseudo_labels"]["rows"] < len(rows)
    assert not any(text in label for text, label in zip(found.rows["text"], found.rows["label"], strict=True))


def test_a_share_is_of_the_same_rows_and_costs_nothing_again(ask: Ask, asked: list[int]) -> None:
    some, rows = ask(share=0.4)
    count = some.facts["pseudo_labels"]["rows"]
    assert 0.15 * len(rows) < count < 0.65 * len(rows)
    everything, _ = ask()
    again, _ = ask(share=0.4)
    assert asked == [count, len(rows) - count]
    changed = [place for place in range(len(rows)) if some.rows["label"][place] != rows["label"][place]]
    assert changed
    assert all(everything.rows["label"][place] == some.rows["label"][place] for place in changed)
    assert again.rows["label"] == some.rows["label"]
    assert again.rows._fingerprint == some.rows._fingerprint != everything.rows._fingerprint


def test_a_stopped_run_continues_after_the_last_part_that_was_kept(
    ask: Ask, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, rows = ask(cache="whole")
    monkeypatch.setattr(sequence_kd, "WRITE_SECONDS", 0.0)
    write = generating.generate

    def stopping(*given: Any) -> Any:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return write(*given)

    calls = itertools.count()
    monkeypatch.setattr(generating, "generate", stopping)
    with pytest.raises(KeyboardInterrupt):
        ask(cache="part")
    resumed, _ = ask(cache="part")
    assert asked[-1] <= len(rows) - 2 * sequence_kd.BATCH  # equal rows are kept together
    assert resumed.rows["label"] == whole.rows["label"]


def test_outputs_that_were_damaged_are_asked_for_again(ask: Ask, asked: list[int], tmp_path: Path) -> None:
    whole, rows = ask()
    (mark,) = (tmp_path / "cache" / "pseudo-labels").rglob("entry.json")
    mark.write_text(mark.read_text().replace("e", "a", 1))
    again, _ = ask()
    assert asked == [len(rows)] * 2
    assert again.rows["label"] == whole.rows["label"]


def test_nothing_is_asked_for_a_share_of_nothing_nor_of_text_without_sources(ask: Ask, tmp_path: Path) -> None:
    found, rows = ask(share=0.0)
    assert found.rows is rows
    assert not found.facts
    task, data = loading.resolve(write_text(tmp_path / "text"))
    teacher = Teacher(resolve_model(str(write_generator(tmp_path / "gpt2", "gpt2"))))
    texts = loading.load(task, data, "train").rows
    with pytest.raises(CompressError, match="no sources"):
        with_teacher_references(teacher, texts, task, tokenizer(teacher.folder), share=1.0, beams=1, cache=tmp_path)


def test_graphs_generate_what_torch_generates(
    ask: Ask, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(torch_generator("bart", tmp_path_factory).folder, tmp_path / "bart")
    by_torch, _ = ask(cache="torch")
    monkeypatch.setattr(sequence_kd, "WORTH_AN_EXPORT", 1)
    monkeypatch.setattr(Teacher, "model", property(lambda _: pytest.fail("torch generated")))
    by_graphs, _ = ask(cache="graphs")
    assert by_graphs.rows["label"] == by_torch.rows["label"]
    assert len(set(by_torch.rows["label"])) > 3
