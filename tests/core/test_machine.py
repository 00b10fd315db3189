"""Tests of what is recorded of the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from compress.core import machine as described


def test_the_machine_is_plain_data_with_versions_and_without_stand_ins() -> None:
    found = described.machine()
    assert json.loads(json.dumps(found)) == found
    assert found["packages"]["onnxruntime"] == metadata.version("onnxruntime")
    assert found["cores"] >= 1
    assert None not in found.values()


def test_features_are_those_the_processor_says_it_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = "processor: 0\nmodel name\t: Test CPU\nflags\t\t: fpu avx2 avx512f avx512_vnni amx_int8\n"
    monkeypatch.setattr(described, "_text", lambda file: text if file.name == "cpuinfo" else "")
    found = described.machine()
    assert found["cpu"] == "Test CPU"
    assert found["features"] == ["AVX2", "AVX-512", "VNNI", "AMX int8"]
    assert "governor" not in found


def test_a_machine_without_nvidia_smi_has_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(described.shutil, "which", lambda name: None)
    assert described.gpus() == []


def test_what_nvidia_smi_says_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = subprocess.CompletedProcess([], 0, "NVIDIA H100, 81559 MiB, 580.1\n")
    monkeypatch.setattr(described.shutil, "which", lambda name: "/bin/nvidia-smi")
    monkeypatch.setattr(described.subprocess, "run", lambda *a, **k: answer)
    assert described.gpus() == [{"name": "NVIDIA H100", "memory": "81559 MiB", "driver": "580.1"}]


def test_describing_the_machine_imports_nothing_heavy() -> None:
    code = (
        "import sys; from compress.core.machine import machine; machine();"
        "assert not {'torch', 'transformers', 'onnxruntime', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
