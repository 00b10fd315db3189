"""Describes the machine of a measurement: processor and its features, memory, versions; imports nothing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from compress.core.cores import available_cores, cpu_quota

FEATURES = {
    "AVX2": "avx2",
    "AVX-512": "avx512f",
    "VNNI": "avx512_vnni",
    "AVX-VNNI": "avx_vnni",
    "BF16": "avx512_bf16",
    "AMX int8": "amx_int8",
    "AMX bf16": "amx_bf16",
    "NEON": "asimd",
    "NEON dot product": "asimddp",
    "NEON i8mm": "i8mm",
    "NEON bf16": "bf16",
}
"""What decides how fast int8 and bf16 are, by the flag that `/proc/cpuinfo` calls it."""

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "nncf",
    "numpy",
    "scipy",
    "datasets",
    "accelerate",
)


def machine(*, gpu: bool = False) -> dict[str, Any]:
    """The machine as plain values; unknown facts are left out.

    Args:
        gpu: whether to ask `nvidia-smi` for GPUs.
    """
    flags = cpu_flags()
    facts: dict[str, Any] = {
        "cpu": cpu_model(),
        "cores": available_cores(),
        "logical_cpus": os.cpu_count(),
        "cpu_quota": cpu_quota(),
        "features": [name for name, flag in FEATURES.items() if flag in flags],
        "memory_bytes": memory_bytes(),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "governor": _text(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        "hypervisor": "hypervisor" in flags or None,
        "packages": packages(),
        "gpus": gpus() if gpu else None,
    }
    return {name: value for name, value in facts.items() if value not in (None, "")}


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        if line.lower().startswith(("model name", "hardware")):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def cpu_flags() -> frozenset[str]:
    """The processor's feature flags; empty where the system has no `/proc/cpuinfo`."""
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        if line.lower().startswith(("flags", "features")):
            return frozenset(line.split(":", 1)[1].split())
    return frozenset()


def memory_bytes() -> int | None:
    """The machine's memory."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def packages() -> dict[str, str]:
    """The installed versions of the packages that affect results."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def gpus() -> list[dict[str, str]]:
    """The NVIDIA GPUs by name, memory and driver, as `nvidia-smi` lists them; empty without one."""
    if shutil.which("nvidia-smi") is None:
        return []
    fields = ("name", "memory.total", "driver_version")
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [
        dict(zip(("name", "memory", "driver"), (part.strip() for part in line.split(",")), strict=False))
        for line in answer.splitlines()
        if line.strip()
    ]


def providers() -> list[str]:
    """The providers of the installed ONNX Runtime; imports it, so it is asked for by `doctor` and benchmarks only."""
    try:
        import onnxruntime
    except ImportError:
        return []
    return list(onnxruntime.get_available_providers())


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def versions() -> dict[str, str]:
    """The versions of the packages that affect results, without importing them."""
    found = {}
    of_runtimes = ("onnxruntime", "onnxruntime-gpu", "openvino", "nncf")
    for package in ("torch", "transformers", "onnx", *of_runtimes, "numpy", "datasets"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
