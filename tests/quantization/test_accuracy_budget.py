"""An accuracy budget keeps in floating point what must be, and says on other rows what the result loses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import BudgetNotMet, CompressError
from compress.quantization.accuracy_budget import kept_in_float
from compress.quantization.scheme import Scheme
from compress.techniques.request import Request
from tests.planted import LAYER
from tests.tiny import write_model

NAMES = [f"layer {number}" for number in range(12)]


@given(st.lists(st.floats(0, 10), min_size=12, max_size=12), st.floats(0, 20))
def test_what_is_kept_is_enough_and_nothing_of_it_can_be_given_back(losses: list[float], most: float) -> None:
    by_name = dict(zip(NAMES, losses, strict=True))
    ranked = sorted(NAMES, key=lambda name: -by_name[name])

    def drop(kept: frozenset[str]) -> float:
        return sum(loss for name, loss in by_name.items() if name not in kept)

    kept = kept_in_float(ranked, drop, most)
    least = min(losses)  # one layer at least is quantized
    if least > most:
        assert drop(kept) == min(drop(frozenset(ranked[:count])) for count in range(12))
        return
    assert drop(kept) <= most
    assert all(drop(kept - {name}) > most for name in kept)


def test_a_layer_that_comes_too_early_in_the_ranking_is_given_back() -> None:
    def drop(kept: frozenset[str]) -> float:
        return 0.0 if "layer 2" in kept else 5.0

    tried: list[frozenset[str]] = []

    def counted(kept: frozenset[str]) -> float:
        tried.append(kept)
        return drop(kept)

    assert kept_in_float(NAMES, counted, 1.0) == {"layer 2"}
    assert len(set(tried)) < len(NAMES)


@pytest.fixture
def quantize(planted: tuple[Path, dict[str, Any]], tmp_path: Path) -> Callable[..., Artifact]:
    model, task = planted

    def run(name: str = "int8", **settings: Any) -> Artifact:
        technique = find("techniques", "quantize")
        out = model.parent / f"{tmp_path.name}-{name}"
        return Request.read(technique, model, out, settings, "compress quantize", task=task).run()

    return run


def test_the_layer_that_int8_breaks_is_kept_and_little_else(quantize: Callable[..., Artifact]) -> None:
    made = quantize(max_drop=3.0)
    found = made.steps[-1].facts["accuracy_budget"]
    kept = [one["name"] for one in found["kept_in_float"]]
    assert LAYER in kept
    assert len(kept) <= 2
    assert set(Scheme.load(made.folder / "scheme.safetensors")).isdisjoint(kept)
    assert found["layers"] == len(Scheme.load(made.folder / "scheme.safetensors")) + len(kept)
    assert found["ranking"][0]["name"] == LAYER
    verified = found["verified_on"]
    assert found["met"]
    assert verified["drop"] <= 3.0 < verified["everything_quantized"]
    low, high = verified["interval"]
    assert low <= verified["drop"] <= high
    size = found["cost"]["bytes"]
    assert size["everything_quantized"] < size["chosen"] < size["fp32"]
    assert set(found["cost"]["seconds"]) == set(size)


def test_a_limit_that_everything_in_int8_keeps_changes_nothing(quantize: Callable[..., Artifact]) -> None:
    plain, limited = quantize("plain", allow_disagreement=True), quantize("limited", max_drop=1000.0)
    assert limited.steps[-1].facts["accuracy_budget"]["kept_in_float"] == []
    assert (plain.folder / "model.onnx").read_bytes() == (limited.folder / "model.onnx").read_bytes()
    assert plain.fingerprint() != limited.fingerprint()
    assert "max_drop" not in plain.steps[-1].settings


def test_a_limit_that_cannot_be_kept_keeps_the_best_that_was_found(
    quantize: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    from compress.quantization import held_out

    real = held_out.HeldOut.drop
    monkeypatch.setattr(held_out.HeldOut, "drop", lambda *given: real(*given) + 1.0)
    for _ in range(2):  # made, then found finished
        with pytest.raises(BudgetNotMet, match=r"at most 0.5 may be lost.*in floating point.*is kept"):
            quantize(max_drop=0.5)
    monkeypatch.undo()
    with pytest.raises(BudgetNotMet) as error:
        quantize(max_drop=0.5)
    made = error.value.result
    found = made.steps[-1].facts["accuracy_budget"]
    assert not found["met"]
    assert LAYER in [one["name"] for one in found["kept_in_float"]]
    made.check_files()


def test_a_limit_that_nothing_would_measure_is_refused(planted: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    model, task = planted
    technique = find("techniques", "quantize")

    def check(folder: Path = model, task: Any = task, **settings: Any) -> None:
        Request.read(technique, folder, tmp_path / "out", {"max_drop": 1, **settings}, "", task=task).check()

    for settings in ({"precision": "fp16"}, {"precision": "int4", "mode": "weights"}):
        with pytest.raises(CompressError, match="'max_drop' is for int8 with mode dynamic or static"):
            check(**settings)
    with pytest.raises(CompressError, match="has no task of its own"):
        check(write_model(tmp_path / "model"), None)
