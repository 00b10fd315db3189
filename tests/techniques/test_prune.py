"""Pruning as a step: what was asked for is what is delivered, it reloads, recovers, and composes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.core.settings import build
from compress.models.load import classifier, load, resolve_model
from compress.pruning import costs, latency_table
from compress.pruning.prune_settings import Prune
from compress.pruning.units import units
from compress.pruning.weights import prunable, weights_of
from compress.techniques.apply import apply
from compress.techniques.prune import prospect
from compress.training import loop
from tests.families import LIKE_ROBERTA
from tests.tiny import FAMILIES, write_model

TECHNIQUE = find("techniques", "prune")


@pytest.fixture
def prune(make_model: Callable[..., Path], task: dict[str, Any], tmp_path: Path) -> Callable[..., Artifact]:
    model = resolve_model(str(make_model("bert", "whole")))

    def run(name: str, source: Artifact | None = None, **settings: Any) -> Artifact:
        training = {"batch_size": 16, "precision": "fp32", "max_length": 64} if settings.get("epochs") else {}
        chosen = Prune(**{**training, **settings})
        return apply(TECHNIQUE, source or model, chosen, tmp_path / name, task=task)

    return run


def zeros(artifact: Artifact) -> int:
    """Exact zeros in the matrices that can be pruned."""
    return sum(int((weight == 0).sum()) for weight in weights_of(load(artifact)).values())


def equal(one: Artifact, other: Artifact) -> bool:
    """Whether two artifacts' weights are the same to the last bit."""
    first, second = (load_file(artifact.folder / "model.safetensors") for artifact in (one, other))
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("method", ["magnitude", "wanda", "sparsegpt"])
def test_the_share_of_zeros_asked_for_is_the_share_delivered(prune: Callable[..., Artifact], method: str) -> None:
    artifact = prune("pruned", method=method, sparsity=0.6)
    total = sum(weight.numel() for weight in weights_of(load(artifact)).values())
    assert zeros(artifact) == round(0.6 * total)
    assert artifact.steps[-1].facts["share_of_zeros"] == pytest.approx(0.6, abs=1 / total)


@pytest.mark.parametrize("method", ["magnitude", "wanda", "sparsegpt"])
def test_two_of_each_four_neighbours_stay(prune: Callable[..., Artifact], method: str) -> None:
    for weight in weights_of(load(prune("pruned", method=method, pattern="2:4"))).values():
        assert ((weight.reshape(-1, 4) != 0).sum(1) == 2).all()


def test_zeros_hold_through_a_recovery_and_other_weights_move(prune: Callable[..., Artifact]) -> None:
    before = prune("before", method="magnitude", sparsity=0.5)
    after = prune("after", method="magnitude", sparsity=0.5, gradual=False, epochs=1, learning_rate=1e-3)
    first, second = weights_of(load(before)), weights_of(load(after))
    assert all(torch.equal(first[name] == 0, second[name] == 0) for name in first)
    assert not all(torch.equal(first[name], second[name]) for name in first)


