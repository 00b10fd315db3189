"""A training goes on from the newest checkpoint that is whole, whatever became of the others, and ends with the same weights."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.cache import MARK
from compress.core.errors import CompressError
from compress.training import loop
from compress.training.checkpoints import last_checkpoint, whole_checkpoints
from tests.disk import files_no_larger_than
from tests.tiny import write_model, write_task
from tests.training.test_train import Run, _equal, _killed_at

FILES = [
    "model.safetensors",
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
    "trainer_state.json",
    "config.json",
    MARK,
]
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) // 2],
    "emptied": lambda content: b"",
    "flipped": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
}


@dataclass
class Killed:
    """A run that was killed in its second epoch, and the weights of one that was not."""

    run: Run
    folder: Path
    weights: dict[str, torch.Tensor]

    def resumed(self, folder: Path, damage: Callable[[Path], Any]) -> tuple[dict[str, torch.Tensor], Any]:
        """Weights and facts of the run that goes on in a copy of the folder, of whose checkpoints some are damaged."""
        shutil.copytree(self.folder, folder)
        damage(folder / "checkpoints")
        self.run.scratch = folder
        return self.run()


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    folder = tmp_path_factory.mktemp("killed")
    run = Run(write_model(folder / "model", "bert"), write_task(folder / "data"), folder / "whole")
    weights, facts = run()
    steps = facts["training_steps"] // 2
    run.scratch = folder / "scratch"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "SAVE_SECONDS", 0.0)  # a checkpoint after each step
        with pytest.raises(RuntimeError, match="killed"):
            run(_killed_at(steps + 3))
    names = [one.name for one in whole_checkpoints(run.scratch / "checkpoints")]
    assert names == [f"checkpoint-{steps + 2}", f"checkpoint-{steps}"]  # the newest, and the best
    return Killed(run, run.scratch, weights)


@pytest.mark.parametrize(
    ("damage", "name"),
    [*(("cut", name) for name in FILES), ("emptied", "rng_state.pth"), ("flipped", "model.safetensors")],
)
def test_one_that_was_damaged_is_dropped_for_the_one_before(
    damage: str, name: str, killed: Killed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = int(whole_checkpoints(killed.folder / "checkpoints")[1].name.rsplit("-")[1])

    def damaged(checkpoints: Path) -> None:
        file = whole_checkpoints(checkpoints)[0] / name
        file.write_bytes(DAMAGES[damage](file.read_bytes()))

    with caplog.at_level(logging.INFO, "compress"):
        weights, facts = killed.resumed(tmp_path / "copy", damaged)
    assert facts["resumed_from_step"] == before
    assert caplog.text.count("training does not continue from it") == 1
    assert _equal(weights, killed.weights)


def test_without_damage_it_goes_on_from_the_newest_also_where_the_folder_was_moved(
    killed: Killed, tmp_path: Path
) -> None:
    weights, facts = killed.resumed(tmp_path / "moved", lambda _: None)
    assert facts["resumed_from_step"] == int(whole_checkpoints(killed.folder / "checkpoints")[0].name.rsplit("-")[1])
    assert _equal(weights, killed.weights)


@pytest.mark.parametrize("which", [[0, 1], [1]], ids=["all", "the best one"])
def test_where_none_is_left_or_the_best_one_is_lost_training_starts_again(
    which: list[int], killed: Killed, tmp_path: Path
) -> None:
    def damaged(checkpoints: Path) -> None:
        for checkpoint in [whole_checkpoints(checkpoints)[place] for place in which]:
            (checkpoint / "model.safetensors").write_bytes(b"half")

    weights, facts = killed.resumed(tmp_path / "copy", damaged)
    assert facts["resumed_from_step"] is None
    assert _equal(weights, killed.weights)


def test_one_that_was_not_finished_is_removed(killed: Killed, tmp_path: Path) -> None:
    shutil.copytree(killed.folder, tmp_path / "copy")
    checkpoints = tmp_path / "copy" / "checkpoints"
    newest, before = whole_checkpoints(checkpoints)
    (newest / MARK).unlink()
    assert last_checkpoint(checkpoints) == before
    assert list(checkpoints.glob("checkpoint-*")) == [before]


@pytest.mark.parametrize("size", [100_000, 700_000], ids=["the weights", "the optimizer's state"])
def test_a_full_disk_is_one_line_and_the_same_run_goes_on_when_there_is_room(
    size: int, killed: Killed, tmp_path: Path
) -> None:
    run = killed.run
    run.scratch = tmp_path / "scratch"
    weights = killed.folder / "checkpoints"
    sizes = {file.name: file.stat().st_size for file in whole_checkpoints(weights)[0].iterdir()}
    assert 100_000 < sizes["model.safetensors"] < 700_000 < sizes["optimizer.pt"]
    with files_no_larger_than(size), pytest.raises(CompressError, match=r"cannot be written \(.*Free some space"):
        run()
    found, _ = run()
    assert _equal(found, killed.weights)
