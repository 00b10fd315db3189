"""Pruning of generative models: what was asked for is delivered, opens again, still generates, and is smaller as ONNX."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.core.settings import build
from compress.models.forward import logits_and_labels
from compress.models.layers import layer_count
from compress.models.load import load, resolve_model, tokenizer
from compress.pruning import costs, latency_table
from compress.pruning.prune_settings import Prune
from compress.pruning.units import units
from compress.pruning.weights import weights_of
from compress.techniques.apply import apply
from tests.families import ONE_OF_EACH, is_seq2seq
from tests.tiny_generators import write_generator, write_pairs, write_text

TECHNIQUE = find("techniques", "prune")
Run = Callable[..., Artifact]


@pytest.fixture
def prune(tmp_path: Path) -> Run:
    """`prune("out", "bart", method="structured")`: a step on a little summarization."""

    def run(name: str, family: str = "bart", *, task: Any = None, **settings: Any) -> Artifact:
        folder = tmp_path / f"whole-{family}"
        if not folder.exists():
            write_generator(folder, family, layers=2, init_std=0.3, initializer_range=0.3)
        described = task or write_pairs(tmp_path / "data", rows=40)
        training = {"batch_size": 16, "precision": "fp32"} if settings.get("epochs") else {}
        rows = {} if settings.get("method") in ("magnitude", "movement", "layers") else {"calibration": "task-256"}
        chosen = build(Prune, {**training, **rows, **settings}, "test")
        return apply(TECHNIQUE, resolve_model(str(folder)), chosen, tmp_path / name, task=described)

    return run


def writes(model: Any, **how: Any) -> Any:
    """Six tokens, greedily."""
    prompt = {"input_ids": torch.tensor([[5, 9, 12, 7], [8, 30, 6, 11]]), "attention_mask": torch.ones(2, 4).long()}
    found: Any = model.generate(**prompt, max_new_tokens=6, min_new_tokens=6, do_sample=False, **how)
    return found


def logits(model: Any, **how: Any) -> torch.Tensor:
    """Those of the same six steps, [steps, rows, vocabulary]: they differ where the most likely tokens may be the same."""
    return torch.stack(writes(model, output_logits=True, return_dict_in_generate=True, **how).logits)


def gap(model: Any, teacher: Any, family: str, rows: list[dict[str, str]]) -> float:
    """How far a model's next tokens are from its teacher's on rows that neither has seen: KL at each token of the references."""
    its_tokenizer = tokenizer(Path(teacher.config._name_or_path))
    total = 0.0
    for row in rows:
        source, target = (its_tokenizer(row[name], add_special_tokens=False).input_ids for name in ("chat", "gist"))
        if is_seq2seq(family):
            batch = {"input_ids": torch.tensor([source]), "labels": torch.tensor([[*target, 1]])}
        else:
            batch = {
                "input_ids": torch.tensor([[2, *source, *target]]),
                "labels": torch.tensor([[2, *source, *target]]),
            }
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
        with torch.no_grad():
            ours, theirs = (
                logits_and_labels(one, batch)[0][0, -len(target) :].log_softmax(-1) for one in (model, teacher)
            )
        total += float(torch.nn.functional.kl_div(ours, theirs, log_target=True, reduction="batchmean"))
    return total / len(rows)


def read_jsonl(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("method", ["structured", "kwon"])
@pytest.mark.parametrize("family", [*ONE_OF_EACH, "t5", "llama"])  # heads of a shared table, heads in groups
def test_what_is_pruned_keeps_within_its_budget_and_still_generates(prune: Run, family: str, method: str) -> None:
    artifact = prune("pruned", family, method=method, target_ratio=0.5)
    whole, small = load(resolve_model(str(artifact.folder.parent / f"whole-{family}"))), load(artifact)
    facts = artifact.steps[-1].facts
    price = costs.macs(whole, 128, 32)
    assert facts["budget"]["delivered"] == pytest.approx(price.of(units(small)) / price.of(units(whole)))
    assert 0.35 < facts["budget"]["delivered"] <= 0.5
    torch.testing.assert_close(logits(small), logits(small, use_cache=False), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(logits(small), logits(whole), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("family", ONE_OF_EACH)
@pytest.mark.parametrize("method", ["magnitude", "wanda", "sparsegpt"])
def test_the_share_of_zeros_asked_for_is_delivered_in_all_parts(prune: Run, family: str, method: str) -> None:
    artifact = prune(
        "sparse", family, method=method, sparsity=0.6, **({"scope": "local"} if method == "magnitude" else {})
    )
    found = weights_of(load(artifact))
    total = sum(weight.numel() for weight in found.values())
    assert sum(int((weight == 0).sum()) for weight in found.values()) == round(0.6 * total)
    assert all(0.55 < float((weight == 0).float().mean()) < 0.65 for weight in found.values())
    writes(load(artifact))


@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_the_least_important_layers_of_either_side_are_removed(prune: Run, family: str) -> None:
    asked = {"encoder_layers": 1, "decoder_layers": (1,)} if is_seq2seq(family) else {"layers": 1}
    artifact = prune("short", family, method="layers", **asked)
    small = load(artifact)
    assert {layer_count(small.config, side) for side in ("encoder", "decoder")} == {1}
    writes(small)
    facts = artifact.steps[-1].facts
    if is_seq2seq(family):
        assert facts["decoder_layers_kept"] == [1]
        assert len(facts["encoder_layers_kept"]) == 1


@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_fewer_hidden_dimensions_are_a_plain_checkpoint_that_still_generates(prune: Run, family: str) -> None:
    artifact = prune("narrow", family, method="width", hidden_size=24)
    small = load(artifact)
    assert small.config.hidden_size == 24
    assert {name: artifact.steps[-1].facts[name] for name in ("hidden_kept", "hidden_of")} == {
        "hidden_kept": 24,
        "hidden_of": 32,
    }
    plain = type(small).from_pretrained(artifact.folder)
    torch.testing.assert_close(logits(plain), logits(small), rtol=0, atol=0)
    torch.testing.assert_close(logits(small), logits(small, use_cache=False), rtol=1e-4, atol=1e-4)
    fewer = load(prune("fewer", family, method="width", hidden_size=16, epochs=1, alpha=1, top_k=8))
    assert fewer.config.hidden_size == 16


@pytest.mark.parametrize("family", ["t5", "gpt2"])
def test_a_pruned_model_recovers_under_the_unpruned_one(prune: Run, family: str) -> None:
    once = {"method": "structured", "target_ratio": 0.25}
    artifact = prune(
        "recovered", family, **once, epochs=16, keep_checkpoint="last", alpha=1, top_k=8, learning_rate=3e-3
    )
    cut = load(prune("cut", family, **once))
    teacher = load(resolve_model(str(artifact.folder.parent / f"whole-{family}")))
    assert units(load(artifact)) == units(cut)
    rows = read_jsonl(artifact.folder.parent / "data" / "evaluation.jsonl")
    gaps = [gap(model, teacher, family, rows) for model in (load(artifact), cut)]
    assert gaps[0] < 0.8 * gaps[1]


@pytest.mark.parametrize("family", ["bart", "llama"])  # whose layers have fewer heads than its config says
def test_recovery_matches_the_layers_of_the_unpruned_model(prune: Run, family: str) -> None:
    settings = {"method": "structured", "target_ratio": 0.5, "epochs": 1, "hidden_weight": 1, "attention_weight": 1}
    curves = prune("recovered", family, **settings).steps[-1].facts["curves"]
    sides = ("encoder ", "decoder ") if is_seq2seq(family) else ("",)
    for side in sides:
        assert curves[f"loss: {side}hidden states"][-1][1] > 0
        assert curves[f"loss: {side}attention"][-1][1] > 0


@pytest.mark.parametrize("family", ["bart", "gpt2"])
def test_movement_and_gradual_pruning_end_with_the_zeros_asked_for(prune: Run, family: str) -> None:
    for method in ("movement", "magnitude"):
        artifact = prune(method, family, method=method, sparsity=0.5, epochs=2, alpha=0, learning_rate=1e-3)
        assert artifact.steps[-1].facts["share_of_zeros"] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("family", ONE_OF_EACH)
@pytest.mark.parametrize("asked", [{"target_ratio": 0.6}, {"latency_budget_ms": 45.0}])
def test_a_budget_of_measured_time_is_kept(
    prune: Run, monkeypatch: pytest.MonkeyPatch, family: str, asked: dict[str, float]
) -> None:
    """As if each block took a millisecond, and one more for each unit; neurons in sixteens."""

    def seconds(graphs: Any, threads: int) -> dict[str, list[float]]:
        counts = {name: int(name.split(" ")[1]) / (16 if "ffn" in name else 1) for name in graphs}
        return {name: [(1 + count) / 1000] for name, count in counts.items()}

    monkeypatch.setattr(latency_table, "_timed", seconds)
    artifact = prune("pruned", family, budget="latency", new_tokens=2, length=16, **asked)
    budget, left = artifact.steps[-1].facts["budget"], units(load(artifact))
    runs = [1, 1, 2, 3, 2, 3] if is_seq2seq(family) else [2, 2]  # cross-attention: its keys once, and two steps
    ffn = [1, 1, 2, 2] if is_seq2seq(family) else [2, 2]
    takes = sum(often * (1 + count) for often, count in zip(runs, left.heads, strict=True))
    takes += sum(often * (1 + count / 16) for often, count in zip(ffn, left.neurons, strict=True))
    assert budget["unit"] == "milliseconds"
    assert budget["written"] == 2
    assert takes == pytest.approx(budget["delivered"] * budget["of"])
    most = asked.get("latency_budget_ms", 0.6 * budget["of"])
    assert most - 4 < takes <= most + 1e-9


def test_a_decoder_is_pruned_by_its_loss_on_plain_text(prune: Run, tmp_path: Path) -> None:
    text = write_text(tmp_path / "text", lines=40)
    artifact = prune("pruned", "llama", task=text, method="structured", target_ratio=0.6)
    assert artifact.steps[-1].facts["budget"]["delivered"] <= 0.6
    writes(load(artifact))


@pytest.mark.parametrize(
    ("family", "settings", "message"),
    [
        ("gpt2", {"method": "width", "hidden_size": 12}, "hidden_size 12 is not a multiple of 8"),
        (
            "gpt2",
            {"new_tokens": 8},
            "'new_tokens' is for generative encoder-decoders, and with 'budget: latency' for decoders",
        ),
        ("llama", {"method": "layers", "encoder_layers": 1}, "has no encoder_layers"),
        ("bart", {"method": "layers", "decoder_layers": 5}, "cannot keep 5 layers"),
    ],
)
def test_what_is_for_classifiers_is_refused(prune: Run, family: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(CompressError, match=message):
        prune("refused", family, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["structured", "kwon"])
@pytest.mark.parametrize("family", ["t5", "llama"])  # heads of a shared table, heads in groups
def test_the_exported_graphs_hold_the_smaller_matrices_and_generate_the_same(
    prune: Run, family: str, method: str, tmp_path: Path
) -> None:
    from compress.onnx.export_with_cache import export_generative
    from compress.onnx.graph import Graph
    from compress.runtimes.onnx_generation import open_generator_in
    from compress.runtimes.runtime import Serving

    artifact = prune("pruned", family, method=method, target_ratio=0.5)
    model = load(artifact)
    parts = export_generative(model, tmp_path / "onnx").parts
    for config in (model.config, model.generation_config):
        config.save_pretrained(tmp_path / "onnx")
    matrices = {name: value.size for path in parts.values() for name, value in Graph.load(path).constants.items()}
    stored = {name: weight.numel() for name, weight in weights_of(model).items()}
    assert {name: matrices.get(f"{name}.weight", matrices.get(f"{name}.weight.T")) for name in stored} == stored
    whole = weights_of(load(resolve_model(str(tmp_path / f"whole-{family}"))))
    assert sum(stored.values()) < 0.7 * sum(weight.numel() for weight in whole.values())
    generator = open_generator_in(tmp_path / "onnx", {part: path.name for part, path in parts.items()}, Serving())
    assert torch.equal(writes(generator), writes(model))
