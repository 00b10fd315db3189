"""What a model gives for all rows lies at its rows' lines, and a stopped run ends with the bytes of one that was not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.training import kept_outputs
from compress.training.kept_outputs import PARTS, Table, write_outputs

LENGTHS = np.array([3, 1, 4, 2, 5])
STARTS = np.concatenate([[0], np.cumsum(LENGTHS)])
BATCHES = [[1, 2], [4, 0], [3]]
ROWS = [torch.arange(1.0, length + 1) + 10 * number for number, length in enumerate(LENGTHS)]


def asked(folder: Path, *, stops_at: int = 0, resumes: bool = True) -> int:
    """How many batches a model was asked for that gives each number and its double."""
    calls = 0

    def ask(batch: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
        nonlocal calls
        calls += 1
        if calls == stops_at:
            raise KeyboardInterrupt
        given = batch["numbers"].numpy()
        return {"single": given, "double": np.stack([given, 2 * given], axis=1)}

    folder.mkdir(exist_ok=True)
    tables = {name: Table(folder / f"{name}.npy", STARTS) for name in ("single", "double")}
    try:
        write_outputs(
            torch.nn.Identity(),
            BATCHES,
            lambda places: {"numbers": torch.cat([ROWS[place] for place in places])},
            ask,
            tables,
            name="model",
            bf16=False,
            resumes=folder if resumes else None,
        )
    except KeyboardInterrupt:
        return -1
    return calls


@pytest.mark.parametrize("resumes", [True, False])
def test_each_rows_lines_are_its_own_in_the_rows_order(resumes: bool, tmp_path: Path) -> None:
    assert asked(tmp_path / "made", resumes=resumes) == len(BATCHES)
    single, double = (np.load(tmp_path / "made" / f"{name}.npy") for name in ("single", "double"))
    assert single.dtype == np.float16
    assert single.tolist() == torch.cat(ROWS).tolist()
    assert np.array_equal(double, np.stack([single, 2 * single], axis=1))
    assert not (tmp_path / "made" / PARTS).exists()


@pytest.mark.parametrize(("damage", "left"), [("", 1), ("cut", 2), ("zeros", 2), ("parts", 3), ("another", 3)])
def test_a_stopped_run_goes_on_behind_its_last_whole_part_and_ends_with_the_same_bytes(
    damage: str, left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(tmp_path / "whole") == 3
    monkeypatch.setattr(kept_outputs, "WRITE_SECONDS", 0.0)
    assert asked(tmp_path / "parts", stops_at=3) == -1
    file = tmp_path / "parts" / (PARTS if damage == "parts" else "single.npy")
    content = file.read_bytes()
    if damage == "another":
        np.save(file, np.zeros(3, np.float16))
    elif damage:
        place = content.rfind(np.float16(1).tobytes())  # row 0 is of the second batch, as the last row is
        zeros = content[:place] + bytes(2) + content[place + 2 :]
        file.write_bytes({"cut": content[:-9], "zeros": zeros, "parts": b"["}[damage])
    assert asked(tmp_path / "parts") == left
    for name in ("single.npy", "double.npy"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
