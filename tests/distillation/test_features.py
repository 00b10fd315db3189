"""Features are the model's own: they agree with what it gives when it is asked for hidden states and attention."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compress.core.errors import CompressError
from compress.distillation.features import FeatureSpec, Side, capture
from compress.distillation.losses import attention_scores
from compress.models.layers import layer_modules
from compress.models.load import classifier
from tests.families import GENERATIVE, embeddings_of, is_seq2seq, slow_but
from tests.generative import strong_generator
from tests.tiny import FAMILIES, write_model

ALL = FeatureSpec(hidden=(0, 1, 2, 3), attention=(1, 3), relations=(0, 3), embedding=True)


def batch(rows: int = 3, tokens: int = 12) -> dict[str, Tensor]:
    ids = torch.randint(5, 30, (rows, tokens), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, tokens // 2 :] = 0
    return {"input_ids": ids, "attention_mask": mask}


def hook_count(model: nn.Module) -> int:
    return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in model.modules())


def test_names_say_each_feature_once() -> None:
    wanted = FeatureSpec(hidden=(2, 0), attention=(1, 0), relations=(1,), embedding=True)
    assert wanted.names() == (
        *("hidden.0", "hidden.2"),
        *("query.0", "query.1", "key.0", "key.1", "value.1"),
        "embedding",
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_hidden_states_are_those_that_the_model_gives(name: str, tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, name)).eval()
    with torch.no_grad(), capture(model, ALL) as found:
        states = model(**batch(), output_hidden_states=True).hidden_states
    assert set(found) == set(ALL.names())
    assert len(states) == 5
    assert torch.equal(found["embedding"], states[0])
    for layer in range(3):
        assert torch.equal(found[f"hidden.{layer}"], states[layer + 1])
    last = found["hidden.3"]
    if name == "modernbert":  # its last hidden state has been through the norm behind its layers
        last = model.model.final_norm(last)
    assert torch.equal(last, states[4])


def test_the_queries_of_grouped_heads_are_wider_than_the_keys_that_one_matrix_makes_with_them() -> None:
    model = strong_generator("phi3", layers=1)  # 4 heads of queries, 2 of keys and values, each 8 wide
    made: list[Tensor] = []
    model.model.layers[0].self_attn.qkv_proj.register_forward_hook(lambda part, given, output: made.append(output))
    with torch.no_grad(), capture(model, FeatureSpec(relations=(0,))) as found:
        model(**batch())
    for name, part in (("query.0", slice(0, 32)), ("key.0", slice(32, 48)), ("value.0", slice(48, 64))):
        assert torch.equal(found[name], made[0][..., part])


@pytest.mark.parametrize("name", slow_but("bart", "t5", "gpt2", "llama", names=GENERATIVE))
def test_hidden_states_of_generative_models_are_those_that_each_side_gives(name: str) -> None:
    model, inputs = strong_generator(name, layers=3), batch()
    wanted = FeatureSpec(hidden=(0, 1, 2), relations=(2,), embedding=True)
    sides: tuple[Side, ...] = ("encoder", "decoder") if is_seq2seq(name) else ("",)
    with ExitStack() as hooks, torch.no_grad():
        found = {side: hooks.enter_context(capture(model, wanted, side)) for side in sides}
        given = {**inputs, "labels": torch.arange(5, 14).repeat(3, 1)} if is_seq2seq(name) else inputs
        out = model(**given, output_hidden_states=True)
    for side in sides:
        states = out[f"{side}_hidden_states" if side else "hidden_states"]
        assert len(states) == 4
        assert set(found[side]) == set(wanted.names())
        for one, expected in zip(("embedding", "hidden.0", "hidden.1"), states[:3], strict=True):
            assert torch.equal(found[side][one], expected)
        assert found[side]["hidden.2"].shape == states[3].shape
        total = sum(value.shape[-1] for value in found[side].values())
        assert total == wanted.width(model.config, side)
    if is_seq2seq(name):
        assert found["encoder"]["query.2"].shape[1] == 12
        assert found["decoder"]["query.2"].shape[1] == 9


@pytest.mark.parametrize("name", FAMILIES)
def test_every_feature_has_the_models_width(name: str, tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, name)).eval()
    with torch.no_grad(), capture(model, ALL) as found:
        model(**batch())
    assert {tuple(one.shape) for one in found.values()} == {(3, 12, 64)}


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in ("mpnet", "deberta-v2", "modernbert")])
def test_queries_and_keys_give_the_models_own_attention(name: str, tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, name), attn_implementation="eager").eval()
    inputs = batch()
    layers = (0, 1, 2, 3)
    with torch.no_grad(), capture(model, FeatureSpec(attention=layers)) as found:
        attentions = model(**inputs, output_attentions=True).attentions
    padding = inputs["attention_mask"][:, None, None, :] == 0
    for layer in layers:
        scores = attention_scores(found[f"query.{layer}"], found[f"key.{layer}"], 4)
        torch.testing.assert_close(scores.masked_fill(padding, -torch.inf).softmax(-1), attentions[layer])


@pytest.mark.parametrize("name", ["mpnet", "deberta-v2", "modernbert"])
def test_queries_keys_and_values_are_what_the_layers_own_weights_make_of_its_input(name: str, tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, name)).eval()
    with torch.no_grad(), capture(model, FeatureSpec(hidden=(1,), relations=(2,))) as found:
        model(**batch())
        layer, before = layer_modules(model)[2], found["hidden.1"]
        if name == "modernbert":
            expected = (layer.attn_norm(before) @ layer.attn.Wqkv.weight.T).split(64, -1)
        elif name == "mpnet":
            attention = layer.attention.attn
            expected = [one(before) for one in (attention.q, attention.k, attention.v)]
        else:
            attention = layer.attention.self
            expected = [one(before) for one in (attention.query_proj, attention.key_proj, attention.value_proj)]
    for part, tensor in zip(("query", "key", "value"), expected, strict=True):
        torch.testing.assert_close(found[f"{part}.2"], tensor)


def test_albert_counts_the_calls_of_its_shared_layer(tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, "albert")).eval()
    with torch.no_grad(), capture(model, ALL) as found:
        model(**batch())
        attention = model.albert.encoder.albert_layer_groups[0].albert_layers[0].attention
        assert not torch.equal(found["query.1"], found["query.3"])
        torch.testing.assert_close(found["query.3"], attention.query(found["hidden.2"]))
        torch.testing.assert_close(found["value.0"], attention.value(found["embedding"]))


@pytest.mark.parametrize("name", ["bert", "modernbert", "albert"])
def test_a_loss_on_a_feature_reaches_the_layers_below_it_and_none_above(name: str, tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, name)).train()
    with capture(model, FeatureSpec(hidden=(1,), relations=(1,))) as found:
        model(**batch())
        (found["hidden.1"].square().mean() + found["value.1"].square().mean()).backward()
    layers = layer_modules(model)
    reached = [any(p.grad is not None and p.grad.any() for p in layer.parameters()) for layer in layers]
    assert reached == ([True] * 4 if name == "albert" else [True, True, False, False])
    assert any(p.grad is not None for p in embeddings_of(model).parameters())


def test_each_forward_pass_starts_over(tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, "albert")).eval()
    with torch.no_grad(), capture(model, ALL) as found:
        model(**batch(rows=3))
        first = dict(found)
        model(**batch(rows=2, tokens=7))
        assert set(found) == set(first)
        assert {tuple(one.shape) for one in found.values()} == {(2, 7, 64)}
        model(**batch(rows=3))
    assert all(torch.equal(found[name], first[name]) for name in first)


def test_only_what_is_wanted_is_kept_and_no_other_layer_is_watched(tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, "bert")).eval()
    with torch.no_grad(), capture(model, FeatureSpec(hidden=(2,))) as found:
        model(**batch())
        assert list(found) == ["hidden.2"]
        assert [hook_count(layer) > 0 for layer in layer_modules(model)] == [False, False, True, False]


@pytest.mark.parametrize("name", ["bert", "deberta-v2", "albert"])
def test_no_hook_is_left_behind_also_after_an_error(name: str, tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, name)).eval()
    before = hook_count(model)
    with capture(model, ALL):
        assert hook_count(model) > before
    assert hook_count(model) == before
    with pytest.raises(RuntimeError, match="inside"), capture(model, ALL):
        raise RuntimeError("inside")
    assert hook_count(model) == before


def test_a_layer_that_the_model_does_not_have_is_refused(tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, "bert"))
    with (
        pytest.raises(CompressError, match="no layer 4: this model's layers are 0 to 3"),
        capture(model, FeatureSpec(hidden=(4,))),
    ):
        pass


def test_logits_and_gradients_are_the_same_with_and_without_it(tmp_path: Path) -> None:
    def gradients(model: Any) -> tuple[Tensor, list[Tensor]]:
        model.zero_grad()
        logits = model(**batch()).logits
        logits.square().sum().backward()
        return logits, [p.grad.clone() for p in model.parameters() if p.grad is not None]

    model = classifier(write_model(tmp_path, "bert")).eval()
    logits, grads = gradients(model)
    with capture(model, ALL):
        again, with_hooks = gradients(model)
    assert torch.equal(logits, again)
    assert all(torch.equal(a, b) for a, b in zip(grads, with_hooks, strict=True))


def test_it_works_under_bf16_autocast_and_with_checkpointed_gradients(tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, "bert")).train()
    model.activation_checkpointing_enable()
    with capture(model, FeatureSpec(hidden=(1, 3))) as found, torch.autocast("cpu", torch.bfloat16):
        model(**batch())
        (found["hidden.1"].float().square().mean() + found["hidden.3"].float().square().mean()).backward()
    assert set(found) == {"hidden.1", "hidden.3"}
    assert all(torch.isfinite(p.grad).all() for p in layer_modules(model)[0].parameters())


def test_a_model_wrapped_for_data_parallel_training_is_watched_by_the_model_inside(tmp_path: Path) -> None:
    class Wrapped(nn.Module):  # as DistributedDataParallel does, without a process group
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, **inputs: Tensor) -> Any:
            return self.module(**inputs)

    model = classifier(write_model(tmp_path, "bert")).eval()
    with torch.no_grad(), capture(model, ALL) as found:
        Wrapped(model)(**batch())
        assert set(found) == set(ALL.names())
