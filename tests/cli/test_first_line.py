"""A command that takes long says what it does before it imports torch, which takes seconds."""

from __future__ import annotations

import subprocess
import sys

COMMANDS = {
    "finetune": "finetune: reading m and its data; the result goes to o.",
    "distill": "distill: reading m and its data; the result goes to o.",
    "prune": "prune: reading m and its data; the result goes to o.",
    "qat": "qat: reading m and its data; the result goes to o.",
    "quantize": "quantize: reading m and its data; the result goes to o.",
    "export": "export: reading m and its data; the result goes to o.",
    "benchmark": "benchmark: reading 1 models and their data; the measurements go to o.",
    "run": "run: reading the pipeline m.",
}

STOPPED_AT_THE_FIRST_LINE = """
import logging, sys
from compress.cli import compress

class Said(BaseException):
    pass

def stop(record):
    heavy = sorted({"torch", "transformers", "onnxruntime"} & sys.modules.keys())
    raise Said(f"{record.getMessage()} {heavy}")

logging.getLogger("compress").addFilter(stop)
for command in sys.argv[1:]:
    try:
        compress.main([command, "m", "-o", "o"], standalone_mode=False)
        print("nothing was said")
    except Said as said:
        print(said)
"""


def test_the_first_line_comes_before_torch_is_imported() -> None:
    asked = [sys.executable, "-c", STOPPED_AT_THE_FIRST_LINE, *COMMANDS]
    said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.splitlines()
    assert said == [f"{line} []" for line in COMMANDS.values()]


def test_the_first_line_is_on_stderr_ahead_of_all_others() -> None:
    asked = [sys.executable, "-m", "compress", "finetune", "no-such-model", "-o", "o"]
    ended = subprocess.run(asked, capture_output=True, text=True)
    first, *_, last = ended.stderr.splitlines()
    assert first == "finetune: reading no-such-model and its data; the result goes to o."
    assert "no-such-model" in last
    assert ended.returncode == 1
    assert ended.stdout == ""
