"""Settings that were renamed are read by their former names, and stored by them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from compress.core import catalogue
from compress.core.errors import CompressError
from compress.core.setting_names import FORMER, shown_as, stored

OLD = Path(__file__).parents[1] / "fixtures" / "old_artifacts"
MANIFESTS = sorted(OLD.rglob("manifest.json"))
STEPS = {
    json.dumps(step["settings"], sort_keys=True): (step["technique"], step["settings"])
    for file in MANIFESTS
    for step in json.loads(file.read_text(encoding="utf-8"))["steps"]
}


def technique(name: str) -> Any:
    return catalogue.find("techniques", name)


@pytest.mark.parametrize("name", FORMER)
def test_each_renamed_setting_is_one_and_no_former_name_is_still_in_use(name: str) -> None:
    known, former = set(technique(name).settings.model_fields), FORMER[name]
    assert set(former) <= known
    assert not {one.name for one in former.values()} & (known - set(former))
    assert len({one.name for one in former.values()}) == len(former)


@pytest.mark.parametrize(("name", "settings"), STEPS.values(), ids=[name for name, _ in STEPS.values()])
def test_settings_of_an_old_manifest_are_stored_again_as_they_were(name: str, settings: dict[str, Any]) -> None:
    now = shown_as(name, settings)
    plain = technique(name).settings(**{key: value for key, value in now.items() if not _is_hash(key, value)})
    again = stored(name, plain.model_dump(mode="json"))
    assert again.keys() == settings.keys()
    assert {key: value for key, value in again.items() if not _is_hash(key, settings[key])} == {
        key: value for key, value in settings.items() if not _is_hash(key, value)
    }


def _is_hash(name: str, value: Any) -> bool:
    """Of another artifact, which the manifest names by its fingerprint; or a path of which it holds the last part."""
    return name in ("teacher", "teachers", "student", "adapter") and bool(value)


def test_a_former_name_is_read_and_the_new_one_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="compress"):
        read = technique("prune").read({"keep": 0.3, "exclude": ["a"]}, "step 'small' of my.yaml", {("keep",): 7})
    assert (read.target_ratio, read.exclude) == (0.3, ("a",))
    (told,) = caplog.messages
    assert told.startswith("step 'small' of my.yaml line 7: 'keep' is now 'target_ratio'.")


def test_a_former_value_is_read_and_stored_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="compress"):
        read = technique("qat").read({"scales": "fixed"}, "compress qat")
    assert read.step_sizes == "moving_average"
    assert caplog.messages == [
        "compress qat: --scales is now --step-sizes 'moving_average'. The old name will be removed in the next release."
    ]
    assert stored("qat", read.model_dump(mode="json"))["scales"] == "fixed"
    blocks = technique("quantize").read({"precision": "int4", "mode": "weights", "integer_inputs": True}, "here")
    assert blocks.accuracy_level == 4
    assert stored("quantize", blocks.model_dump(mode="json"))["integer_inputs"] is True


def test_a_setting_by_both_of_its_names_is_refused() -> None:
    with pytest.raises(CompressError, match=r"'keep' and 'target_ratio' are one setting, and my.yaml line 3 has both"):
        technique("prune").read({"keep": 0.3, "target_ratio": 0.5}, "my.yaml", {("keep",): 3})


def test_a_wrong_value_under_a_former_name_is_told_with_its_line() -> None:
    with pytest.raises(CompressError, match="'target_ratio' is 3 in my.yaml line 9"):
        technique("prune").read({"keep": 3}, "my.yaml", {("keep",): 9})


def test_settings_without_a_former_name_are_left_alone() -> None:
    values = {"keep": 1, "weights": "x"}
    assert stored("another", values) == shown_as("another", values) == values
