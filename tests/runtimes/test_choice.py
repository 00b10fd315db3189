"""A runtime is chosen by its name, else by the default that is declared for the format: never by the order of files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.core import catalogue
from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.runtimes import choice
from compress.runtimes.onnx_runtime import RUNTIME as ONNX_RUNTIME
from compress.runtimes.pytorch import RUNTIME as PYTORCH
from compress.runtimes.runtime import Runtime, Serving, logits_of


def an_artifact(form: str) -> Artifact:
    return Artifact(Path("runs/a"), {"weights": ""}, None, form)


@pytest.fixture
def aardvark(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """A runtime for both formats whose name comes before all others."""
    made = Runtime(
        name="aardvark",
        formats=frozenset({"torch", "onnx"}),
        packages=("numpy",),
        imports=("numpy",),
        open=lambda artifact, serving: None,  # type: ignore[arg-type, return-value]  # never opened
        why_not=lambda artifact, device: None,
        options={"quick": {"level": 3}, "exact": {"level": 0}},
        served_with="exact",
    )
    find = catalogue.find

    def found(kind: str, name: str) -> Any:
        return made if name == "aardvark" else find(kind, name)

    monkeypatch.setattr(catalogue, "names", lambda kind: ("aardvark", "onnx_runtime", "pytorch"))
    monkeypatch.setattr(catalogue, "find", found)
    return made


def test_the_default_of_each_format_is_declared_and_opens_it() -> None:
    for form, name in choice.DEFAULTS.items():
        assert form in catalogue.find("runtimes", name).formats
    opened = {form for name in catalogue.names("runtimes") for form in catalogue.find("runtimes", name).formats}
    assert opened == set(choice.DEFAULTS)


@pytest.mark.parametrize(("form", "expected"), [("torch", "pytorch"), ("onnx", "onnx_runtime")])
def test_a_further_runtime_serves_where_it_is_named_and_nowhere_else(
    aardvark: Runtime, form: str, expected: str
) -> None:
    assert choice.runtime_for(an_artifact(form)).name == expected
    assert choice.runtime_for(an_artifact(form), "aardvark") is aardvark


def test_a_runtime_that_does_not_open_the_format_says_which_does() -> None:
    with pytest.raises(
        CompressError, match="runs/a: pytorch opens torch artifacts, and this one is onnx: ask for onnx_run"
    ):
        choice.runtime_for(an_artifact("onnx"), "pytorch")
    with pytest.raises(CompressError, match="this one is torch: ask for pytorch, or export it first"):
        choice.runtime_for(an_artifact("torch"), "onnx_runtime")


def test_an_unknown_runtime_is_answered_with_a_guess_and_one_without_its_package_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(CompressError, match="Unknown runtime 'pytroch'. Did you mean 'pytorch'"):
        choice.runtime_for(an_artifact("torch"), "pytroch")
    monkeypatch.setattr(Runtime, "version", lambda self: None)
    with pytest.raises(CompressError, match="'pytorch' needs a package: pip install torch"):
        choice.find("pytorch")


def test_each_runtime_checks_its_own_session_options_and_tells_its_version(aardvark: Runtime) -> None:
    ONNX_RUNTIME.check_options("ours")
    aardvark.check_options("quick")
    with pytest.raises(CompressError, match="Unknown session options 'ours' of aardvark. Known: exact, quick"):
        aardvark.check_options("ours")
    with pytest.raises(CompressError, match="'defualt' of onnx_runtime. Did you mean 'default'"):
        ONNX_RUNTIME.check_options("defualt")
    for one in (aardvark, ONNX_RUNTIME, PYTORCH):
        assert one.served_with in one.options
    assert aardvark.version() == np.__version__


def test_no_output_of_a_graph_is_lost(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])
    given = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "length"]) for name in ("starts", "logits")
    ]
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["starts"], to=TensorProto.FLOAT),
        helper.make_node("Neg", ["starts"], ["logits"]),
    ]
    graph = helper.make_graph(nodes, "two", [ids], given)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "a.onnx")
    session = ONNX_RUNTIME.open(Artifact(tmp_path, {}, None, "onnx", {"model": "a.onnx"}), Serving())
    assert session.outputs == ("starts", "logits")
    found = session.predict({"input_ids": np.array([[1, 2]])})
    assert {name: one.tolist() for name, one in found.items()} == {"starts": [[1.0, 2.0]], "logits": [[-1.0, -2.0]]}
    assert logits_of(found).tolist() == [[-1.0, -2.0]]
    assert logits_of({"foreign": found["starts"]}).tolist() == [[1.0, 2.0]]


def test_no_output_of_a_torch_model_is_lost(tmp_path: Path) -> None:
    import torch
    from transformers import BertConfig, BertForQuestionAnswering, BertModel

    from compress.runtimes.pytorch import TorchSession

    config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    for kind, names in (
        (BertForQuestionAnswering, ["start_logits", "end_logits"]),
        (BertModel, ["last_hidden_state", "pooler_output"]),
    ):
        model = kind(config).eval()
        found = TorchSession(model, "cpu", ("input_ids",)).predict({"input_ids": np.array([[1, 2, 3]])})
        assert list(found) == names
        with torch.no_grad():
            expected = model(torch.tensor([[1, 2, 3]]))
        for name in names:
            assert np.array_equal(found[name], expected[name].numpy())


def test_a_runtime_that_generates_nothing_says_so(tiny_torch: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    from compress.models import load
    from compress.runtimes import predict

    monkeypatch.setattr(load, "generates", lambda folder: True)
    monkeypatch.setattr(choice, "runtime_for", lambda *given: replace(PYTORCH, open_generator=None))
    with pytest.raises(CompressError, match="generates text, which pytorch does not support"):
        predict.opened(tiny_torch)


@pytest.mark.parametrize("opens", ["opened", "opened_generator"])
def test_whatever_a_runtime_raises_when_it_opens_an_artifact_is_one_line_with_both_names(
    aardvark: Runtime, opens: str
) -> None:
    def fails(artifact: Artifact, serving: Serving) -> Any:
        raise KeyError("block.0\nblock.1")

    broken = replace(aardvark, open=fails, open_generator=fails)
    with pytest.raises(CompressError, match=r"aardvark \(.*\) cannot open runs/a: KeyError: ") as error:
        getattr(broken, opens)(an_artifact("onnx"), Serving())
    assert "\n" not in str(error.value)
    assert isinstance(error.value.__cause__, KeyError), "--debug shows where it failed"


def test_a_runtimes_own_words_are_left_as_they_are(aardvark: Runtime) -> None:
    def refuses(artifact: Artifact, serving: Serving) -> Any:
        raise CompressError("The graph is cut short.")

    with pytest.raises(CompressError, match="^The graph is cut short.$"):
        replace(aardvark, open=refuses).opened(an_artifact("onnx"), Serving())
    with pytest.raises(CompressError, match="generates text, which aardvark does not support"):
        aardvark.opened_generator(an_artifact("onnx"), Serving())
