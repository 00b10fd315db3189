"""Runs this folder's tests at length, and writes what was tried and what came of it into `docs/reliability.md`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
LENGTH = {"COMPRESS_KILLS": "200", "COMPRESS_FAULTS": "6", "COMPRESS_INPUTS": "850"}
"""Kills, sizes of a full disk for each command, inputs for each kind of file."""
BEGIN, END = "<!-- results: written by make reliability -->", "<!-- end of results -->"


def main() -> int:
    """Run the tests; returns pytest's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        results, seed = Path(folder) / "results.jsonl", os.environ.get("COMPRESS_RELIABILITY_SEED", "1")
        environment = {**LENGTH, **os.environ, "COMPRESS_RELIABILITY_RESULTS": str(results)}
        environment["COMPRESS_RELIABILITY_SEED"] = seed
        command = ["-m", "pytest", "tests/reliability", "--numprocesses", "2", "--dist", "worksteal", *sys.argv[1:]]
        began = time.monotonic()
        code = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=False).returncode
        lines = results.read_text(encoding="utf-8").splitlines() if results.is_file() else []
    found = [json.loads(line) for line in lines]
    minutes = (time.monotonic() - began) / 60
    verdict = "all promises held" if code == 0 else f"pytest ended with {code}: some promises did not hold"
    head = f"{datetime.now(UTC):%d %B %Y}, seed {seed}, {minutes:.0f} minutes on {os.cpu_count()} cores: {verdict}."
    text = PAGE.read_text(encoding="utf-8")
    whole = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    section = "\n".join([BEGIN, "", head, "", *table(found), "", END])
    PAGE.write_text(whole.sub(lambda _: section, text), encoding="utf-8")
    print(section)
    return code


def table(found: Sequence[dict[str, Any]]) -> list[str]:
    """Markdown rows: what was tried, how often, and what came of it."""
    rows = ["| tried | how often | what came of it |", "|---|--:|---|"]
    kills = [one for one in found if one["what"] == "kill"]
    signals = Counter(one["signal"] for one in kills)
    opened = sum(one["artifacts"] for one in kills)
    chains = sum(1 for one in found if one["what"] == "chain")
    named = ", ".join(f"SIG{name} {count}" for name, count in sorted(signals.items()))
    rows.append(
        f"| a run killed at a random moment ({named}) | {len(kills)} | {opened} artifacts opened afterwards, each with its "
        f"files as recorded; {chains} runs went on to their ends with the weights of an undisturbed run, bit for bit; no "
        "process and no file was left |"
    )
    disks = [one for one in found if one["what"] == "full disk"]
    failed = sum(one["code"] != 0 for one in disks)
    commands = len({one["command"] for one in disks})
    rows.append(
        f"| a full disk, {commands} commands | {len(disks)} | {failed} ended in one line, the others had room; none left an "
        "artifact that opens and is not whole |"
    )
    denied = sum(1 for one in found if one["what"] == "read-only folder")
    rows.append(f"| a folder that cannot be written | {denied} | one line each |")
    pairs = sum(1 for one in found if one["what"] == "two runs")
    rows.append(f"| two trainings side by side in one folder | {pairs} | the weights of each alone |")
    inputs = [one for one in found if one["what"] == "input"]
    for kind in sorted({one["kind"] for one in inputs}):
        mine = [one for one in inputs if one["kind"] == kind]
        refused = sum(one["refused"] for one in mine)
        rows.append(
            f"| wrong input: {kind} | {len(mine)} | {refused} refused in one line, {len(mine) - refused} read |"
        )
    rows.append(f"| wrong inputs in all | {len(inputs)} | refused within two seconds each, nothing written elsewhere |")
    hostile = sum(1 for one in found if one["what"] == "hostile text")
    rows.append(f"| hostile text in names, labels, titles, texts | {hostile} | shown as text everywhere |")
    return rows


if __name__ == "__main__":
    sys.exit(main())
