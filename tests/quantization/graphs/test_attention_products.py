"""A fused attention, opened: the same numbers, by module name, and each product quantized by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from compress.core.errors import CompressError
from compress.onnx.export import export
from compress.onnx.fusion import fuse, operators
from compress.onnx.graph import Graph
from compress.onnx.parity import compare
from compress.quantization.graphs.attention_products import attentions, open_attentions
from compress.quantization.graphs.dynamic import quantize_dynamic
from compress.quantization.graphs.qdq import write_scheme
from compress.quantization.graphs.static import StaticSettings, calibrate, quantize_static
from compress.quantization.scheme import Layer, Scheme
from compress.runtimes.sessions import logits, open_session
from tests.exported import Exported, Rows, strong_model

MODULES = {
    "mpnet": "mpnet.encoder.layer.{}.attention.attn",  # with a position bias
    "bert": "bert.encoder.layer.{}.attention.self",
    "distilbert": "distilbert.transformer.layer.{}.attention",
    "roberta": "roberta.encoder.layer.{}.attention.self",
    "electra": "electra.encoder.layer.{}.attention.self",
    "albert": "albert.encoder.albert_layer_groups.0.albert_layers.0.attention",
}
SELF = MODULES["bert"]
LINEARS = 2 * 6
INTEGER_KERNELS = {"MatMulIntegerToFloat", "QLinearMatMul", "DynamicQuantizeMatMul", "MatMulInteger"}


def padded(seed: int = 0, shape: tuple[int, int] = (5, 20)) -> dict[str, np.ndarray]:
    """Rows with padding on the right, on the left, with holes, and none at all."""
    random = np.random.default_rng(seed)
    ids = random.integers(5, 40, shape)
    mask = np.ones(shape, np.int64)
    mask[1, 12:] = mask[2, :7] = 0
    mask[3] = random.integers(0, 2, shape[1])
    mask[3, 4] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def answers(path: Path, rows: dict[str, np.ndarray]) -> np.ndarray:
    return logits(open_session(path, threads=1), rows)


def opened(graph: Graph, output: Path) -> list[str]:
    found = attentions(graph)
    open_attentions(graph, found)
    graph.remove_dead()
    graph.save(output)
    assert "MultiHeadAttention" not in operators(output)
    return [one.module for one in found]


def check_equal(path: Path, folder: Path) -> list[str]:
    """The names of the modules, after what was opened answered as the operator does."""
    names = opened(Graph.load(path), folder / "opened.onnx")
    for rows in (padded(), {name: value[:1, :1] for name, value in padded(1).items()}):
        wanted = answers(path, rows)
        # float32's rounding through the layers of a strong model; a wrong mask or scale is off by far more
        np.testing.assert_allclose(answers(folder / "opened.onnx", rows), wanted, atol=1e-4 * np.abs(wanted).max())
    return names


@pytest.mark.parametrize(
    "family", [name if name == "mpnet" else pytest.param(name, marks=pytest.mark.slow) for name in MODULES]
)
def test_what_is_opened_answers_as_the_fused_operator_does(family: str, tmp_path: Path) -> None:
    layers = {"n_layers" if family == "distilbert" else "num_hidden_layers": 2}
    export(strong_model(tmp_path / "model", family, **layers), tmp_path / "model.onnx")
    assert fuse(tmp_path / "model.onnx", tmp_path / "fused.onnx").attentions == 2
    assert check_equal(tmp_path / "fused.onnx", tmp_path) == [MODULES[family].format(layer) for layer in range(2)]


def test_a_last_layer_that_answers_for_the_first_token_alone_is_opened_as_such(fused: Exported, tmp_path: Path) -> None:
    assert check_equal(fused.path, tmp_path) == [SELF.format(0), SELF.format(1)]
    model = onnx.load(str(tmp_path / "opened.onnx"))
    products = [node.output[0] for node in model.graph.node if node.output[0].endswith(".attention.scores")]
    for name in products:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [value.shape for value in session.run(products, padded())] == [(5, 4, 20, 20), (5, 4, 1, 20)]


def test_layers_of_unequal_heads_are_opened_with_their_own(tmp_path: Path) -> None:
    from compress.pruning.removal import remove
    from compress.pruning.units import Kept, units
    from tests.pruning.pruned import strong

    model = strong(tmp_path / "model", num_hidden_layers=2)
    smaller = remove(model, Kept(((0, 2, 3), (1,)), tuple(tuple(range(count)) for count in units(model).neurons)))
    export(smaller, tmp_path / "model.onnx")
    fuse(tmp_path / "model.onnx", tmp_path / "fused.onnx")
    assert [one.heads for one in attentions(Graph.load(tmp_path / "fused.onnx"))] == [3, 1]
    check_equal(tmp_path / "fused.onnx", tmp_path)


@pytest.mark.parametrize("changes", [{"scale": 0.9}, {"scale": None}, {"mask_filter_value": -2.5}])
def test_the_operators_own_scale_and_mask_are_kept(
    fused: Exported, changes: dict[str, float | None], tmp_path: Path
) -> None:
    """A weak mask, a scale of its own, and no scale at all, which is the usual one."""
    graph = Graph.load(fused.path)
    for node in [node for node in graph.nodes if node.op_type == "MultiHeadAttention"]:
        kept = [item for item in node.attribute if item.name not in changes]
        kept += [onnx.helper.make_attribute(name, value) for name, value in changes.items() if value is not None]
        del node.attribute[:]
        node.attribute.extend(kept)
    graph.save(tmp_path / "changed.onnx")
    check_equal(tmp_path / "changed.onnx", tmp_path)
    same = np.abs(answers(tmp_path / "changed.onnx", padded()) - answers(fused.path, padded())).max() < 1e-4
    assert same == (changes == {"scale": None})


def test_an_operator_with_more_than_ours_ever_has_is_left_closed(fused: Exported) -> None:
    graph = Graph.load(fused.path)
    first, second = (node for node in graph.nodes if node.op_type == "MultiHeadAttention")
    first.input[3] = "some.bias"
    second.attribute.append(onnx.helper.make_attribute("unidirectional", 1))
    assert attentions(graph) == []
    lengths = Graph.load(fused.path)
    for value in lengths.model.graph.input:
        if value.name == "attention_mask":
            del value.type.tensor_type.shape.dim[1]  # one number for each row: how many tokens are real
    assert attentions(lengths) == []


@pytest.fixture(scope="module")
def both(fused: Exported, batches: Rows, tmp_path_factory: pytest.TempPathFactory) -> tuple[Scheme, Path]:
    path = tmp_path_factory.mktemp("both") / "int8.onnx"
    return quantize_static(fused.path, path, batches, StaticSettings(attention="both")), path


def factors(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Of each product of two activations in a file: its name in the scheme, the part, the constants of Q and of DQ."""
    graph = Graph.load(path)
    for node in [node for node in graph.nodes if node.op_type == "MatMul"]:
        pair = [graph.maker(name, "DequantizeLinear") for name in node.input]
        if any(real is None or real.input[0] in graph.constants for real in pair):
            continue  # a product with a weight
        for part, real in zip(("input", "other"), pair, strict=True):
            integers = real
            while integers is not None and integers.op_type != "QuantizeLinear":  # behind the split into heads
                integers = graph.maker(integers.input[0])
            assert real is not None
            assert integers is not None
            yield real.input[1].removesuffix(f".{part}.scale"), part, [*integers.input[1:], *real.input[1:]]


