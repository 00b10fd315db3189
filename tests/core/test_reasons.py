"""Reasons: what a dry run says of a step that would run again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from compress.core.artifact import RESULTS, Artifact, Step
from compress.core.reasons import why
from compress.core.work_folder import finish, work_folder

STEP = Step("finetune", {"epochs": 1.0}, data={"rows": 3, "serves": {"labels": ["no", "yes"]}}, results=RESULTS)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "finished, reused"),
        ({"results": RESULTS + 1}, "runs again: it was made by an older version of compress"),
        ({"settings": {"epochs": 2.0}}, "runs again: finetune's epochs was 1.0, now 2.0"),
        ({"data": {**STEP.data, "rows": 4}}, "runs again: the data that finetune reads has changed"),
        (
            {"data": {**STEP.data, "serves": {"labels": ["yes", "no"]}}},
            "runs again: the task of finetune has changed",
        ),
        ({"data": {**STEP.data, "processes": 2}}, "runs again: finetune ran in 1 process(es), now in 2"),
        ({"inputs": {"teacher": "0"}}, "runs again: another input artifact of finetune has changed"),
    ],
)
def test_the_reason_is_what_changed(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    root = Artifact(tmp_path / "base", {"name": "base", "weights": "00ff"}, None)
    with work_folder(tmp_path / "a", "key") as partial:
        (partial / "model.safetensors").write_bytes(b"weights")
        finish(root.after(STEP, partial), tmp_path / "a")
    assert why(root.after(dataclasses.replace(STEP, **change), tmp_path / "a")).startswith(reason)


def test_what_was_not_made_yet_and_what_was_interrupted_are_told_apart(tmp_path: Path) -> None:
    expected = Artifact(tmp_path / "base", {"name": "base", "weights": "00ff"}, None).after(STEP, tmp_path / "a")
    assert why(expected) == "new"
    with work_folder(tmp_path / "a", expected.fingerprint()):
        assert why(expected) == "was interrupted, continues"
