"""A model that computes in a scheme's integers: the same answers as its graph, the same modules, and none of it left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from compress.core.errors import CompressError
from compress.models import load as models
from compress.onnx.export import export
from compress.onnx.fusion import fuse
from compress.quantization.fake_quantize import FakeQuantizer
from compress.quantization.graphs.static import StaticSettings, calibrate, quantize_static
from compress.quantization.qat_modules import QuantizedLinear, attach, detach, part, watch
from compress.quantization.scheme import Layer, Scheme, affine, symmetric
from compress.runtimes.sessions import logits, open_session
from tests.families import having
from tests.tiny import FAMILIES, write_model

QUERY = "bert.encoder.layer.0.attention.self.query"


def model_of(folder: Path, family: str) -> Any:
    """A tiny classifier with weights large enough that rounding shows."""
    wide = {"dim": 128, "hidden_dim": 256} if family == "distilbert" else {"hidden_size": 128, "intermediate_size": 256}
    model = models.classifier(write_model(folder, family, **wide)).float()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(3)
    return model


def batches() -> list[dict[str, np.ndarray]]:
    random, found = np.random.default_rng(0), []
    for length in (6, 9, 12):
        ids = random.integers(5, 35, (8, length))
        mask = np.ones_like(ids)
        mask[::2, -2:] = 0
        found.append({"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)})
    return found


def answers(model: Any, batch: dict[str, np.ndarray], graph: Path) -> tuple[np.ndarray, np.ndarray]:
    """A model's logits and a graph's."""
    session = open_session(graph, threads=1)
    feeds = {item.name: batch[item.name] for item in session.get_inputs()}
    with torch.no_grad():
        found = model.eval()(**{name: torch.from_numpy(value) for name, value in feeds.items()}).logits
    return found.numpy(), logits(session, feeds)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT's fused graph."""
    made = tmp_path_factory.mktemp("aware")
    export(model_of(made / "model", "bert"), made / "draft.onnx")
    fuse(made / "draft.onnx", made / "float.onnx")
    return made


@pytest.fixture
def bert(folder: Path) -> Any:
    return model_of(folder / "model", "bert")


@pytest.mark.parametrize(
    "settings",
    [
        StaticSettings(wide="static"),
        StaticSettings(wide="dynamic"),
        StaticSettings(wide="static", smooth=0.5),
        StaticSettings(wide="uint16"),
        StaticSettings(wide="static", attention="both"),
        StaticSettings(wide="static", attention="scores"),
        StaticSettings(wide="static", weights="int4"),
        StaticSettings(activations="float"),
        StaticSettings(wide="float", method="percentile", exclude=("*.query",), embeddings=False),
    ],
    ids=str,
)
def test_before_the_first_step_it_answers_as_the_statically_quantized_graph(
    bert: Any, folder: Path, settings: StaticSettings, tmp_path: Path
) -> None:
    scheme = quantize_static(folder / "float.onnx", tmp_path / "int8.onnx", batches(), settings)
    attach(bert, scheme)
    gaps, scale = [], 0.0
    for batch in batches():
        ours, theirs = answers(bert, batch, tmp_path / "int8.onnx")
        gaps += np.abs(ours - theirs).max(axis=1).tolist()
        scale = max(scale, float(np.abs(theirs).max()))
    # The same integers, but for values on a rounding boundary: those move a row's logits a little. A range taken at each
    # call is another in the graph, whose last layer computes the first token alone.
    if settings.wide != "dynamic":
        assert np.median(gaps) < 1e-5 * scale
    assert max(gaps) < 0.03 * scale
    assert dict(detach(bert)) == dict(scheme)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_answers_as_its_graph_and_gives_its_scheme_back(family: str, tmp_path: Path) -> None:
    model = model_of(tmp_path / "model", family)
    before = {name: type(module) for name, module in model.named_modules()}
    export(model, tmp_path / "draft.onnx")
    fuse(tmp_path / "draft.onnx", tmp_path / "float.onnx")
    attention = "both" if family in having("fusible") and family not in having("attention of its own") else "none"
    chosen = StaticSettings(wide="static", attention=attention)
    scheme = quantize_static(tmp_path / "float.onnx", tmp_path / "int8.onnx", batches(), chosen)
    attach(model, scheme)
    for batch in batches():
        ours, theirs = answers(model, batch, tmp_path / "int8.onnx")
        gaps = np.abs(ours - theirs).max(axis=1) / np.abs(theirs).max()
        assert np.median(gaps) < 1e-5
        assert gaps.max() < 0.03
    assert dict(detach(model)) == dict(scheme)
    assert {name: type(module) for name, module in model.named_modules()} == before