def test_the_graph_holds_the_schemes_scales_to_the_bit(both: tuple[Scheme, Path]) -> None:
    scheme, path = both
    held, seen = Graph.load(path).constants, set()
    for name, part, (scale, zero_point, scale_again, zero_point_again) in factors(path):
        quantizer = getattr(scheme[name], part)
        assert (scale, zero_point) == (scale_again, zero_point_again)
        assert held[scale].dtype == np.float32
        assert held[scale].tobytes() == quantizer.scale.tobytes()
        assert held[zero_point].dtype == np.dtype(quantizer.type)
        assert held[zero_point] == quantizer.zero_point
        seen.add((name, part))
    names = [f"{SELF.format(layer)}.{product}" for layer in (0, 1) for product in ("scores", "context")]
    assert seen == {(name, part) for name in names for part in ("input", "other")}
    for name in names:
        first, second = scheme[name].input, scheme[name].other
        assert first is not None
        assert second is not None
        assert (first.type, first.axis, second.type, second.axis) == ("uint8", None, "int8", None)
        assert second.zero_point == 0
        assert first.zero_point == 0 or name.endswith("scores")  # probabilities start at 0


@pytest.mark.parametrize(("attention", "more", "floats"), [("both", 4, 0), ("scores", 2, 2), ("context", 2, 2)])
def test_onnx_runtime_runs_the_products_on_integer_kernels(
    fused: Exported, batches: Rows, tmp_path: Path, attention: str, more: int, floats: int
) -> None:
    scheme = quantize_static(fused.path, tmp_path / "int8.onnx", batches, StaticSettings(attention=attention))
    assert sum(layer.other is not None for layer in scheme.values()) == more
    open_session(tmp_path / "int8.onnx", threads=1, optimized_graph=tmp_path / "seen.onnx")
    seen = operators(tmp_path / "seen.onnx")
    assert sum(seen.get(name, 0) for name in INTEGER_KERNELS) == LINEARS + more
    assert seen.get("MatMul", 0) + seen.get("FusedMatMul", 0) == floats
    assert seen["Softmax"] == 2
    assert "MultiHeadAttention" not in seen
    parity = compare(tmp_path / "int8.onnx", fused.path, fused.rows, precision="int8")
    assert 0 < max(parity.largest_gap.values()) < 0.2 * parity.scale


