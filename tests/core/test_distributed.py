"""A training command runs as it is on several processes that torch's launcher starts, and knows a launch from its leftovers.

`accelerate launch` starts GPU processes by the same launcher; on CPUs it wants MPI.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from compress.core import distributed
from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from tests.tiny import write_task
from tests.tiny_generators import write_generator, write_pairs

PRECISION = 1e-4
"""Of losses and weights: fp32 sums in another order, through sixteen steps of AdamW."""


def distil(model: Path, task: Path, out: Path, *, processes: int, batch: int, settings: tuple[object, ...]) -> Artifact:
    """A student of two layers."""
    fixed = ("--layers", 2, "--epochs", 2, "--max-length", 64)
    return launched("distill", model, task, out, processes=processes, batch=batch, settings=(*fixed, *settings))


def launched(
    technique: str, model: Path, task: Path, out: Path, *, processes: int, batch: int, settings: tuple[object, ...]
) -> Artifact:
    """One run in processes of one thread each, which talk by gloo."""
    launch = ["torch.distributed.run", "--nproc_per_node", processes, "--standalone", "-m"]
    command = [technique, model, "--task", task, "--precision", "fp32"]
    command += ["--batch-size", batch, "--keep-checkpoint", "last", *settings, "-o", out]
    done = subprocess.run(
        [sys.executable, "-m", *map(str, launch if processes > 1 else []), "compress", *map(str, command)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Artifact.open(out)


@pytest.mark.slow
def test_two_processes_end_where_one_with_as_large_a_batch_does(
    make_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Through both stages: the hidden layers' and the predictions'."""
    import yaml

    described = write_task(tmp_path / "data", rows=161) | {"holdout": 0.2}
    task = tmp_path / "moods.yaml"
    task.write_text(yaml.safe_dump(described))
    model = make_model("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    settings: tuple[object, ...] = ("--preset", "tinybert", "--intermediate-epochs", 1)
    one = distil(model, task, tmp_path / "one", processes=1, batch=32, settings=settings)
    two = distil(model, task, tmp_path / "two", processes=2, batch=16, settings=settings)
    told, others = one.steps[-1].facts, two.steps[-1].facts
    assert told["training_rows"] % 32 == 0  # or the last step would be filled up with rows of the first
    assert told["training_steps"] == others["training_steps"]
    assert (told["processes"], others["processes"]) == (1, 2)
    curves, of_two = losses(told), losses(others)
    assert curves.keys() == of_two.keys()
    for name, points in curves.items():
        np.testing.assert_allclose(of_two[name], points, rtol=PRECISION, atol=PRECISION)
    theirs = load_file(two.folder / "model.safetensors")
    for name, value in load_file(one.folder / "model.safetensors").items():
        torch.testing.assert_close(theirs[name], value, rtol=PRECISION, atol=PRECISION)


@pytest.mark.slow
def test_two_processes_make_the_summarizer_that_one_makes(make_model: Callable[..., Path], tmp_path: Path) -> None:
    import yaml

    task = tmp_path / "gists.yaml"
    task.write_text(yaml.safe_dump(write_pairs(tmp_path / "data", limit={"train": 64})))
    model = make_model("bert")
    settings = ("--decoder-layers", 1, "--freeze-encoder-epochs", 1, "--epochs", 1, "--encoder-lr-multiplier", 0.5)
    one = launched("finetune", model, task, tmp_path / "one", processes=1, batch=32, settings=settings)
    two = launched("finetune", model, task, tmp_path / "two", processes=2, batch=16, settings=settings)
    told, others = one.steps[-1].facts, two.steps[-1].facts
    assert told["training_steps"] == others["training_steps"] == 4
    assert losses(told).keys() == {"loss", "frozen encoder loss"}
    for name, points in losses(told).items():
        np.testing.assert_allclose(losses(others)[name], points, rtol=PRECISION, atol=PRECISION)
    theirs = load_file(two.folder / "model.safetensors")
    for name, value in load_file(one.folder / "model.safetensors").items():
        torch.testing.assert_close(theirs[name], value, rtol=PRECISION, atol=PRECISION)


@pytest.mark.slow
def test_two_processes_distil_the_generative_model_that_one_distils(tmp_path: Path) -> None:
    import yaml

    task = tmp_path / "gists.yaml"
    task.write_text(yaml.safe_dump(write_pairs(tmp_path / "data", limit={"train": 64})))
    model = write_generator(tmp_path / "teacher", "bart", layers=2, init_std=0.3, dropout=0.0)
    settings = ("--decoder-layers", 1, "--sequence-kd", 0.5, "--beams", 1, "--top-k", 8, "--epochs", 2)
    one = launched("distill", model, task, tmp_path / "a" / "one", processes=1, batch=32, settings=settings)
    two = launched("distill", model, task, tmp_path / "b" / "two", processes=2, batch=16, settings=settings)
    told, others = one.steps[-1].facts, two.steps[-1].facts
    assert told["training_steps"] == others["training_steps"] == 4
    assert losses(told).keys() == {"loss", "loss: labels", "loss: soft targets"}
    for name, points in losses(told).items():
        np.testing.assert_allclose(losses(others)[name], points, rtol=PRECISION, atol=PRECISION)
    theirs = load_file(two.folder / "model.safetensors")
    for name, value in load_file(one.folder / "model.safetensors").items():
        torch.testing.assert_close(theirs[name], value, rtol=PRECISION, atol=PRECISION)


TWO = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the variables of a launch, and no others."""

    def put(**variables: str) -> None:
        for name in (*distributed.LAUNCHED, *distributed.OWN, *distributed.MPI_SIZES, "ACCELERATE_MIXED_PRECISION"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


def test_a_whole_launch_says_how_many_train_together(environment: Callable[..., None]) -> None:
    environment(**TWO)
    distributed.settle()
    assert distributed.world_size() == 2
    assert not distributed.is_main_process()
    assert os.environ["RANK"] == "1"


@pytest.mark.parametrize(
    "left",
    [{"RANK": "1"}, {"LOCAL_RANK": "1"}, {"WORLD_SIZE": "4"}, {**TWO, "WORLD_SIZE": "1"}, {**TWO, "RANK": "x"}],
    ids=["rank", "local rank", "world size", "beyond the size", "no number"],
)
def test_what_another_launch_left_behind_is_told_and_ignored(
    environment: Callable[..., None], caplog: pytest.LogCaptureFixture, left: dict[str, str]
) -> None:
    environment(**left)
    assert distributed.is_main_process()
    logging.getLogger("compress").propagate = True
    distributed.settle()
    assert "this process runs alone" in caplog.text
    assert not set(distributed.OWN) & os.environ.keys()


def test_a_launch_of_one_process_is_no_leftover(
    environment: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    environment(**{**TWO, "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"})
    distributed.settle()
    assert not caplog.text
    assert distributed.world_size() == 1


def test_a_launcher_that_starts_fewer_processes_than_asked_for_is_refused(environment: Callable[..., None]) -> None:
    # What `accelerate launch --cpu --num_processes 2` gives the one process that it starts.
    environment(ACCELERATE_MIXED_PRECISION="no", MASTER_ADDR="127.0.0.1", MASTER_PORT="29500")
    with pytest.raises(CompressError, match="torchrun --nproc-per-node 2 -m compress"):
        distributed.settle()
    environment(OMPI_COMM_WORLD_SIZE="4")
    with pytest.raises(CompressError, match="OMPI_COMM_WORLD_SIZE"):
        distributed.settle()


def test_a_process_that_waits_says_for_what(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(distributed, "SPEAKS_AFTER_SECONDS", 0.0)
    logging.getLogger("compress").propagate = True
    logging.getLogger("compress").setLevel(logging.INFO)
    with pytest.raises(CompressError, match="Waited 0 seconds for the first process to calibrate"):
        distributed.wait_until(lambda: False, "the first process to calibrate", seconds=0.3)
    assert "waits for the first process to calibrate" in caplog.text


def losses(facts: Mapping[str, Any]) -> dict[str, list[list[float]]]:
    """The curves of losses."""
    return {name: points for name, points in facts["curves"].items() if "loss" in name}