def test_every_quantizer_learns_and_query_key_and_value_share_one(bert: Any, folder: Path) -> None:
    scheme = calibrate(folder / "float.onnx", batches(), StaticSettings(wide="static", smooth=0.5, attention="both"))
    attach(bert, scheme)
    query, value = bert.get_submodule(QUERY), bert.get_submodule(QUERY.replace("query", "value"))
    assert part(query, "input_quantizer") is part(value, "input_quantizer")
    assert part(query, "smoothing") is part(value, "smoothing")
    inputs = {name: torch.from_numpy(rows) for name, rows in batches()[0].items()}
    bert.train()(**inputs, labels=torch.ones(8, dtype=torch.long)).loss.backward()
    learned = {name: one for name, one in bert.named_parameters() if name.endswith((".growth", ".shift"))}
    assert all(one.grad is not None and torch.isfinite(one.grad).all() for one in learned.values())
    assert sum(bool((one.grad != 0).any()) for one in learned.values()) > 0.9 * len(learned)
    assert len({name for name in bert.state_dict() if name.endswith("start_scale")}) == len(
        {one.data_ptr() for name, one in bert.state_dict().items() if name.endswith("start_scale")}
    )


def test_under_bf16_the_product_is_still_one_of_exact_integers() -> None:
    random = torch.Generator().manual_seed(0)
    layer = nn.Linear(64, 8)
    values = torch.randn(5, 64, generator=random)
    scheme = Layer(symmetric(layer.weight.detach().numpy(), axis=0), affine(-3.0, 3.0))
    quantized = layer
    quantized.__class__ = QuantizedLinear
    assert scheme.weight is not None
    assert scheme.input is not None
    quantized.weight_quantizer = FakeQuantizer(scheme.weight, count=64)
    quantized.input_quantizer = FakeQuantizer(scheme.input, count=64)
    with torch.autocast("cpu", torch.bfloat16):
        found = quantized(values)
    x = scheme.input.quantize(values.numpy()).astype(np.int64) - int(scheme.input.zero_point)
    w = scheme.weight.quantize(layer.weight.detach().numpy()).astype(np.int64)
    sums = torch.from_numpy(x @ w.T).to(torch.bfloat16).float()  # the one rounding: of the sum
    expected = sums * torch.from_numpy(scheme.input.scale * scheme.weight.scale) + layer.bias
    torch.testing.assert_close(found, expected, rtol=2**-8, atol=1e-6)


def test_fixed_ranges_follow_while_they_are_watched_and_rest_in_evaluation(bert: Any, folder: Path) -> None:
    scheme = calibrate(folder / "float.onnx", batches()[:1], StaticSettings(wide="static"))
    attach(bert, scheme, learned=False)
    assert not any(name.endswith(("growth", "shift")) for name, _ in bert.named_parameters())
    inputs = {name: torch.from_numpy(rows) for name, rows in batches()[1].items()}
    watch(bert, True)
    bert.eval()(**inputs)
    assert bert.get_submodule(QUERY).input_quantizer.quantizer() == scheme[QUERY].input
    bert.train()(**inputs)
    moved = bert.get_submodule(QUERY).input_quantizer.quantizer()
    assert moved != scheme[QUERY].input
    watch(bert, False)
    bert(**inputs)
    assert bert.get_submodule(QUERY).input_quantizer.quantizer() == moved


def test_zeros_of_a_pruned_model_stay_zeros_in_integers(bert: Any, folder: Path) -> None:
    with torch.no_grad():
        weight = bert.get_submodule(QUERY).weight
        weight[:, ::2] = 0
    attach(bert, calibrate(folder / "float.onnx", batches(), StaticSettings(wide="static")))
    integers, _ = bert.get_submodule(QUERY).weight_quantizer(weight)
    assert (integers[:, ::2] == 0).all()


def test_a_scheme_of_another_model_is_refused(bert: Any) -> None:
    scheme = Scheme({"bert.encoder.layer.9.output.dense": Layer(symmetric(np.ones((4, 4)), axis=0))})
    with pytest.raises(CompressError, match=r"layer\.9\.output\.dense' is not in this bert model"):
        attach(bert, scheme)


def test_attention_that_computes_its_products_itself_is_refused(tmp_path: Path) -> None:
    model = model_of(tmp_path, "mpnet")
    owner = "mpnet.encoder.layer.0.attention.attn"
    scheme = Scheme({f"{owner}.scores": Layer(input=affine(-1, 1), other=symmetric(np.ones((2, 2)), axis=None))})
    with pytest.raises(CompressError, match="--attention-matmuls none"):
        attach(model, scheme)