def test_the_product_is_the_one_of_the_schemes_integers(fused: Exported, both: tuple[Scheme, Path]) -> None:
    """Queries by keys, by hand in integers from what the projections gave, against ONNX Runtime's."""
    scheme, path = both
    fused_node = attentions(Graph.load(fused.path))[0]
    (product,) = [node for node in Graph.load(path).nodes if node.output[0] == f"{fused_node.node.output[0]}.scores"]
    model = onnx.load(str(path))
    names = [fused_node.query, fused_node.key, product.output[0]]
    for name in names:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    query, key, found = session.run(names, padded())
    layer = scheme[f"{SELF.format(0)}.scores"]
    assert layer.input is not None
    assert layer.other is not None
    left = layer.input.quantize(query).astype(np.int64) - layer.input.zero_point
    right = layer.other.quantize(key).astype(np.int64)
    sums = np.einsum("bqhd,bkhd->bhqk", left.reshape(5, 20, 4, 16), right.reshape(5, 20, 4, 16))
    np.testing.assert_allclose(found, sums * np.float64(layer.input.scale * layer.other.scale), rtol=1e-5, atol=1e-6)


def test_ranges_are_those_of_torchs_own_attention(bert: Exported, both: tuple[Scheme, Path], batches: Rows) -> None:
    """Least and greatest value by torch's hooks, real tokens only."""
    import torch

    scheme, _ = both
    seen: dict[str, list[Any]] = {name: [] for name in ("query", "key", "value", "probabilities")}
    attention = bert.model.bert.encoder.layer[0].attention.self
    mask = torch.ones(1, 1, dtype=torch.bool)
    hooks = [
        getattr(attention, name).register_forward_hook(lambda _m, _i, out, name=name: seen[name].append(out[mask]))
        for name in ("query", "key", "value")
    ]
    before = bert.model.config._attn_implementation
    bert.model.set_attn_implementation("eager")
    with torch.no_grad():
        for batch in batches:
            mask = torch.tensor(batch["attention_mask"]).bool()
            inputs = {name: torch.tensor(value) for name, value in batch.items()}
            maps = bert.model(**inputs, output_attentions=True).attentions[0]
            seen["probabilities"].append(maps.movedim(2, 1)[mask].reshape(-1))
    bert.model.set_attn_implementation(before)
    for hook in hooks:
        hook.remove()
    ends = {name: torch.cat([part.reshape(-1) for part in parts]).numpy() for name, parts in seen.items()}
    for product, first, second in (("scores", "query", "key"), ("context", "probabilities", "value")):
        layer = scheme[f"{SELF.format(0)}.{product}"]
        assert layer.input is not None
        assert layer.other is not None
        low, high = min(ends[first].min(), 0), ends[first].max()
        assert float(layer.input.scale) == pytest.approx((high - low) / 255, rel=1e-4)
        assert float(layer.input.zero_point) == pytest.approx(-low / (high - low) * 255, abs=0.51)
        assert float(layer.other.scale) == pytest.approx(np.abs(ends[second]).max() / 127, rel=1e-4)


def test_what_padding_tokens_give_widens_no_range_of_a_product(fused: Exported) -> None:
    row = {name: value[None] for name, value in fused.rows[0].items()}
    wild = {name: np.pad(value, ((0, 0), (0, 9)), constant_values=0) for name, value in row.items()}
    wild["input_ids"][0, -9:] = 77
    settings = StaticSettings(attention="both")
    one, other = (calibrate(fused.path, [batch], settings) for batch in (row, wild))
    for name in (name for name, layer in one.items() if layer.other is not None):
        for part in ("input", "other"):
            mine, its = getattr(one[name], part), getattr(other[name], part)
            assert float(its.scale) == pytest.approx(float(mine.scale), rel=1e-5)


def test_attention_outside_the_scheme_stays_one_integer_operator(
    fused: Exported, both: tuple[Scheme, Path], tmp_path: Path
) -> None:
    dynamic = quantize_dynamic(fused.path, tmp_path / "dynamic.onnx")
    name = f"{SELF.format(1)}.scores"
    write_scheme(fused.path, tmp_path / "int8.onnx", Scheme({**dynamic, name: both[0][name]}))
    counts = operators(tmp_path / "int8.onnx")
    assert (counts["QAttention"], counts["Softmax"]) == (1, 1)
    assert [found for found, part, _ in factors(tmp_path / "int8.onnx") if part == "input"] == [name]
    parity = compare(tmp_path / "int8.onnx", fused.path, fused.rows, precision="int8")
    assert max(parity.largest_gap.values()) < 0.2 * parity.scale


