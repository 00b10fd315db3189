"""Milliseconds by widths: a fake timer in place of the machine's; ONNX Runtime only shows that the graphs run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.models.load import classifier
from compress.pruning import latency_table
from compress.pruning.allocation import everywhere
from compress.pruning.importance import magnitude
from compress.pruning.latency_blocks import widths
from compress.pruning.latency_table import LatencyTable, table
from compress.pruning.units import Units, units
from tests.models.families.test_read_token import strong_classifier
from tests.tiny import write_model

FIXED = {"attention": 2.0, "ffn": 1.0, "last_attention": 1.5, "last_ffn": 0.25}
EACH = {"attention": 1.0, "ffn": 1 / 16, "last_attention": 0.5, "last_ffn": 1 / 64}


class FakeTimer:
    """So many milliseconds a block and so many a unit; one round in three is disturbed."""

    def __init__(self, dip: str = "") -> None:
        self.calls = 0
        self.dip = dip
        """A graph that seems to take no time."""

    def __call__(self, graphs: Mapping[str, Any], threads: int) -> dict[str, Sequence[float]]:
        self.calls += 1
        found = {}
        for name in graphs:
            block, count = name.split(" ")
            seconds = 0.0 if name == self.dip else (FIXED[block] + EACH[block] * int(count)) / 1000
            found[name] = [seconds, 100 * seconds, seconds]
        return found


def measured(folder: Path, family: str = "bert", *, timer: FakeTimer | None = None, **changes: Any) -> LatencyTable:
    model = classifier(write_model(folder / "model", family, **changes))  # 4 layers of 4 heads and 128 neurons
    return table(model, batch=2, length=16, threads=1, cache=folder, timer=timer or FakeTimer())


def test_an_encoder_takes_as_long_as_its_blocks_and_the_last_layer_less(tmp_path: Path) -> None:
    found = measured(tmp_path)
    whole = 3 * (2 + 4 + 1 + 8) + (1.5 + 2 + 0.25 + 2)
    assert found.costs().of(Units((4,) * 4, (128,) * 4, 16)) == pytest.approx(whole)
    # 3 heads were measured, 40 neurons lie between 32 and 48: their time is interpolated
    assert found.costs().of(Units((3, 4, 4, 4), (128, 40, 128, 128), 16)) == pytest.approx(whole - 1 - 88 / 16)
    assert found.costs().of(Units((4,) * 4, (128, 128, 128, 64), 16)) == pytest.approx(whole - 1)


def test_where_the_classifier_reads_all_tokens_the_last_layer_is_like_the_others(tmp_path: Path) -> None:
    found = measured(tmp_path, "modernbert", classifier_pooling="mean")
    assert found.costs().of(Units((4,) * 4, (128,) * 4, 16)) == pytest.approx(4 * (2 + 4 + 1 + 8))


def test_of_a_model_that_classifies_tokens_the_last_layer_is_like_the_others(tmp_path: Path) -> None:
    model = strong_classifier("bert", "TokenClassification", num_hidden_layers=2)  # 4 heads and 256 neurons
    found = table(model, batch=2, length=16, threads=1, cache=tmp_path, timer=FakeTimer())
    assert found.costs().of(units(model)) == pytest.approx(2 * (2 + 4 + 1 + 16))
    assert set(found.blocks) == {"attention", "ffn"}


def test_a_shared_layer_takes_as_long_as_all_its_applications(tmp_path: Path) -> None:
    found = measured(tmp_path, "albert")
    assert found.costs().of(Units((4,), (128,), 16)) == pytest.approx(3 * (2 + 4 + 1 + 8) + (1.5 + 2 + 0.25 + 2))


def test_times_never_fall_as_widths_grow(tmp_path: Path) -> None:
    found = measured(tmp_path, timer=FakeTimer(dip="ffn 64"))
    times = [found.blocks["ffn"][count] for count in sorted(found.blocks["ffn"])]
    assert times == sorted(times)
    assert min(times) > 0  # the dip is shared with its neighbours, not believed


def test_what_was_measured_is_kept_for_the_same_shape_and_threads_alone(tmp_path: Path) -> None:
    timer = FakeTimer()
    first, again = measured(tmp_path, timer=timer), measured(tmp_path, timer=timer)
    assert timer.calls == 1
    assert first == again
    model = classifier(tmp_path / "model")
    table(model, batch=1, length=16, threads=1, cache=tmp_path, timer=timer)
    table(model, batch=2, length=16, threads=2, cache=tmp_path, timer=timer)
    assert timer.calls == 3


def test_a_kept_table_that_was_damaged_is_measured_again(tmp_path: Path) -> None:
    timer = FakeTimer()
    first = measured(tmp_path, timer=timer)
    (mark,) = (tmp_path / "latency").rglob("entry.json")
    mark.write_text(mark.read_text()[:-20])
    assert measured(tmp_path, timer=timer) == first
    assert timer.calls == 2


def test_another_version_of_onnx_runtime_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timer = FakeTimer()
    measured(tmp_path, timer=timer)
    monkeypatch.setattr(latency_table, "packages", lambda: {"onnxruntime": "99"})
    measured(tmp_path, timer=timer)
    assert timer.calls == 2


def test_a_budget_in_milliseconds_is_kept(tmp_path: Path) -> None:
    found = measured(tmp_path)
    model = classifier(tmp_path / "model")
    allocation = everywhere(magnitude(model), found.costs(), 40.0)
    kept = Units(tuple(map(len, allocation.kept.heads)), tuple(map(len, allocation.kept.neurons)), 16)
    assert found.costs().of(kept) == pytest.approx(allocation.delivered)
    assert 38 < allocation.delivered <= 40
    assert allocation.unit == "milliseconds"


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_the_graphs_run_in_onnx_runtime(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency_table, "ROUNDS", (2, 2))
    monkeypatch.setattr(latency_table, "LEAST_SECONDS", 0.0)
    model = classifier(write_model(tmp_path / "model", family))
    found = table(model, batch=2, length=8, threads=1, cache=tmp_path)
    assert {block: sorted(some) for block, some in found.blocks.items()} == {
        "attention": widths(4, 1),
        "ffn": widths(128, 16),
        "last_attention": widths(4, 1),
        "last_ffn": widths(128, 16),
    }
    assert all(value > 0 for some in found.blocks.values() for value in some.values())


@pytest.mark.parametrize("what", ["batch", "length", "threads"])
def test_a_condition_below_one_is_refused(what: str, tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path / "model"))
    condition = {"batch": 1, "length": 8, "threads": 1, what: 0}
    with pytest.raises(CompressError, match=f"{what} of 1 or more, not 0"):
        table(model, cache=tmp_path, **condition)
