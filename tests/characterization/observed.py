"""What the product does, as JSON: a training's losses and weights, metrics' scores, what pipelines measure and report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.characterization.cases import (
    CLASSES,
    LIKELIHOODS,
    NUMBERS,
    PAIRS_OF_CLASSES,
    PIPELINES,
    SUITE,
    TEXTS,
    TOKENS,
    Case,
)
from tests.characterization.product import losses_of_steps, metric_names, run, score

OLD = Path(__file__).parents[1] / "fixtures" / "old_artifacts"
SAMPLES = 300
"""Weights that are kept of a training."""
WITHOUT_GRADIENT = ("key.bias", "k_proj.bias")
"""Attention's softmax cancels them out: their gradient is rounding alone, and Adam makes a whole step of it."""
OF_THE_MACHINE = (
    "seconds",
    "versions",
    "processes",
    "autocast",
    "_gb",
    "memory",
    "per_second",
    "machine",
    "created",
    "plan",
)
"""What the names of values hold that are other ones each time."""
OF_THE_PLACE = ("folder", "source", "command", "ancestors", "manifest", "fingerprint", "data")
"""What the names of values hold that tell of folders, and of settings by their names."""
INPUTS = {
    **dict.fromkeys(("f1", "accuracy_f1", "matthews"), PAIRS_OF_CLASSES),
    **dict.fromkeys(("accuracy", "accuracy_mismatched", "f1_macro", "f1_weighted"), CLASSES),
    **dict.fromkeys(("pearson", "spearman", "pearson_spearman"), NUMBERS),
    **dict.fromkeys(("rouge1", "rouge2", "rouge_l", "rouge_lsum", "bleu", "chrf"), TEXTS),
    "perplexity": LIKELIHOODS,
    "token_accuracy": TOKENS,
}
"""What each metric is given."""


def training(case: Case, old: Path, out: Path) -> dict[str, Any]:
    """Losses of all steps, sampled weights of the result, and what its manifest tells of the step."""
    places = [str(old / one) if (old / one).is_dir() and "/" in one else one for one in case.command]
    technique, *options = places
    with losses_of_steps() as losses:
        run(technique, str(old / case.source), "-o", str(out), *options)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    return {"losses": losses, **weights(out), "facts": numbers(manifest["steps"][-1]["facts"])}


def weights(folder: Path) -> dict[str, Any]:
    """The count of an artifact's weights, and evenly spaced ones of them."""
    from safetensors.numpy import load_file

    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        found |= {name: one for name, one in load_file(file).items() if not name.endswith(WITHOUT_GRADIENT)}
    if not found:  # its weights are in its graphs
        return {"count": 0, "weights": []}
    flat = np.concatenate([found[name].astype(np.float64).ravel() for name in sorted(found)])
    places = np.linspace(0, len(flat) - 1, SAMPLES).astype(int)
    return {"count": len(flat), "weights": [round(float(value), 8) for value in flat[places]]}


def scores() -> dict[str, float]:
    """Every metric's score of fixed predictions."""
    return {name: score(name, *INPUTS[name]) for name in metric_names() if name in INPUTS}


def pipeline(kind: str, old: Path, out: Path) -> Path:
    """A tiny pipeline run in `out`; the folder of its measurements."""
    model = old / kind / ("finetuned" if kind == "encoder" else "imported")
    task = json.loads((model / "manifest.json").read_text(encoding="utf-8"))["task"]
    files = {split: str((model / file).resolve()) for split, file in task["data"].items()}
    said = {
        "model": str(model),
        "task": {**task, "data": files, "limit": {"train": 78}},
        "steps": PIPELINES[kind],
        "benchmark": SUITE,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    file = out.with_suffix(".yaml")
    file.write_text(json.dumps(said), encoding="utf-8")  # JSON is YAML
    run("run", str(file), "-o", str(out))
    return out / "measurements"


def measured(folder: Path) -> dict[str, Any]:
    """What is measured of each artifact by its name: all but times and memory, which are other ones at each run."""
    whole = json.loads((folder / "measurements.json").read_text(encoding="utf-8"))
    names = {one["fingerprint"]: one["name"] for one in whole["artifacts"]}
    found: dict[str, Any] = {name: {} for name in names.values()}
    for one in whole["measurements"]:
        if one["unit"] in ("seconds", "bytes", "bytes/token") or any(
            part in one["name"] for part in ("throughput", "speedup")
        ):
            continue
        where = " ".join(str(one["condition"].get(key, "")) for key in ("runtime", "split", "options"))
        kept = ("value", "unit", "interval", "samples", "per_example", "predictions", "statistics")
        found[names[one["artifact"]]][f"{one['name']} {where}".strip()] = {key: one[key] for key in kept}
    steps = {
        one["name"]: numbers(one["manifest"]["steps"][-1]["facts"])
        for one in whole["artifacts"]
        if one["manifest"]["steps"]
    }
    return {"quality": found, "steps": steps, "references": whole["references"], "baselines": whole["baselines"]}


def reported(measurements: Path, out: Path) -> dict[str, Any]:
    """The report of measurements that are at hand: its numbers, and its sentences."""
    run("report", str(measurements), "-o", str(out / "report.html"), "--title", "Recorded")
    whole = json.loads((out / "report.json").read_text(encoding="utf-8"))
    whole = {key: value for key, value in whole.items() if key not in ("created", "command")}
    for one in whole["runs"]:
        one.pop("source")
    return {"numbers": without_sentences(whole), "sentences": sentences(whole)}


def numbers(value: Any) -> Any:
    """A JSON value without what is of the machine and the moment, and without sentences."""
    if isinstance(value, dict):
        kept = {
            key: one for key, one in value.items() if not any(part in key for part in (*OF_THE_MACHINE, *OF_THE_PLACE))
        }
        return {key: numbers(one) for key, one in kept.items() if not _is_sentence(one)}
    return [numbers(one) for one in value if not _is_sentence(one)] if isinstance(value, list) else value


def without_sentences(value: Any) -> Any:
    """A JSON value without its sentences: other words are no other behaviour."""
    if isinstance(value, dict):
        return {key: without_sentences(one) for key, one in value.items() if not _is_sentence(one)}
    return [without_sentences(one) for one in value if not _is_sentence(one)] if isinstance(value, list) else value


def sentences(value: Any) -> list[str]:
    """All sentences in a JSON value, in order."""
    if isinstance(value, dict | list):
        return [one for part in (value.values() if isinstance(value, dict) else value) for one in sentences(part)]
    return [value] if _is_sentence(value) else []


def _is_sentence(value: Any) -> bool:
    return isinstance(value, str) and " " in value
