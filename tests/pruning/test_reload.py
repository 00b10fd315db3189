"""A pruned model is saved, opened and exported as one that was never larger."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from compress import cli
from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.models import load as models
from compress.onnx.export import export
from compress.onnx.fusion import fuse
from compress.onnx.parity import check
from compress.pruning.removal import remove
from compress.pruning.units import Kept, everything, units
from compress.quantization.graphs.dynamic import quantize_dynamic
from compress.runtimes.sessions import open_session
from tests.families import having
from tests.pruning.pruned import INPUTS, VARIANTS, logits, some, strong
from tests.tiny import FAMILIES, write_tokenizer

FUSIBLE = having("fusible")


@pytest.fixture(scope="module", params=VARIANTS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return strong(tmp_path_factory.mktemp("model"), request.param)


@st.composite
def widths(draw: st.DrawFn, heads: tuple[int, ...], neurons: tuple[int, ...]) -> Kept:
    """Any heads, and any number of neurons, at least one of each in every layer."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    counts = [draw(st.integers(1, count)) for count in neurons]
    return Kept(
        heads=tuple(tuple(sorted(draw(st.sets(st.integers(0, count - 1), min_size=1)))) for count in heads),
        neurons=tuple(
            tuple(sorted(chance.sample(range(count), some))) for count, some in zip(neurons, counts, strict=True)
        ),
    )


