"""Narrower generative models, in every family: what is kept, that it is what counts, and that plain transformers opens it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compress.core.errors import CompressError
from compress.models import generators, narrowing
from compress.models.families.blocks import attentions, feed_forwards
from compress.models.families.matrices import weight_of
from compress.models.layers import keep_layers
from compress.models.narrowing import narrow
from compress.models.unit_importance import TokenMeans, hidden_norms, importances, is_rms
from compress.models.widths import Widths, all_widths, narrower, widths
from tests import families
from tests.families import GENERATIVE, having
from tests.generative import batch, prompts, strong_generator

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in GENERATIVE if name not in having("sinusoidal")},
    "t5 with plain neurons": ("t5", {"feed_forward_proj": "relu"}),
    "t5 without a scaled head, with fewer decoder layers": (
        "t5",
        {"tie_word_embeddings": False, "num_decoder_layers": 1},
    ),
    "bart with scaled embeddings": ("bart", {"scale_embedding": True}),
    "mbart with scaled embeddings": ("mbart", {"scale_embedding": True}),
    "gpt2 with neurons of its own": ("gpt2", {"n_inner": 64}),
    "gpt2 with unscaled scores": ("gpt2", {"scale_attn_weights": False}),
    "llama with a tied head": ("llama", {"tie_word_embeddings": True}),
}
GONE = torch.tensor([1, 5, 11, 17, 18, 23, 30, 31])  # 8 of the 32 hidden dimensions
LEFT = torch.tensor([index for index in range(32) if index not in GONE.tolist()])


@cache
def teacher(name: str) -> Any:
    family, changes = VARIANTS.get(name, (name, {}))
    return strong_generator(family, **changes)


def rows(model: Any, *, seed: int = 0, count: int = 8) -> list[dict[str, Tensor]]:
    """Batches with padding on both sides."""
    found = batch(prompts(count, seed=seed), left=False)
    chance = torch.Generator().manual_seed(seed)
    if model.config.is_encoder_decoder:
        found["labels"] = torch.randint(3, 300, (count, 7), generator=chance)
        found["labels"][::2, 4:] = -100
    else:
        found["labels"] = found["input_ids"].masked_fill(found["attention_mask"] == 0, -100)
    return [found]


@torch.no_grad()
def logits(model: Any) -> Tensor:
    unseen = rows(model, seed=1)[0]
    counted = unseen["labels"] != -100
    found: Tensor = model(**unseen, use_cache=False).logits[counted]
    return found


def written(model: Any, **changes: Any) -> Tensor:
    prompt = batch(prompts(4), left=not model.config.is_encoder_decoder)
    found: Tensor = model.generate(**prompt, max_new_tokens=8, do_sample=False, **changes)
    return found


def sizes(model: Any) -> dict[str, int]:
    whole = widths(model.config)
    return {"hidden_size": whole.hidden, "intermediate_size": whole.neurons, "heads": whole.heads}


@torch.no_grad()
def plant_(model: Any, gone: Tensor, left: Tensor) -> None:
    """Hidden dimensions that are 0 throughout. Where norms subtract the mean, that of the others becomes 0 too: else that over
    fewer dimensions is another one."""
    centred = any(isinstance(norm, nn.LayerNorm) for norm in hidden_norms(model).values())

    def silence(outputs: Tensor) -> None:
        """[hidden width, ...]"""
        outputs[gone] = 0
        if centred:
            outputs[left] -= outputs[left].mean(dim=0)

    for block in (*attentions(model), *feed_forwards(model)):
        silence(weight_of(block.output))
        if block.output.bias is not None:
            silence(block.output.bias)
    if hasattr(model, "final_logits_bias"):  # BART's
        model.final_logits_bias.normal_(generator=torch.Generator().manual_seed(0))
    tables = {id(one.weight): one.weight for one in model.modules() if isinstance(one, nn.Embedding)}
    for table in tables.values():
        if table.shape[1] == 32:
            silence(table.T)
    for norm in hidden_norms(model).values():
        if is_rms(norm):
            norm.weight.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(0))
        else:
            norm.weight.fill_(1.3)
            norm.weight[gone] = 0
            norm.bias.zero_()


@torch.no_grad()
def silence_unit_(model: Any, unit: int) -> None:
    """A head, or a group of heads, whose output is read by nothing."""
    for block in attentions(model):
        weight_of(block.output)[:, unit * block.width : (unit + 1) * block.width] = 0


@pytest.mark.parametrize("name", [*VARIANTS, *having("sinusoidal")])
def test_all_widths_as_they_were_keep_the_function_exactly(name: str) -> None:
    model = teacher(name)
    student = narrow(model, rows(model), **sizes(model))
    assert torch.equal(logits(student), logits(model))
    assert not {p.data_ptr() for p in student.parameters()} & {p.data_ptr() for p in model.parameters()}
    assert len(list(student.parameters())) == len(list(model.parameters()))  # what was tied is


@pytest.mark.parametrize("name", VARIANTS)
def test_a_narrow_student_is_a_plain_checkpoint_that_opens_and_writes_the_same(name: str, tmp_path: Path) -> None:
    model = teacher(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    student = narrow(model, rows(model), hidden_size=24, intermediate_size=40)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    student.save_pretrained(tmp_path)
    plain, told = type(student).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(told.values())
    tied = widths(model.config).own_head_size is None
    assert all(
        (one.hidden, one.heads, one.head_size, one.neurons)
        == (24, 3 if tied else 4, widths(model.config).head_size, 40)
        for one in all_widths(plain.config)
    )
    assert torch.equal(logits(plain.eval()), logits(student))
    assert torch.equal(logits(generators.generator(tmp_path)), logits(student))
    assert torch.equal(written(plain), written(student, use_cache=False))
    assert (logits(student) - logits(model)).abs().max() > 0.1


@pytest.mark.parametrize("name", VARIANTS)
def test_dimensions_that_are_always_0_go_first_and_without_a_trace(name: str) -> None:
    model = copy.deepcopy(teacher(name))
    plant_(model, GONE, LEFT)
    silence_unit_(model, 1)
    student = narrow(model, rows(model), hidden_size=24)
    table, whole = (one.get_input_embeddings().weight for one in (student, model))
    scale = (table[5, 0] / whole[5, LEFT[0]]).item()
    torch.testing.assert_close(table, whole[:, LEFT] * scale)
    assert logits(model).std() > 0.5
    torch.testing.assert_close(logits(student), logits(model), rtol=2e-3, atol=2e-3)
    assert torch.equal(written(student), written(model))


@pytest.mark.parametrize("name", [*having("grouped"), "t5"])
def test_heads_and_neurons_that_add_nothing_go_first_and_the_hidden_size_stays(name: str, tmp_path: Path) -> None:
    model = copy.deepcopy(teacher(name))
    gone = [0] if name in having("grouped") else [0, 3]  # a group is two heads
    for unit in gone:
        silence_unit_(model, unit)
    with torch.no_grad():
        for network in feed_forwards(model):
            weight_of(network.output)[:, 1::4] = 0
    student = narrow(model, rows(model), heads=2, intermediate_size=48)
    assert {(one.hidden, one.heads, one.neurons) for one in all_widths(student.config)} == {(32, 2, 48)}
    torch.testing.assert_close(logits(student), logits(model), rtol=1e-4, atol=1e-4)
    student.save_pretrained(tmp_path)
    assert torch.equal(logits(type(student).from_pretrained(tmp_path).eval()), logits(student))


@pytest.mark.parametrize("name", ["bart", "mbart", "gpt2", "gpt2 with unscaled scores"])
def test_smaller_heads_keep_the_dimensions_that_count_and_the_scale_of_their_scores(name: str) -> None:
    model = copy.deepcopy(teacher(name))
    plant_(model, GONE, LEFT)
    with torch.no_grad():
        for block in attentions(model):  # two of each head's eight dimensions add nothing to scores and outputs
            weight_of(block.output).unflatten(1, (4, 8))[:, :, :2] = 0
            makers = [maker.module for maker in block.makers]
            for outputs in (one for maker in makers[:2] for one in (weight_of(maker), maker.bias)):
                for part in outputs.split(32)[:2]:  # queries and keys, of GPT-2 in one
                    part.unflatten(0, (4, 8))[:, 5:7] = 0
    student = narrow(model, rows(model), hidden_size=24, heads=4)
    assert all((one.hidden, one.heads, one.head_size) == (24, 4, 6) for one in all_widths(student.config))
    torch.testing.assert_close(logits(student), logits(model), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", having("sinusoidal"))
def test_positions_that_are_sines_of_the_width_keep_it(name: str) -> None:
    model = teacher(name)
    with pytest.raises(CompressError, match="positions are sines .* Choose intermediate_size"):
        narrower(model.config, hidden_size=24)
    student = narrow(model, rows(model), intermediate_size=40)
    assert {one.neurons for one in all_widths(student.config)} == {40}
    assert torch.equal(written(student), written(student, use_cache=False))


@pytest.mark.parametrize("name", ["t5", "bart", "llama"])
def test_padding_and_the_split_into_batches_change_no_importance(name: str) -> None:
    model = teacher(name)
    whole = rows(model)[0]
    apart = []
    for row in range(len(whole["input_ids"])):
        read, said = int(whole["attention_mask"][row].sum()), int((whole["labels"][row] != -100).sum())
        one = {key: value[row : row + 1, :read] for key, value in whole.items()}
        apart.append({**one, "labels": whole["labels"][row : row + 1, :said]})
    together, split = importances(model, [whole]), importances(model, apart)
    torch.testing.assert_close(together.hidden, split.hidden, rtol=1e-3, atol=1e-5)
    for ours, theirs in ((together.heads, split.heads), (together.neurons, split.neurons)):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(together.query_key, split.query_key, rtol=1e-3, atol=1e-5)
    assert len(together.heads) == len(attentions(model))


@torch.no_grad()
@pytest.mark.parametrize("name", ["llama", "t5", "gemma3_text"])
def test_a_norm_without_a_mean_is_the_least_squares_fit_to_the_whole_one(name: str) -> None:
    model = teacher(name)
    path = next(path for path in hidden_norms(model) if "layer" in path)
    norm, means = model.get_submodule(path), TokenMeans()
    seen: list[Tensor] = []
    hook = norm.register_forward_pre_hook(lambda _norm, inputs: seen.append(inputs[0][means.tokens["read"]]))
    means.over(model, rows(model), [hook])
    kept = importances(model, rows(model)).hidden.topk(24).indices.sort().values
    some, whole = (one / (one**2).mean(-1, keepdim=True).sqrt() for one in (seen[0][:, kept], seen[0]))
    fit = torch.linalg.lstsq(some.flatten()[:, None], whole[:, kept].flatten()).solution
    added = 1.0 if name == "gemma3_text" else 0.0  # it multiplies by 1 + weight
    ours = narrow(model, rows(model), hidden_size=24).get_submodule(path)
    torch.testing.assert_close(ours.weight + added, (norm.weight[kept] + added) * fit[0], rtol=1e-3, atol=1e-4)


def test_a_head_that_is_not_tied_stays_its_own_in_fewer_layers_and_fewer_dimensions(tmp_path: Path) -> None:
    whole = copy.deepcopy(teacher("t5"))
    whole.lm_head.weight = nn.Parameter(torch.randn_like(whole.lm_head.weight))  # as FLAN-T5's
    whole.all_tied_weights_keys.pop("lm_head.weight", None)
    whole.save_pretrained(tmp_path / "whole")
    model = generators.generator(tmp_path / "whole")
    assert not torch.equal(model.lm_head.weight, model.shared.weight)
    cuts: tuple[Callable[[], Any], ...] = (
        lambda: keep_layers(model, (0, 1)).eval(),
        lambda: narrow(model, rows(model), hidden_size=32, heads=4),
    )
    for number, cut in enumerate(cuts):
        student = cut()
        assert torch.equal(logits(student), logits(model))
        student.save_pretrained(tmp_path / str(number))
        assert torch.equal(logits(generators.generator(tmp_path / str(number))), logits(model))


@pytest.mark.parametrize(
    ("name", "changes", "asked", "said"),
    [
        ("llama", {}, {"hidden_size": 22}, "not a multiple of the other. Choose hidden_size 20 or 24"),
        ("llama", {}, {"heads": 3}, "not a multiple of 2, the query heads .* Choose 2 or 4"),
        ("gemma3_text", {}, {"hidden_size": 30}, "Choose hidden_size 28 or 32"),
        ("bart", {}, {"hidden_size": 20}, "not a multiple of 8, the size of a head.* Choose 16 or 24"),
        ("bart", {"decoder_attention_heads": 8}, {"heads": 2}, "encoder 16 wide and the decoder 8"),
        ("t5", {}, {"intermediate_size": 65}, "Choose 1 to 64"),
        (
            "phi3",
            {
                "rope_parameters": {
                    "rope_type": "longrope",
                    "rope_theta": 1e4,
                    "short_factor": [1.0] * 4,
                    "long_factor": [1.0] * 4,
                }
            },
            {"hidden_size": 24},
            "transformers opens no phi3 model of hidden_size 24 with 4 heads",
        ),
    ],
    ids=str,
)
def test_widths_that_cannot_be_are_refused_with_those_that_could(
    name: str, changes: dict[str, Any], asked: dict[str, int], said: str
) -> None:
    from transformers import AutoConfig

    config = AutoConfig.for_model(name, **{**families.config(name, layers=1), **changes})
    with pytest.raises(CompressError, match=said):
        narrower(config, **asked)


def test_the_size_of_a_head_is_kept_apart_where_a_config_has_it() -> None:
    assert widths(teacher("t5").config) == Widths(32, 4, 64, 8)
    assert narrower(teacher("qwen3").config, hidden_size=24) == (Widths(24, 4, 64, 16),)
    assert narrower(teacher("gpt2").config, hidden_size=24) == (Widths(24, 3, 128),)


def test_a_classifier_with_a_decoder_is_refused() -> None:
    from transformers import GPT2Config, GPT2ForSequenceClassification

    model = GPT2ForSequenceClassification(GPT2Config(n_embd=32, n_head=4, n_layer=1, vocab_size=50))
    with pytest.raises(CompressError, match="a classifier with a decoder"):
        narrow(model, [{"input_ids": torch.tensor([[1, 2]])}], hidden_size=16)


@torch.no_grad()
def test_a_trained_decoder_misses_dimensions_at_random_more_than_those_that_count_least(
    real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = generators.generator(real_data / "models" / "stories260k")
    torch.manual_seed(0)
    told = model.generate(torch.full((24, 1), 1), do_sample=True, top_k=0, max_new_tokens=96, pad_token_id=0)
    calibration, unseen = (
        {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids} for ids in told.split(12)
    )
    found = importances(model, [calibration])

    def loss(hidden: Tensor) -> float:
        monkeypatch.setattr(narrowing, "importances", lambda *_: replace(found, hidden=hidden))
        return float(narrow(model, [calibration], hidden_size=48)(**unseen).loss)

    assert loss(found.hidden) < min(loss(torch.rand(64)) for _ in range(4))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["t5", "bart", "gpt2", "gemma3_text", "phi3"])
def test_the_onnx_graphs_of_a_narrow_student_write_what_it_writes(name: str, tmp_path: Path) -> None:
    from compress.onnx.export_with_cache import export_generative
    from compress.runtimes.onnx_generation import open_generator_in
    from compress.runtimes.runtime import Serving

    model = teacher(name)
    student = narrow(model, rows(model), hidden_size=24, intermediate_size=40)
    parts = export_generative(student, tmp_path).parts
    for config in (student.config, student.generation_config):
        config.save_pretrained(tmp_path)
    exported = open_generator_in(tmp_path, {part: path.name for part, path in parts.items()}, Serving())
    assert torch.equal(written(exported), written(student))
