from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from compress.core.errors import CompressError
from compress.onnx.parity_with_cache import check_generation, compare_generation
from compress.onnx.shared_weights import share_weights
from compress.runtimes.sessions_with_cache import GenerationSessions, open_generation
from tests.families import FAMILIES, slow_but
from tests.generative import VOCABULARY, ExportedGenerator, export_generator, exported, prompts

EVERY = slow_but("llama")


def layers_of(family: str) -> int:
    return 1 if family == "llama" else 2  # the only one that is not slow


@pytest.fixture
def llama(tmp_path_factory: pytest.TempPathFactory) -> ExportedGenerator:
    """A Llama with grouped queries: two heads of keys and values to four of queries."""
    return exported("llama", tmp_path_factory, layers=1)


def opened(made: ExportedGenerator, **paths: Path) -> GenerationSessions:
    return open_generation({**made.paths, **paths}, threads=1)


@pytest.mark.parametrize("family", EVERY)
def test_logits_are_torchs_from_the_prompt_on_at_every_shape(
    family: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = exported(family, tmp_path_factory, layers=layers_of(family))
    parity = check_generation(opened(made), made.model, prompts(7))
    stages = ("prefill", "decode", *(("encoder",) if "encoder" in made.parts else ()))
    assert set(parity.largest_gap) == {f"{shape}, {stage}" for shape in ("batch 1", "padded") for stage in stages}
    assert parity.equal_predictions == 1.0
    assert parity.scale > 1  # logits that could differ by more than the tolerance


@pytest.mark.parametrize("family", EVERY)
def test_the_graphs_say_what_they_read_and_give(family: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    made = exported(family, tmp_path_factory, layers=layers_of(family))
    graph = onnx.load(str(made.paths["decode"]), load_external_data=False).graph
    found = {value.name: _axes(value) for value in [*graph.input, *graph.output]}
    assert found["input_ids"] == ["batch", "new"]
    heads, width = 2 if "grouped" in FAMILIES[family].traits else 4, FAMILIES[family].config.get("head_dim", 8)
    assert found["past.0.key"] == found["past.0.value"] == ["batch", heads, "past", width]
    assert found["present.0.key"] == found["present.0.value"] == ["batch", heads, "past + new", width]
    if "encoder" in made.parts:
        assert found["encoder_attention_mask"] == ["batch", "source"]
        assert found["cross.1.value"] == ["batch", 4, "source", 8]
        assert found["logits"] == ["batch", "new", VOCABULARY]
        encoder = onnx.load(str(made.paths["encoder"]), load_external_data=False).graph
        assert {value.name for value in encoder.input} == {"input_ids", "attention_mask"}
        assert "encoder_hidden_states" in {value.name for value in encoder.output}
    else:
        assert found["attention_mask"] == ["batch", "past + new"]
        assert found["logits"] == ["batch", "kept", VOCABULARY]
        assert ("position_ids" in found) == (family != "bloom")


@pytest.mark.parametrize("family", EVERY)
def test_every_weight_is_stored_once_and_called_by_its_module(
    family: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = exported(family, tmp_path_factory, layers=layers_of(family))
    parameters = {name: value.detach().numpy() for name, value in made.model.named_parameters()}
    distinct = {value.tobytes(): value.nbytes for value in parameters.values()}
    file = made.folder / "weights.bin"
    pages = 4096 * len(distinct)
    assert file.stat().st_size <= sum(distinct.values()) + pages
    named = [
        (item.name, numpy_helper.to_array(item, str(made.folder)))
        for path in made.paths.values()
        for item in onnx.load(str(path)).graph.initializer
    ]
    found = set()
    for name, value in named:
        source = parameters.get(name.removesuffix(".T"))
        if source is not None and source.ndim == 2:
            found.add(name.removesuffix(".T"))
            np.testing.assert_array_equal(value, source.T if name.endswith(".T") else source)
    assert found == {name for name, value in parameters.items() if value.ndim == 2}


@pytest.mark.usefixtures("traced_anew")
def test_a_trace_that_fails_says_so_and_leaves_the_model_as_it_was(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its mode, its config, its attention and its weights; and the screen is left alone."""
    import torch

    from compress.onnx import export_with_cache as generation_export
    from tests.generative import strong_generator

    model = strong_generator("llama", layers=1).train()
    before = copy.deepcopy((model.config.to_dict(), model.state_dict(), model.config._attn_implementation))

    def refuses(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no tracing here")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transformers.exporters.OnnxExporter.export", refuses)
        with pytest.raises(
            CompressError, match="LlamaForCausalLM cannot be exported to ONNX: RuntimeError: no tracing"
        ):
            generation_export.export_generative(model, tmp_path / "out")
    after = (model.config.to_dict(), model.state_dict(), model.config._attn_implementation)
    assert model.training
    assert after[0] == before[0]
    assert after[2] == before[2]
    assert all(torch.equal(after[1][name], value) for name, value in before[1].items())
    assert not (tmp_path / "out").exists()
    assert capfd.readouterr().out == ""


def test_a_classifier_is_refused(tmp_path: Path) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    from compress.onnx.export_with_cache import export_generative

    config = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=10)
    with pytest.raises(CompressError, match="generates nothing"):
        export_generative(BertForSequenceClassification(config), tmp_path)


def test_a_weight_that_is_off_by_a_little_is_refused(llama: ExportedGenerator, tmp_path: Path) -> None:
    path = _changed(llama, tmp_path, "model.layers.0.mlp.down_proj.weight.T", lambda value: value * np.float32(1.001))
    with pytest.raises(CompressError, match="beyond the tolerance"):
        check_generation(opened(llama, decode=path), llama.model, prompts(4))


def test_a_graph_that_forgets_the_mask_is_refused_for_the_padded_shape(
    llama: ExportedGenerator, tmp_path: Path
) -> None:
    model = onnx.load(str(llama.paths["decode"]))
    ones = onnx.helper.make_node("ConstantOfShape", ["mask_shape"], ["all"])
    ones.attribute.append(onnx.helper.make_attribute("value", numpy_helper.from_array(np.ones(1, np.int64), "one")))
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            if name == "attention_mask" and node.op_type != "Shape":
                node.input[position] = "all"
    model.graph.node.insert(0, ones)
    model.graph.node.insert(0, onnx.helper.make_node("Shape", ["attention_mask"], ["mask_shape"]))
    onnx.save(model, str(tmp_path / "forgets.onnx"))
    parity = compare_generation(opened(llama, decode=tmp_path / "forgets.onnx"), llama.model, prompts(4))
    assert parity.largest_gap["batch 1, prefill"] < 1e-3
    assert parity.largest_gap["padded, prefill"] > 0.1
    with pytest.raises(CompressError, match="'padded, "):
        check_generation(opened(llama, decode=tmp_path / "forgets.onnx"), llama.model, prompts(4))


def test_a_nan_is_the_largest_gap(llama: ExportedGenerator, tmp_path: Path) -> None:
    path = _changed(llama, tmp_path, "lm_head.weight.T", lambda value: np.full_like(value, np.nan))
    parity = compare_generation(opened(llama, decode=path), llama.model, prompts(2), precision="int8")
    assert parity.largest_gap["batch 1, prefill"] == np.inf
    assert parity.is_within_tolerance  # int8 has no tolerance and is only reported


def test_a_prefill_of_its_own_is_used_for_the_first_run_only(llama: ExportedGenerator, tmp_path: Path) -> None:
    import torch

    path = _changed(llama, tmp_path, "lm_head.weight.T", lambda value: value * np.float32(2))
    ids, mask = torch.tensor([[5, 6, 7]]), torch.ones(1, 4, dtype=torch.int64)
    plain, apart = opened(llama), opened(llama, prefill=path)
    logits, past = plain.step(ids, mask[:, :3])
    doubled, same = apart.step(ids, mask[:, :3])
    torch.testing.assert_close(doubled, 2 * logits)
    torch.testing.assert_close(same, past)
    last = torch.tensor([[9]])
    torch.testing.assert_close(apart.step(last, mask, same)[0], plain.step(last, mask, past)[0])


def test_only_the_logits_that_are_asked_for_are_computed(llama: ExportedGenerator) -> None:
    import torch

    ids, mask = torch.arange(3, 13).reshape(2, 5), torch.ones(2, 5, dtype=torch.int64)
    every, _ = opened(llama).step(ids, mask)
    some, _ = opened(llama).step(ids, mask, kept=torch.tensor([4, 1]))
    assert some.shape == (2, 2, VOCABULARY)
    torch.testing.assert_close(some, every[:, [4, 1]])


def test_parts_that_are_missing_unknown_or_without_their_weights_are_refused(
    llama: ExportedGenerator, tmp_path: Path
) -> None:
    with pytest.raises(CompressError, match="decode \\(required\\)"):
        open_generation({"encoder": llama.paths["decode"]}, threads=1)
    with pytest.raises(CompressError, match="components are"):
        open_generation({**llama.paths, "model": llama.paths["decode"]}, threads=1)
    shutil.copy(llama.paths["decode"], tmp_path / "decode.onnx")
    with pytest.raises(CompressError, match="cannot be opened"):
        open_generation({"decode": tmp_path / "decode.onnx"}, threads=1)
    with pytest.raises(CompressError, match="at least one"):
        compare_generation(opened(llama), llama.model, [])


@pytest.mark.slow
def test_a_separate_prefill_costs_no_weights(tmp_path: Path) -> None:
    from compress.onnx.export_with_cache import export_generative
    from tests.generative import strong_generator

    model = strong_generator("gpt2", layers=1)
    done = export_generative(model, tmp_path, separate_prefill=True)
    assert list(done.parts) == ["prefill", "decode"]
    assert done.weights.stored_bytes < 0.6 * done.weights.referenced_bytes
    check_generation(open_generation(done.parts, threads=1), model, prompts(3))


@pytest.mark.slow
def test_grouped_queries_and_a_sliding_window_of_mistral(tmp_path: Path) -> None:
    """The window is kept by the mask on a full cache; prompts longer than it show that."""
    made = export_generator(tmp_path, "mistral", layers=1, sliding_window=6)
    check_generation(opened(made), made.model, prompts(5))


def _axes(value: Any) -> list[Any]:
    return [one.dim_param or one.dim_value for one in value.type.tensor_type.shape.dim]


def _changed(made: ExportedGenerator, folder: Path, weight: str, change: Any) -> Path:
    """A copy of the decoder's graph with one of its weights changed."""
    model = onnx.load(str(made.paths["decode"]))
    (item,) = [item for item in model.graph.initializer if item.name == weight]
    assert item.data_type == TensorProto.FLOAT
    item.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(item)), weight))
    path = folder / "changed.onnx"
    onnx.save(model, str(path))
    share_weights([path])
    return path
