"""Creates each peer's own virtual environment with exactly the versions its requirements file names, once."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / ".peers" / "environments"
TORCH = "torch==2.13.0"
SHOWN = ("torch", "transformers", "optimum", "optimum-onnx", "olive-ai", "nncf", "onnx", "onnxruntime", "numpy")


def ready(name: str, *, again: bool = False) -> Path:
    """The `bin` folder of that environment, created where it is missing or made from other requirements.

    torch is installed first and alone, so that no other package can bring another build of it. Everything installed
    is listed in `installed.txt`. Raises `subprocess.CalledProcessError` with pip's words when a package is missing.
    """
    requirements = HERE / "requirements" / f"{name}.txt"
    mark = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder = FOLDER / name
    done = folder / "ready.json"
    if done.exists() and json.loads(done.read_text()) == mark and not again:
        return folder / "bin"
    shutil.rmtree(folder, ignore_errors=True)
    print(f"environment {name}: installing {requirements.name}", flush=True)
    venv.create(folder, with_pip=True, symlinks=True)
    python = str(folder / "bin" / "python")
    for what in ([TORCH], ["-r", str(requirements)]):
        _run([python, "-m", "pip", "install", "--quiet", *what])
    (folder / "installed.txt").write_text(_run([python, "-m", "pip", "freeze"]))
    done.write_text(json.dumps(mark))
    return folder / "bin"


def versions(name: str) -> dict[str, str]:
    """Version by package of what decides this peer's result, and of Python."""
    lines = (FOLDER / name / "installed.txt").read_text().splitlines()
    installed = dict(line.split("==", 1) for line in lines if "==" in line)
    python = ".".join(str(part) for part in sys.version_info[:3])
    return {"python": python, **{package: installed[package] for package in SHOWN if package in installed}}


def _run(command: list[str]) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except subprocess.CalledProcessError as failure:
        print(failure.stderr, file=sys.stderr)
        raise