def test_a_product_that_is_excluded_stays_float(fused: Exported, batches: Rows) -> None:
    chosen = calibrate(fused.path, batches, StaticSettings(attention="both", exclude=("*.layer.0.*.context",)))
    assert {name for name, layer in chosen.items() if layer.other is not None} == {
        f"{SELF.format(0)}.scores",
        f"{SELF.format(1)}.scores",
        f"{SELF.format(1)}.context",
    }


def test_attention_that_is_not_fused_is_refused_by_name(
    bert: Exported, foreign: Path, both: tuple[Scheme, Path], batches: Rows, tmp_path: Path
) -> None:
    for path in (bert.path, foreign):
        with pytest.raises(CompressError, match=r"Softmax '.*' where a fused attention is wanted.*BERT, DistilBERT"):
            calibrate(path, batches, StaticSettings(attention="scores"))
    with pytest.raises(CompressError, match=r"'bert\.encoder\.layer\.0\.attention\.self\.context'.*BERT, DistilBERT"):
        write_scheme(bert.path, tmp_path / "int8.onnx", both[0])
    assert not (tmp_path / "int8.onnx").exists()


def test_a_choice_or_a_scheme_that_cannot_be_is_answered_in_one_line(
    fused: Exported, both: tuple[Scheme, Path], batches: Rows, tmp_path: Path
) -> None:
    with pytest.raises(CompressError, match="Known: none, scores, context, both"):
        calibrate(fused.path, batches, StaticSettings(attention="all"))
    layer = both[0][f"{SELF.format(0)}.scores"]
    with pytest.raises(CompressError, match=r"'bert\.nowhere\.scores'"):
        write_scheme(fused.path, tmp_path / "int8.onnx", Scheme({"bert.nowhere.scores": layer}))
    many = both[0]["bert.encoder.layer.0.attention.self.query"].weight
    with pytest.raises(CompressError, match=r"attention\.self\.scores\.other' has scales along axis 0"):
        wrong = Scheme({f"{SELF.format(0)}.scores": Layer(input=layer.input, other=many)})
        write_scheme(fused.path, tmp_path / "int8.onnx", wrong)


@pytest.mark.slow
def test_an_attention_used_twice_has_one_entry_that_holds_both_uses(tmp_path: Path, batches: Rows) -> None:
    model = strong_model(tmp_path / "model", "albert", num_hidden_layers=2)
    model.albert.encoder.embedding_hidden_mapping_in.weight.data.mul_(10)  # what the first use alone reads
    export(model, tmp_path / "model.onnx")
    fuse(tmp_path / "model.onnx", tmp_path / "fused.onnx")
    scheme = quantize_static(
        tmp_path / "fused.onnx", tmp_path / "int8.onnx", batches, StaticSettings(attention="both", wide="static")
    )
    module = MODULES["albert"]
    assert {name for name, layer in scheme.items() if layer.other} == {f"{module}.scores", f"{module}.context"}
    found = list(factors(tmp_path / "int8.onnx"))
    assert len(found) == 8  # two layers, two products, two factors, on four scales
    assert len({constants[0] for _, _, constants in found}) == 4
    graph = Graph.load(tmp_path / "fused.onnx")
    uses = attentions(graph)
    names = [name for one in uses for name in (one.key, one.value)]
    for name in names:
        graph.model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(graph.model.SerializeToString(), providers=["CPUExecutionProvider"])
    largest = dict.fromkeys(names, 0.0)
    for batch in batches:
        values = session.run(names, {item.name: batch[item.name] for item in session.get_inputs()})
        for name, value in zip(names, values, strict=True):
            largest[name] = max(largest[name], float(np.abs(value[batch["attention_mask"].astype(bool)]).max()))
    assert largest[uses[0].key] > largest[uses[1].key]  # so the last use alone would not give these ranges
    for product, part in (("scores", "key"), ("context", "value")):
        other = scheme[f"{module}.{product}"].other
        assert other is not None
        assert float(other.scale) == pytest.approx(max(largest[getattr(one, part)] for one in uses) / 127, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["deberta-v2", "modernbert"])
def test_families_whose_attention_does_not_fuse_are_refused(family: str, tmp_path: Path, batches: Rows) -> None:
    layers = {"num_hidden_layers": 2}
    export(strong_model(tmp_path / "model", family, **layers), tmp_path / "model.onnx")
    fuse(tmp_path / "model.onnx", tmp_path / "fused.onnx")
    with pytest.raises(CompressError, match="choose attention 'none'"):
        calibrate(tmp_path / "fused.onnx", batches, StaticSettings(attention="both"))
