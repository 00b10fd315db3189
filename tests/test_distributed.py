"""A training command runs as it is on several processes, started as `accelerate launch` starts them.

`accelerate launch` starts GPU processes by torch's launcher, which is used here directly: on CPUs accelerate wants MPI.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from compress.artifact import Artifact


@pytest.mark.slow
def test_distil_runs_on_two_processes_that_share_the_rows(
    make_model: Callable[..., Path], task_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "student"
    launch = ["torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29631"]
    command = [
        "distill",
        make_model("bert"),
        "--task",
        task_file,
        "--layers",
        2,
        "--epochs",
        2,
        "--batch-size",
        16,
        "--max-length",
        64,
    ]
    done = subprocess.run(
        [sys.executable, "-m", *launch, "-m", "compress", *map(str, command), "-o", str(out)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    facts = Artifact.open(out).steps[-1].facts
    rows = facts["training_rows"]
    assert facts["training_steps"] == 2 * -(-rows // 32)  # sixteen rows on each of two processes
