from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from compress.core.errors import CompressError
from compress.runtimes.session_choices import CHOICES, OURS, SessionChoice, session_choice
from compress.runtimes.sessions import logits, open_session
from tests.exported import Exported


def test_a_choice_survives_the_manifest() -> None:
    for choice in CHOICES.values():
        assert SessionChoice.from_dict(json.loads(json.dumps(choice.to_dict()))) == choice


def test_an_unknown_choice_is_answered_with_a_guess() -> None:
    with pytest.raises(CompressError, match="Did you mean 'default'"):
        session_choice("defualt")


def test_our_options_keep_skip_layer_normalization_out(residual: Path, tmp_path: Path) -> None:
    def kernels(choice: SessionChoice) -> set[str]:
        open_session(residual, threads=1, options=choice, optimized_graph=tmp_path / "seen.onnx")
        return {node.op_type for node in onnx.load(str(tmp_path / "seen.onnx")).graph.node}

    assert kernels(session_choice("default")) == {"SkipLayerNormalization"}
    assert kernels(OURS) == {"Add", "LayerNormalization"}


@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "missing"])
def test_a_damaged_file_is_one_line_that_names_it(bert: Exported, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "model.onnx"
    whole = bert.path.read_bytes()
    if damage != "missing":
        path.write_bytes({"truncated": whole[: len(whole) // 2], "text": b"not a model", "empty": b""}[damage])
    with pytest.raises(CompressError, match=r"model\.onnx") as caught:
        open_session(path, threads=1)
    assert "\n" not in str(caught.value)


def test_an_absent_provider_and_no_threads_are_refused(bert: Exported) -> None:
    with pytest.raises(CompressError, match="has no NoSuchProvider"):
        open_session(bert.path, threads=1, provider="NoSuchProvider")
    with pytest.raises(CompressError, match="at least 1 thread"):
        open_session(bert.path, threads=0)


def test_a_missing_input_is_named(bert: Exported) -> None:
    with pytest.raises(CompressError, match="token_type_ids"):
        ones = np.ones((1, 4))
        logits(open_session(bert.path, threads=1), {"input_ids": ones, "attention_mask": ones})


def test_ids_beyond_the_embeddings_are_one_line_that_names_the_graph(bert: Exported) -> None:
    rows = {"input_ids": np.full((1, 4), 10**6), "attention_mask": np.ones((1, 4)), "token_type_ids": np.zeros((1, 4))}
    with pytest.raises(CompressError, match=r"model\.onnx failed on rows of \[1, 4\]: .*its own tokenizer") as caught:
        logits(open_session(bert.path, threads=1), rows)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 500


def test_serving_imports_neither_torch_nor_transformers_nor_onnx() -> None:
    program = (
        "import sys, compress.runtimes.sessions; "
        "print(sorted({'torch', 'transformers', 'onnx', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