def saved(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return folder


@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_a_model_of_any_widths_opens_equal_to_what_was_saved(
    model: Any, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    present = units(model)
    smaller = remove(model, data.draw(widths(present.heads, present.neurons)))
    opened = models.classifier(saved(smaller, tmp_path_factory.mktemp("saved")), new_head=False)
    torch.testing.assert_close(logits(opened), logits(smaller), rtol=0, atol=0)
    assert type(opened) is type(model)
    assert units(opened) == units(smaller)
    again = some(opened, seed=1)  # what was opened can be pruned further
    torch.testing.assert_close(logits(remove(opened, again)), logits(remove(smaller, again)), rtol=0, atol=0)


PLAIN = """
import importlib.abc, json, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "compress":
            raise ImportError("blocked")

sys.meta_path.insert(0, Blocked())
import torch
from transformers import AutoModelForSequenceClassification

given = json.loads(sys.stdin.read())
inputs = {name: torch.tensor(value) for name, value in given["inputs"].items()}
answers = {}
for name, folder in given["folders"].items():
    with torch.no_grad():
        answers[name] = AutoModelForSequenceClassification.from_pretrained(folder).eval()(**inputs).logits.tolist()
assert "compress" not in sys.modules
print(json.dumps(answers))
"""


@pytest.mark.slow
def test_equally_many_neurons_open_with_transformers_alone(tmp_path: Path) -> None:
    folders, expected = {}, {}
    for name in VARIANTS:
        whole = strong(tmp_path / "whole" / name, name)
        present = units(whole)
        kept = tuple(tuple(range(layer, 128, 3))[:40] for layer in range(len(present.neurons)))
        smaller = remove(whole, Kept(everything(present).heads, kept))
        folders[name], expected[name] = str(saved(smaller, tmp_path / "pruned" / name)), logits(smaller)
    given = {"folders": folders, "inputs": {name: value.tolist() for name, value in INPUTS.items()}}
    done = subprocess.run(
        [sys.executable, "-c", PLAIN],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    for name in VARIANTS:
        torch.testing.assert_close(torch.tensor(answers[name]), expected[name], rtol=1e-6, atol=1e-6)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved model whose layers are unequal."""
    whole = strong(tmp_path / "whole")
    return saved(remove(whole, some(whole)), tmp_path / "pruned")


def test_transformers_alone_refuses_unequal_layers_for_their_shapes(folder: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    with models.quiet(), pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        AutoModelForSequenceClassification.from_pretrained(folder)


def test_the_saved_precision_is_kept(folder: Path) -> None:
    whole = models.classifier(folder)
    assert whole.dtype == torch.float32
    half = saved(whole.to(torch.bfloat16), folder.with_name("half"))
    assert models.classifier(half).dtype == torch.bfloat16


def test_a_file_cut_short_is_reported_as_for_any_model(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(CompressError, match=r"corrupt or cut short"):
        models.classifier(folder)


def test_a_missing_head_is_reported_or_newly_made_as_for_any_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    save_file(
        {n: w for n, w in weights.items() if not n.startswith("classifier")},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(CompressError, match="lack 2 tensors of the classifier"):
        models.classifier(folder, new_head=False)
    again = models.classifier(folder, num_labels=3)
    assert logits(again).shape == (2, 3)
    assert logits(again).isfinite().all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"heads": [1, 1]}, "1, 1 heads, which cannot be cut out of the 4, 4, 4, 4"),
        ({"neurons": [1, 1, 1, 10**6]}, "1, 1, 1, 1000000 neurons, which cannot be cut"),
        ({"heads": [0, 1, 1, 1]}, "0, 1, 1, 1 heads, which cannot be cut"),
        ({"head_size": "wide"}, "cannot be read"),
    ],
)
def test_widths_that_cannot_be_are_refused_before_any_weight_is_read(
    folder: Path, change: dict[str, Any], said: str
) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["compress_widths"] |= change
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CompressError, match=said):
        models.classifier(folder)


def test_widths_of_other_weights_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["compress_widths"]["neurons"][0] += 1
    config["intermediate_size"] += 1
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CompressError, match="has the shape 38, but the config makes it 39"):
        models.classifier(folder)


HIDDEN, HEAD_SIZE = 128, 32  # one head is just enough to be quantized
HEADS, NEURONS = ((1, 3), (0, 2, 3)), (tuple(range(0, 128, 4)), tuple(range(50)))


@dataclass(frozen=True)
class Files:
    pruned: Any
    plain: Path
    fused: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A BERT with 2 heads in its first layer and 3 in its second, as ONNX."""
    folder = tmp_path_factory.mktemp("files")
    pruned = remove(strong(folder / "model", num_hidden_layers=2, hidden_size=HIDDEN), Kept(HEADS, NEURONS))
    export(pruned, folder / "plain.onnx")
    fuse(folder / "plain.onnx", folder / "fused.onnx")
    return Files(pruned, folder / "plain.onnx", folder / "fused.onnx")


def heads_of(path: Path, operator: str, name: str = "num_heads") -> list[int]:
    nodes = [node for node in onnx.load(str(path)).graph.node if node.op_type == operator]
    return [item.i for node in nodes for item in node.attribute if item.name == name]


def rows(seed: int = 0) -> list[dict[str, np.ndarray]]:
    random_numbers = np.random.default_rng(seed)
    ids = [random_numbers.integers(5, 36, length) for length in (3, 9, 17, 33)]
    return [
        {"input_ids": one, "attention_mask": np.ones_like(one), "token_type_ids": np.zeros_like(one)} for one in ids
    ]


def test_the_graph_answers_as_torch_and_each_layers_attention_is_one_operator_with_its_own_heads(files: Files) -> None:
    check(files.plain, files.pruned, rows())
    check(files.fused, files.pruned, rows())
    assert heads_of(files.fused, "MultiHeadAttention") == [2, 3]


def test_the_graph_holds_the_smaller_weights_and_no_masks_or_zeros(files: Files) -> None:
    graph = onnx.load(str(files.plain)).graph
    weights = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    for index, (heads, neurons) in enumerate(zip(HEADS, NEURONS, strict=True)):
        layer = f"bert.encoder.layer.{index}"
        assert weights[f"{layer}.attention.self.query.weight.T"].shape == (HIDDEN, len(heads) * HEAD_SIZE)
        assert weights[f"{layer}.attention.output.dense.weight.T"].shape == (len(heads) * HEAD_SIZE, HIDDEN)
        assert weights[f"{layer}.output.dense.weight.T"].shape == (len(neurons), HIDDEN)
    assert all((weight != 0).all() for name, weight in weights.items() if name.startswith("bert.encoder"))
    reals = sum(weight.size for weight in weights.values() if weight.dtype == np.float32 and weight.size > 1)
    assert reals == sum(weight.numel() for weight in files.pruned.parameters())


def test_onnxs_own_attention_has_each_layers_heads_too(files: Files, tmp_path: Path) -> None:
    fuse(files.plain, tmp_path / "standard.onnx", opset=24)
    check(tmp_path / "standard.onnx", files.pruned, rows())
    quantize_dynamic(tmp_path / "standard.onnx", tmp_path / "int8.onnx")
    quantize_dynamic(files.fused, tmp_path / "older.onnx")
    for name in ("standard", "int8"):
        assert heads_of(tmp_path / f"{name}.onnx", "Attention", "q_num_heads") == [2, 3]
    one, other = (open_session(tmp_path / f"{name}.onnx", threads=1) for name in ("int8", "older"))
    for row in rows(1):
        feeds = {item.name: row[item.name][None] for item in one.get_inputs()}
        found, expected = one.run(None, feeds)[0], other.run(None, feeds)[0]
        np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


def test_int8_takes_unequal_heads_as_they_are(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import compress.quantization.graphs.qdq

    quantize_dynamic(files.fused, tmp_path / "int8.onnx")
    with monkeypatch.context() as patch:
        patch.setattr(compress.quantization.graphs.qdq, "fuse_integer_attention", lambda graph: 0)
        quantize_dynamic(files.fused, tmp_path / "apart.onnx")
    assert heads_of(tmp_path / "int8.onnx", "QAttention") == [2]
    assert heads_of(tmp_path / "int8.onnx", "MultiHeadAttention") == [3]  # asked for its first token alone
    one, other = (open_session(tmp_path / f"{name}.onnx", threads=1) for name in ("int8", "apart"))
    for row in rows(1):
        feeds = {item.name: row[item.name][None] for item in one.get_inputs()}
        found, expected = one.run(None, feeds)[0], other.run(None, feeds)[0]
        # A sum rounded otherwise can move a later layer's input to the next integer: far below int8's own error.
        np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


def masks(path: Path) -> int:
    """How many nodes multiply, or choose between, values by a stored tensor of several numbers, as a mask would."""
    graph = onnx.load(str(path)).graph
    several = {item.name for item in graph.initializer if math.prod(item.dims) > 1}
    several |= {
        node.output[0]
        for node in graph.node
        if node.op_type == "Constant"
        and any(math.prod(one.t.dims) > 1 for one in node.attribute if one.name == "value")
    }
    return sum(node.op_type in ("Mul", "Where") and bool(several & set(node.input)) for node in graph.node)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=2, deadline=None)
@given(data=st.data())
def test_a_model_of_any_widths_predicts_the_same_as_onnx(
    family: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("export")
    whole = strong(
        folder / "model", family, **({"n_layers": 2} if family == "distilbert" else {"num_hidden_layers": 2})
    )
    present = units(whole)
    pruned = remove(whole, data.draw(widths(present.heads, present.neurons)))
    opened = models.classifier(saved(pruned, folder / "pruned"), new_head=False)
    export(whole, folder / "whole.onnx")
    export(opened, folder / "model.onnx")
    check(folder / "model.onnx", pruned, rows())
    # Shapes may be computed by other operators where layers differ, but no values are multiplied with a mask or picked
    # by one.
    assert masks(folder / "model.onnx") <= masks(folder / "whole.onnx")
    bytes_gone = (folder / "whole.onnx").stat().st_size - (folder / "model.onnx").stat().st_size
    assert bytes_gone == pytest.approx(4 * (whole.num_parameters() - pruned.num_parameters()), abs=4000)
    done = fuse(folder / "model.onnx", folder / "fused.onnx")
    check(folder / "fused.onnx", pruned, rows())
    assert done.attentions == (2 if family in FUSIBLE else 0)
    assert done.first_token_nodes > 0


def typed(*arguments: object) -> str:
    """What a command prints; it must end well."""
    result = CliRunner().invoke(cli.compress, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "mpnet"])
def test_a_pruned_model_is_a_source_for_distil_and_int8(
    family: str, make_model: Callable[..., Path], task_file: Path, tmp_path: Path
) -> None:
    whole = models.classifier(make_model(family))
    pruned = saved(remove(whole, some(whole)), tmp_path / "pruned")
    source, student, int8 = tmp_path / "source", tmp_path / "student", tmp_path / "int8"
    typed("import", pruned, "--task", task_file, "-o", source)
    typed("distill", source, "--layers", 2, "--epochs", 1, "--batch-size", 64, "--max-length", 64, "-o", student)
    typed("quantize", student, "--precision", "int8", "-o", int8)
    typed("quantize", source, "--precision", "int8", "-o", tmp_path / "direct")
    before, after = units(models.load(Artifact.open(source))), units(models.load(Artifact.open(student)))
    assert [before.heads[1], before.heads[3]] == list(after.heads)
    assert [before.neurons[1], before.neurons[3]] == list(after.neurons)
    for one, other in ((student, int8), (source, tmp_path / "direct")):
        answers = [
            [
                json.loads(line)
                for line in typed("predict", folder, "a good film", "an awful book", "--json").splitlines()
            ]
            for folder in (one, other)
        ]
        for torch_answer, onnx_answer in zip(*answers, strict=True):
            assert onnx_answer["probabilities"] == pytest.approx(torch_answer["probabilities"], abs=0.05)
