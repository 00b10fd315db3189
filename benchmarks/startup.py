"""How long `compress --help` takes beside a bare interpreter: interleaved runs, medians, written to results/startup.json.

python benchmarks/startup.py
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 25
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "compress --help": [sys.executable, "-m", "compress", "--help"],
    "compress distill --help": [sys.executable, "-m", "compress", "distill", "--help"],
    "compress list": [sys.executable, "-m", "compress", "list"],
}


def main() -> None:
    """Time each command in turn, round after round."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS + 1):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - started)
    found = {
        name: {
            "median_seconds": round(statistics.median(values[1:]), 4),
            "raw_seconds": [round(v, 4) for v in values[1:]],
        }
        for name, values in seconds.items()
    }
    out = Path(__file__).parent / "results" / "startup.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps({"python": platform.python_version(), "runs": RUNS, "commands": found}, indent=1) + "\n")
    for name, one in found.items():
        print(f"{name:<26}{one['median_seconds']:.3f} s")


if __name__ == "__main__":
    main()
