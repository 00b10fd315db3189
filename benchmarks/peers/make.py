"""Has every peer make its ONNX file from one teacher: environments first, then models, each once and resumably.

    python benchmarks/peers/make.py TEACHER --data SST-2 [--only NAME ...] [--again]

Writes `benchmarks/.peers/models/<name>/model.onnx` and `made.json` (versions, command, seconds, bytes, sha256). A peer
that fails leaves a `made.json` with its error and no model; the run goes on and ends with exit code 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import environments
import feeds
from contestants import BASELINE, CONTESTANTS, Contestant

MODELS = environments.FOLDER.parent / "models"
# Nothing is fetched from a hub and nothing is reported to anyone while a peer runs.
QUIET = {"HF_HUB_OFFLINE": "1", "OLIVE_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
LIMIT_SECONDS = 900


def main() -> int:
    """Makes what is missing and says what was made; 1 when a peer failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path, help="folder of the fine-tuned classifier")
    parser.add_argument("--data", type=Path, required=True, help="folder with SST-2's train.tsv and dev.tsv")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this contestant (repeatable)")
    parser.add_argument("--again", action="store_true", help="make the models again, in the environments there are")
    options = parser.parse_args()
    names = [each.name for each in CONTESTANTS]
    if unknown := sorted(set(options.only) - set(names)):
        parser.error(f"unknown contestant {', '.join(unknown)}; there are: {', '.join(names)}")

    teacher = options.teacher.resolve()
    weights = sha256(teacher / "model.safetensors")
    calibration = MODELS.parent / "calibration.json"
    feeds.save_calibration(teacher, options.data.resolve(), calibration)

    failed = []
    for contestant in CONTESTANTS:
        if options.only and contestant.name not in options.only:
            continue
        made = make(contestant, teacher, weights, calibration, again=options.again)
        if "error" in made:
            failed.append(contestant.name)
            print(f"FAILED {contestant.name}: {made['error'].splitlines()[-1]}", flush=True)
        else:
            print(f"{contestant.name}: {made['bytes'] / 1e6:.1f} MB, {made['seconds']:.0f} s to make", flush=True)
    return 1 if failed else 0


def make(contestant: Contestant, teacher: Path, weights: str, calibration: Path, *, again: bool) -> dict[str, Any]:
    """What stands in the contestant's `made.json`, after making the model where it is missing or from other input."""
    folder = MODELS / contestant.name
    record = folder / "made.json"
    made: dict[str, Any] = {
        "name": contestant.name,
        "summary": contestant.summary,
        "command": " ".join(contestant.command),
        "recipe_sha256": recipe_hash(contestant),
        "teacher_sha256": weights,
        "calibration_sha256": sha256(calibration) if "{calibration}" in contestant.command else None,
    }
    if record.exists() and not again:
        earlier: dict[str, Any] = json.loads(record.read_text())
        if "error" not in earlier and made.items() <= earlier.items():
            return earlier

    shutil.rmtree(folder, ignore_errors=True)
    out, scratch = folder / "out", folder / "scratch"
    out.mkdir(parents=True)
    scratch.mkdir()
    print(f"{contestant.name}: making ({contestant.summary})", flush=True)
    try:
        if contestant.needs and not (MODELS / contestant.needs / "model.onnx").exists():
            raise RuntimeError(f"it starts from {contestant.needs}, which is not there")
        programs = environments.ready(contestant.environment)
        made["versions"] = environments.versions(contestant.environment)
        began = time.perf_counter()
        _run(_filled(contestant, programs, teacher, out, scratch, calibration), scratch)
        made["seconds"] = round(time.perf_counter() - began, 1)
        written = out / contestant.writes
        if Path(f"{written}.data").exists():
            raise RuntimeError("the weights were written beside the graph, which the comparison does not read")
        written.rename(folder / "model.onnx")
        made["bytes"] = (folder / "model.onnx").stat().st_size
        made["sha256"] = sha256(folder / "model.onnx")
    except (OSError, RuntimeError, subprocess.SubprocessError) as failure:
        made["error"] = _without_paths(f"{type(failure).__name__}: {failure}", teacher)
    shutil.rmtree(scratch)
    shutil.rmtree(out)
    record.write_text(json.dumps(made, indent=2) + "\n")
    return made


def recipe_hash(contestant: Contestant) -> str:
    """Changes when the script or the configuration that makes the model changes."""
    recipes = environments.HERE / "recipes"
    named = [part.removeprefix("{recipes}/") for part in contestant.command if part.startswith("{recipes}/")]
    digest = hashlib.sha256()
    for name in [*named, *([contestant.config] if contestant.config else [])]:
        digest.update((recipes / name).read_bytes())
    return digest.hexdigest()


def sha256(path: Path) -> str:
    """The file's hash, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _filled(
    contestant: Contestant, programs: Path, teacher: Path, out: Path, scratch: Path, calibration: Path
) -> list[str]:
    """The command with its words in braces replaced, and its configuration file written."""
    shape = json.loads((teacher / "config.json").read_text())
    recipes = environments.HERE / "recipes"
    words = {
        "python": str(programs / "python"),
        "bin": str(programs),
        "teacher": str(teacher),
        "fp32": str(MODELS / BASELINE),
        "out": str(out),
        "scratch": str(scratch),
        "calibration": str(calibration),
        "recipes": str(recipes),
        "heads": str(shape["num_attention_heads"]),
        "width": str(shape["hidden_size"]),
        "config": str(scratch / "config.json"),
    }

    def fill(text: str) -> str:
        for word, value in words.items():
            text = text.replace("{" + word + "}", value)
        return text

    if contestant.config:
        template = (recipes / contestant.config).read_text()
        # Numbers stand in quotes in the template, which keeps it valid JSON.
        for number in ("heads", "width"):
            template = template.replace('"{' + number + '}"', words[number])
        (scratch / "config.json").write_text(fill(template))
    return [fill(part) for part in contestant.command]


def _run(command: list[str], scratch: Path) -> None:
    """Runs it away from this checkout, so that nothing here is imported by accident."""
    try:
        ended = subprocess.run(
            command,
            cwd=scratch,
            env={**os.environ, **QUIET},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as late:
        raise RuntimeError(f"did not end within {LIMIT_SECONDS} s") from late
    if ended.returncode != 0:
        raise RuntimeError(f"exit code {ended.returncode}\n" + "\n".join(ended.stdout.splitlines()[-15:]))


def _without_paths(text: str, teacher: Path) -> str:
    """The message without this machine's folders, since records are quoted in published results."""
    root = environments.HERE.parent.parent
    return text.replace(str(teacher), "TEACHER").replace(str(root) + "/", "").replace(str(Path.home()), "~")


if __name__ == "__main__":
    sys.exit(main())
