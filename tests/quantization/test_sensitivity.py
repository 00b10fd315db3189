"""Quantizing one layer at a time finds the one that int8 breaks, and says what each brings."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from compress.core.cache import default_cache
from compress.data.loading import described_task
from compress.models.load import resolve_model
from compress.onnx.exported import exported
from compress.quantization import held_out, units
from compress.quantization.int8_settings import Int8Settings
from compress.quantization.sensitivity import Trials, ranked, scheme_of
from tests.planted import LAYER


def _trials(planted: Any, mode: str = "dynamic", **settings: Any) -> Trials:
    source, described = resolve_model(str(planted[0])), described_task(planted[1])
    graph = exported(source, described, default_cache(source.folder)).graph
    scheme = scheme_of(graph, mode, source.folder, described, Int8Settings.model_validate(settings))
    split = held_out.split_of(described)
    chooses, _ = held_out.halves(split, 0)
    return Trials(graph, scheme, held_out.read(source, described, split, chooses[:64]), threads=1)


@pytest.mark.parametrize(
    ("mode", "settings"),
    [
        ("dynamic", {}),
        ("static", {"calibration_method": "minmax", "outlier_layers": "static"}),
    ],
)
def test_the_layer_that_int8_breaks_comes_first(planted: Any, mode: str, settings: dict[str, Any]) -> None:
    trials = _trials(planted, mode, **settings)
    found = ranked(trials, units.units(trials.graph, trials.scheme, trials.held_out.tokens))
    first, second = found[:2]
    assert first.unit.name == LAYER
    assert {name for one in found for name in one.unit.layers} == set(trials.scheme)
    worst = max(one.loss.divergence for one in found if one is not first)
    assert first.loss.divergence > 3 * worst
    assert first.loss_per_share > second.loss_per_share
    assert sum(one.share for one in found) == pytest.approx(1)


def test_a_trial_with_nothing_quantized_loses_nothing_and_the_rest_loses_little(planted: Any) -> None:
    trials = _trials(planted)
    nothing = trials.loss(())
    assert (nothing.divergence, nothing.changed, nothing.drop) == (0, 0, 0)
    everything, rest = trials.loss(trials.scheme), trials.loss(set(trials.scheme) - {LAYER})
    assert everything.changed is not None
    assert rest.changed is not None
    assert everything.divergence > 3 * rest.divergence
    assert everything.changed > rest.changed
    # The labels are fp32's predictions: what changes is wrong.
    assert everything.drop == pytest.approx(100 * everything.changed)


def test_layers_have_their_groups_bytes_and_products(planted: Any) -> None:
    trials = _trials(planted, "static", attention_matmuls="both")
    by_name = {one.name: one for one in units.units(trials.graph, trials.scheme, tokens=10)}
    layer = "bert.encoder.layer.0"
    expected = {
        "bert.embeddings.word_embeddings": units.EMBEDDINGS,
        f"{layer}.attention.self.query": units.ATTENTION,
        f"{layer}.attention.output.dense": units.ATTENTION,
        f"{layer}.attention.self.scores": units.PRODUCTS,
        f"{layer}.intermediate.dense": units.FEED_FORWARD,
        f"{layer}.output.dense": units.FEED_FORWARD,
    }
    assert {name: by_name[name].group for name in expected if name in by_name} == {
        name: group for name, group in expected.items() if name in trials.scheme
    }
    product = by_name[f"{layer}.attention.self.query"]
    assert (product.multiply_adds, product.bytes) == (64 * 64, 3 * 64 * 64 - 5 * 64)
    assert (
        by_name[f"{layer}.attention.self.scores"].multiply_adds,
        by_name[f"{layer}.attention.self.scores"].bytes,
    ) == (
        64 * 10,
        0,
    )
    groups = units.units(trials.graph, trials.scheme, 10, "group")
    assert {one.name for one in groups} >= {units.ATTENTION, units.PRODUCTS, units.FEED_FORWARD}
    assert sum(one.bytes for one in groups) == sum(one.bytes for one in by_name.values())


def test_the_halves_share_no_text_and_depend_on_the_seed_alone(planted: Any) -> None:
    split = held_out.split_of(described_task(planted[1]))
    chooses, verifies = held_out.halves(split, 0)
    hashes = split.rows["row_hash"]
    assert not {hashes[one] for one in chooses} & {hashes[one] for one in verifies}
    assert sorted(chooses + verifies) == list(range(len(split.rows)))
    assert held_out.halves(split, 0) == (chooses, verifies)
    assert held_out.halves(split, 1) != (chooses, verifies)


def test_outputs_that_are_no_numbers_are_the_greatest_loss(planted: Any) -> None:
    trials = _trials(planted)
    broken = {name: values * math.nan for name, values in trials.reference.items()}
    assert trials._divergence(broken) == math.inf


def test_a_drop_has_the_sign_of_a_loss_and_an_interval_around_it(planted: Any) -> None:
    held = _trials(planted).held_out
    right = held.labels.astype(float)
    wrong = right.copy()
    wrong[:6] = 1 - wrong[:6]
    assert held.drop(wrong, right) == pytest.approx(600 / len(right))
    assert held.drop(right, wrong) == pytest.approx(-600 / len(right))
    low, high = held.drop_interval(wrong, right) or (0, 0)
    assert 0 < low < 600 / len(right) < high
    from compress.metrics.metric import find

    errors = replace(held, metric=replace(find("accuracy"), higher_is_better=False))
    assert errors.drop(wrong, right) == pytest.approx(-600 / len(right))