def test_zeros_come_gradually_while_the_model_learns(
    prune: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = prune("pruned", method="magnitude", sparsity=0.6, epochs=4, learning_rate=1e-3)
    at_once = prune("at-once", method="magnitude", sparsity=0.6, gradual=False, epochs=4, learning_rate=1e-3)
    assert zeros(artifact) == zeros(at_once)
    assert not equal(artifact, at_once)
    evaluated = artifact.steps[-1].facts["curves"]["accuracy on held-out rows"]
    assert [step for step, _ in evaluated] == [24, 32]  # of epochs 1 to 4, those at whose end all zeros were there


@pytest.mark.parametrize("method", ["gradual", "movement"])
def test_a_pruning_that_was_killed_ends_with_the_weights_of_one_that_was_not(
    prune: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    settings: dict[str, Any] = {"sparsity": 0.6, "epochs": 2, "learning_rate": 1e-3}
    settings["method"] = "magnitude" if method == "gradual" else "movement"
    whole = prune("whole-run", **settings)
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)  # a checkpoint after each step
    from compress.tasks.kinds import losses

    steps = 0

    def dies(*given: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 9:
            raise RuntimeError("killed")
        return soft(*given)

    soft = losses.soft_targets
    with monkeypatch.context() as patch:
        patch.setattr(losses, "soft_targets", dies)
        with pytest.raises(RuntimeError, match="killed"):
            prune("killed", **settings)
    resumed = prune("killed", **settings)
    assert resumed.steps[-1].facts["resumed_from_step"] == 8
    assert equal(whole, resumed)


def test_movement_leaves_a_plain_checkpoint_with_the_zeros_asked_for(prune: Callable[..., Artifact]) -> None:
    artifact = prune("pruned", method="movement", sparsity=0.5, epochs=2)
    total = sum(weight.numel() for weight in weights_of(load(artifact)).values())
    assert zeros(artifact) == round(0.5 * total)
    names = load_file(artifact.folder / "model.safetensors").keys()
    assert names == load_file(Path(str(artifact.folder.parent / "whole")) / "model.safetensors").keys()


@pytest.mark.parametrize("budget", ["macs", "parameters"])
@pytest.mark.parametrize("method", ["structured", "kwon"])
def test_a_budget_is_kept_and_the_remainder_is_reported(
    prune: Callable[..., Artifact], tmp_path: Path, method: str, budget: str
) -> None:
    artifact = prune("pruned", method=method, target_ratio=0.6, budget=budget)
    whole, smaller = classifier(tmp_path / "whole"), load(artifact)
    price = costs.macs(whole, 128) if budget == "macs" else costs.parameters(whole)
    share = price.of(units(smaller)) / price.of(units(whole))
    told = artifact.steps[-1].facts["budget"]
    assert 0.5 < share <= 0.6
    assert told["delivered"] == pytest.approx(share)
    assert told["delivered"] + told["remainder"] == pytest.approx(0.6)


@pytest.mark.parametrize("asked", [{"target_ratio": 0.6}, {"latency_budget_ms": 3.0}])
def test_a_budget_of_measured_time_is_kept(
    prune: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch, asked: dict[str, float]
) -> None:
    """As if a head took 0.1 and sixteen neurons 0.1 milliseconds: 1.2 a layer, 4.8 in all."""

    def measured(model: Any, **_: Any) -> Any:
        per_layer = costs.linear("milliseconds", 0.1, 0.1 / 16, units(model))
        return SimpleNamespace(costs=lambda: per_layer)

    monkeypatch.setattr(latency_table, "table", measured)
    artifact = prune("pruned", budget="latency", **asked)
    left = units(load(artifact))
    takes = 0.1 * sum(left.heads) + 0.1 / 16 * sum(left.neurons)
    budget = asked.get("latency_budget_ms", 0.6 * 4.8)
    assert budget - 0.1 < takes <= budget + 1e-9
    assert artifact.steps[-1].facts["budget"]["unit"] == "milliseconds"


def test_what_was_removed_is_listed_and_is_what_is_missing(prune: Callable[..., Artifact], tmp_path: Path) -> None:
    artifact = prune("pruned", target_ratio=0.6)
    facts, left = artifact.steps[-1].facts, units(load(artifact))
    gone = [len(heads) for heads in facts["heads_removed"]]
    assert [4 - count for count in gone] == list(left.heads) == facts["heads_kept"]
    assert [128 - len(some) for some in facts["neurons_removed"]] == list(left.neurons)


def test_fewer_hidden_dimensions_are_a_plain_checkpoint_that_composes(prune: Callable[..., Artifact]) -> None:
    from transformers import AutoModelForSequenceClassification

    artifact = prune("narrow", method="width", hidden_size=32)
    model, told = AutoModelForSequenceClassification.from_pretrained(artifact.folder, output_loading_info=True)
    assert model.config.hidden_size == 32
    assert not any(told.values())
    assert artifact.steps[-1].facts["hidden_kept"] == 32
    assert artifact.steps[-1].facts["hidden_of"] == 64
    fewer = prune("fewer", artifact, method="structured", target_ratio=0.5, importance="magnitude")
    with pytest.raises(CompressError, match="Narrow the model first"):
        prune("again", fewer, method="width", hidden_size=16)


def test_heads_and_neurons_are_kept_in_equal_numbers_in_all_layers(prune: Callable[..., Artifact]) -> None:
    from transformers import AutoModelForSequenceClassification

    artifact = prune("narrow", method="width", hidden_size=32, heads=4, intermediate_size=96)
    model = AutoModelForSequenceClassification.from_pretrained(artifact.folder)
    config = model.config
    assert (config.hidden_size, config.num_attention_heads, config.intermediate_size) == (32, 4, 96)
    assert artifact.steps[-1].facts["widths"] == "hidden width 64 to 32, heads 4 to 4, feed-forward 128 to 96"
    assert prune("neurons", method="width", intermediate_size=64).steps[-1].facts["hidden_kept"] == 64
    with pytest.raises(ValueError, match="they go with the method 'width' and no other"):
        prune("refused", method="structured", heads=2)
    with pytest.raises(CompressError, match="heads 5 cannot be cut out of the teacher's 4"):
        prune("refused", method="width", heads=5)


def test_sizes_that_are_not_asked_for_change_no_fingerprint() -> None:
    assert not {"heads", "intermediate_size"} & Prune(method="width", hidden_size=32).model_dump().keys()


def test_pruning_composes(prune: Callable[..., Artifact]) -> None:
    first = prune("first", target_ratio=0.7)
    second = prune("second", first, target_ratio=0.7)
    third = prune("third", second, method="magnitude", sparsity=0.5)
    fourth = prune("fourth", third, method="layers", layers=2, epochs=1)
    assert sum(units(load(second)).heads) < sum(units(load(first)).heads)
    assert 0.49 < zeros(third) / sum(weight.numel() for weight in weights_of(load(third)).values()) < 0.51
    assert len(units(load(fourth)).heads) == 2
    assert zeros(fourth) > 0  # the zeros of the layers that stayed hold through the recovery


def test_a_structured_model_recovers_under_the_unpruned_one(prune: Callable[..., Artifact], tmp_path: Path) -> None:
    artifact = prune("pruned", target_ratio=0.6, epochs=2, learning_rate=1e-3, hidden_weight=1.0, attention_weight=1.0)
    curve = [value for _, value in artifact.steps[-1].facts["curves"]["loss: hidden states"]]
    assert curve[-1] < curve[0]
    assert max(units(load(artifact)).heads) < 4 or min(units(load(artifact)).neurons) < 128


def test_adapters_recover_and_are_merged(prune: Callable[..., Artifact]) -> None:
    bare = prune("bare", target_ratio=0.6)
    artifact = prune("pruned", target_ratio=0.6, epochs=1, lora_rank=4, learning_rate=1e-3)
    first, second = (load_file(one.folder / "model.safetensors") for one in (bare, artifact))
    assert first.keys() == second.keys()
    moved = {name for name in first if not torch.equal(first[name], second[name])}
    assert moved == {f"{name}.weight" for name in prunable(load(bare))} | {"classifier.weight", "classifier.bias"}


@pytest.mark.slow
@pytest.mark.parametrize("family", [*FAMILIES, *LIKE_ROBERTA])
def test_every_family_is_pruned_by_every_kind(family: str, task: dict[str, Any], tmp_path: Path) -> None:
    model = resolve_model(str(write_model(tmp_path / "whole", family)))
    for number, settings in enumerate(
        (
            {"method": "structured", "target_ratio": 0.8, "epochs": 1},
            {"method": "kwon", "target_ratio": 0.8},
            {"method": "layers", "layers": 3, "layer_choice": "last"},
            {"method": "width", "hidden_size": 48},
            {"method": "magnitude", "sparsity": 0.5, "epochs": 1},
            {"method": "sparsegpt", "pattern": "2:4"},
            {"method": "movement", "sparsity": 0.3, "epochs": 1},
        )
    ):
        training = {"batch_size": 32, "precision": "fp32", "max_length": 64} if "epochs" in settings else {}
        chosen = Prune(**training, **settings)
        made = apply(TECHNIQUE, model, chosen, tmp_path / str(number), task=task)
        logits = load(made)(input_ids=torch.tensor([[2, 7, 9, 3]])).logits
        assert torch.isfinite(logits).all()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"method": "layers"}, "which layers to keep"),
        ({"layers": 3}, "which layers to keep"),
        ({"method": "width"}, "the sizes to keep"),
        ({"hidden_size": 32}, "the sizes to keep"),
        ({"method": "movement"}, "set 'epochs'"),
        ({"latency_budget_ms": 3.0}, "budget: latency"),
        ({"penalty": 1.0}, "belongs to the method 'movement'"),
        ({"lora_rank": 4}, "LoRA is for the recovery"),
        ({"target_ratio": 0}, "greater than 0"),
        ({"sparsity": 1.0}, "less than 1"),
        ({"pattern": "two of four"}, "match pattern"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(CompressError, match=told):
        build(Prune, settings, "a test")


@pytest.mark.parametrize("method", ["structured", "kwon"])
def test_a_budget_that_removes_nothing_is_refused(method: str, prune: Callable[..., Artifact], tmp_path: Path) -> None:
    with pytest.raises(CompressError, match=f"target_ratio is 1, so {method} would prune nothing. Set it below 1"):
        prune("pruned", method=method, target_ratio=1)
    assert not (tmp_path / "pruned").exists()


def test_what_a_kind_of_pruning_can_gain_is_said_beforehand() -> None:
    assert "no runtime here faster" in prospect(Prune(method="magnitude"))
    assert "sparse tensor cores" in prospect(Prune(method="wanda", pattern="2:4"))
    assert "smaller and faster in every runtime" in prospect(Prune())


def test_a_recovery_without_a_task_and_a_budget_too_small_are_refused(
    make_model: Callable[..., Path], prune: Callable[..., Artifact], tmp_path: Path
) -> None:
    with pytest.raises(CompressError, match="no task of its own"):
        apply(
            TECHNIQUE,
            resolve_model(str(make_model("bert", "bare"))),
            Prune(method="magnitude", epochs=1),
            tmp_path / "out",
        )
    with pytest.raises(CompressError, match="too small"):
        prune("pruned", target_ratio=0.05)
