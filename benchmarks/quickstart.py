"""How long the quickstart takes from nothing, step by step: run in an empty folder, written to results/quickstart.json.

python benchmarks/quickstart.py
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Run the pipeline once, with a cache of its own, and keep each step's seconds."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        environment = {**os.environ, "XDG_CACHE_HOME": str(Path(folder) / "cache")}
        command = [sys.executable, "-m", "compress", "run", "quickstart", "-o", "run"]
        subprocess.run(command, cwd=folder, env=environment, check=True)
        total = time.perf_counter() - started
        steps = {}
        for manifest in sorted(Path(folder, "run").glob("*/manifest.json")):
            steps[manifest.parent.name] = json.loads(manifest.read_text())["steps"][-1]["facts"]["seconds"]
        if len(sys.argv) > 1:
            for file in Path(folder, "run").glob("report.*"):
                shutil.copy(file, sys.argv[1])
    found = {"total_seconds": round(total, 1), "seconds_by_step": steps, "cores": os.cpu_count()}
    out = Path(__file__).parent / "results" / "quickstart.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
