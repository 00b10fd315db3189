"""Applying a technique: checked before it runs, reused when finished, never half there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.references import ArtifactPath, ReadPath, references
from compress.core.settings import Settings
from compress.core.unread_settings import ReadWhen
from compress.data.loading import described_task
from compress.tasks.technique import Made, Technique, Work
from compress.techniques.apply import apply, check, planned


class Copying(Settings):
    letters: int = Field(1, description="How many.")
    teacher: ArtifactPath | None = Field(None, description="Another artifact.")
    texts: ReadPath | None = Field(None, description="A file.")


class Copier:
    """A technique that writes letters and counts its runs."""

    def __init__(self, **changes: Any) -> None:
        self.runs = 0
        self.fails = False
        self.technique = Technique(
            **{
                "name": "copy",
                "settings": Copying,
                "run": self._run,
                "accepts": frozenset({"torch"}),
                "gives": lambda settings: ("torch", "fp32"),
                "example": "compress copy",
                **changes,
            }
        )

    def _run(self, work: Work) -> Made:
        self.runs += 1
        (work.folder / "model.safetensors").write_text("x" * work.settings.letters)
        if self.fails:
            raise CompressError("No more letters.")
        return Made("torch", "fp32", step_facts={"letters": work.settings.letters})


@pytest.fixture(autouse=True)
def _letters_are_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """`tests/test_first_opening.py` tells of real ones."""
    monkeypatch.setattr("compress.techniques.apply.open_once", lambda artifact, name: None)


@pytest.fixture
def source(tmp_path: Path) -> Artifact:
    return Artifact(tmp_path / "base", {"name": "base", "weights": "0"}, None)


def test_a_finished_step_is_reused_and_a_changed_one_runs_again(source: Artifact, tmp_path: Path) -> None:
    copier = Copier()
    first = apply(copier.technique, source, Copying(letters=2), tmp_path / "out")
    again = apply(copier.technique, source, Copying(letters=2), tmp_path / "out")
    assert copier.runs == 1
    assert first == again
    apply(copier.technique, source, Copying(letters=3), tmp_path / "out", replace=True)
    assert copier.runs == 2
    assert (tmp_path / "out" / "model.safetensors").read_text() == "xxx"


def test_another_artifact_is_not_replaced_unless_asked(source: Artifact, tmp_path: Path) -> None:
    copier = Copier()
    apply(copier.technique, source, Copying(letters=2), tmp_path / "out")
    with pytest.raises(CompressError, match="another artifact.*--force"):
        apply(copier.technique, source, Copying(letters=3), tmp_path / "out")


@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_that_is_no_artifact_is_never_replaced(source: Artifact, tmp_path: Path, replace: bool) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(CompressError, match="already exists and was not made by compress. Choose another folder"):
        apply(Copier().technique, source, Copying(), tmp_path / "out", replace=replace)
    assert (tmp_path / "out" / "thesis.tex").exists()


def test_a_step_that_fails_leaves_nothing_that_looks_finished(source: Artifact, tmp_path: Path) -> None:
    copier = Copier()
    copier.fails = True
    with pytest.raises(CompressError, match="No more letters"):
        apply(copier.technique, source, Copying(), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "out.partial").is_dir()


def test_a_failed_replacement_leaves_the_former_artifact(source: Artifact, tmp_path: Path) -> None:
    copier = Copier()
    former = apply(copier.technique, source, Copying(letters=2), tmp_path / "out")
    copier.fails = True
    with pytest.raises(CompressError):
        apply(copier.technique, source, Copying(letters=3), tmp_path / "out", replace=True)
    assert Artifact.open(tmp_path / "out") == former


def test_a_format_that_a_technique_does_not_take_is_refused_before_it_runs(source: Artifact, tmp_path: Path) -> None:
    copier = Copier(accepts=frozenset({"onnx"}))
    with pytest.raises(CompressError, match="copy takes an artifact in the format onnx"):
        apply(copier.technique, source, Copying(), tmp_path / "out")
    assert copier.runs == 0


@pytest.mark.parametrize("precision", ["int8", "int4", "nf4"])
def test_a_checkpoint_of_integers_is_the_end_of_its_line(source: Artifact, tmp_path: Path, precision: str) -> None:
    stored = replace(source, precision=precision)
    with pytest.raises(CompressError, match=f"holds weights in {precision}.*Start from the artifact it was made from"):
        apply(Copier().technique, stored, Copying(), tmp_path / "out")


def test_a_technique_that_needs_a_task_says_how_to_name_one(source: Artifact, tmp_path: Path) -> None:
    with pytest.raises(CompressError, match="--task sst2"):
        apply(Copier(needs_task=True).technique, source, Copying(), tmp_path / "out")


def test_an_artifact_that_takes_part_is_known_by_its_content_and_not_by_its_folder(
    source: Artifact, tmp_path: Path
) -> None:
    copier = Copier()
    assert references(Copying(teacher="runs/a")) == {"teacher": "runs/a"}
    assert references(Copying()) == {}
    teacher = apply(copier.technique, source, Copying(letters=5), tmp_path / "teacher")
    first = apply(copier.technique, source, Copying(teacher="one"), tmp_path / "first", inputs={"teacher": teacher})
    moved = Artifact.open((tmp_path / "teacher").rename(tmp_path / "moved"))
    second = apply(copier.technique, source, Copying(teacher="two"), tmp_path / "second", inputs={"teacher": moved})
    assert first.fingerprint() == second.fingerprint()
    assert first.steps[0].inputs == {"teacher": teacher.fingerprint()}


def test_the_task_that_is_served_is_part_of_every_fingerprint_and_where_its_rows_lie_is_not(source: Artifact) -> None:
    task = {"name": "moods", "kind": "classification", "data": "d", "text": "t", "label": "l", "labels": ["no", "yes"]}
    summaries = {"name": "s", "kind": "summarization", "data": "d", "source": "a", "target": "b"}

    def data(described: dict[str, Any]) -> Any:
        return planned(Copier().technique, source, Copying(), described_task(described), {}).data

    for changes in ({"data": "elsewhere"}, {"limit": {"evaluation": 5}}, {"text": "review"}, {"metric": "accuracy"}):
        assert data({**task, **changes}) == data(task)
    for changes in ({"labels": ["yes", "no"]}, {"name": "other"}, {"text": ["t", "u"]}):
        assert data({**task, **changes}) != data(task)
    for changes in ({"prefix": "tl;dr: "}, {"max_target": 7}, {"max_source": 7}, {"kind": "translation"}):
        assert data({**summaries, **changes}) != data(summaries)


def test_the_number_of_processes_is_part_of_the_fingerprint(source: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = planned(Copier().technique, source, Copying(), None, {})
    monkeypatch.setattr("compress.techniques.apply.world_size", lambda: 2)
    assert planned(Copier().technique, source, Copying(), None, {}).data == {**alone.data, "processes": 2}


def test_where_a_file_lies_that_is_read_is_not_part_of_the_fingerprint(source: Artifact) -> None:
    steps = [planned(Copier().technique, source, Copying(texts=where), None, {}) for where in ("/a/x.txt", "b/x.txt")]
    assert steps[0] == steps[1]
    assert steps[0].settings["texts"] == "x.txt"


def test_a_reused_artifact_remembers_where_its_data_is_now(source: Artifact, tmp_path: Path) -> None:
    copier, out = Copier(), tmp_path / "out"
    task = {"name": "moods", "data": str(tmp_path / "d"), "text": "t", "label": "l", "labels": ["no", "yes"]}
    apply(copier.technique, source, Copying(), out, task=task)
    moved = replace(source, folder=tmp_path / "moved")
    again = apply(copier.technique, moved, Copying(), out, task={**task, "data": str(tmp_path / "e")})
    assert copier.runs == 1
    assert again == Artifact.open(out)
    assert again.task is not None
    assert again.task["data"] == str(tmp_path / "e")
    assert again.root()["folder"] == str(tmp_path / "moved")


def test_tags_that_were_found_in_the_data_stay_with_the_artifact(
    source: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "train.conll").write_text("Ada B-PER\nsails O\n")
    task = {"name": "mine", "kind": "token_classification", "data": {"train": str(tmp_path / "train.conll")}}
    made = apply(Copier().technique, source, Copying(), tmp_path / "out", task=task)
    assert made.task is not None
    assert (made.task["labels"], made.task["labels_from"]) == (["O", "B-PER", "I-PER"], "train")
    copier = Copier()
    assert apply(copier.technique, source, Copying(), tmp_path / "out", task=task).fingerprint() == made.fingerprint()
    assert copier.runs == 0


def test_what_a_technique_must_know_of_its_model_is_asked_once_the_model_is_there(
    source: Artifact, tmp_path: Path
) -> None:
    asked: list[str] = []
    copier = Copier(
        check=lambda settings, one, task: asked.append("settings"),
        check_model=lambda settings, one, task: asked.append(one.name),
    )
    expected = source.after(planned(copier.technique, source, Copying(), None, {}), tmp_path / "first")
    check(copier.technique, expected, Copying(), None)
    assert asked == ["settings"], "a step of the same pipeline will make it"
    first = apply(copier.technique, source, Copying(), tmp_path / "first")
    check(copier.technique, first, Copying(), None)
    assert asked == ["settings", "settings", source.name, "settings", "first"]
    check(
        copier.technique, replace(expected, steps=(replace(first.steps[0], settings={"letters": 9}),)), Copying(), None
    )
    assert asked[-1] == "settings", "what lies there is another artifact"


def test_a_setting_that_nothing_would_read_is_refused_before_anything_else_is_checked(source: Artifact) -> None:
    copier = Copier(
        read_when=(ReadWhen(("texts",), lambda one: one.letters > 1, "with several letters"),),
        check=lambda settings, one, task: pytest.fail("it was checked"),
    )
    with pytest.raises(CompressError, match="'texts' has no effect here: it is used only with several letters"):
        check(copier.technique, source, Copying(texts="a.txt"), None)


def test_a_task_is_read_from_its_description_once_and_travels_to_the_technique(
    source: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compress.data import description

    task = {"name": "moods", "kind": "classification", "data": "d", "text": "t", "label": "l", "labels": ["no", "yes"]}
    read, given = [], []

    def counted(one: Any) -> Any:
        read.append(one)
        return resolve(one)

    resolve = description.resolve
    monkeypatch.setattr(description, "resolve", counted)
    copier = Copier(reads=lambda settings, task: {"task": task.task.name}, check=lambda settings, one, task: None)
    copier.technique = replace(copier.technique, run=lambda work: given.append(work) or copier._run(work))
    made = apply(copier.technique, source, Copying(), tmp_path / "out", task=task)
    assert read == [task]
    assert (given[0].described.task.label_names, given[0].described.data) == (("no", "yes"), "d")
    assert ((made.task or {})["name"], made.steps[0].data["task"]) == ("moods", "moods")


def test_work_without_a_task_says_what_to_name(source: Artifact, tmp_path: Path) -> None:
    work = Work(source, Copying(), tmp_path, tmp_path, tmp_path, None)
    with pytest.raises(CompressError, match="has no task of its own. Name it, for example `--task sst2 --data DIR`"):
        _ = work.described
