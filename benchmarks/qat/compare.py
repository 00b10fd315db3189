"""Quantization-aware training beside the best static quantization after training, of the same operators.

    python benchmarks/qat/compare.py --data SST-2 --model teacher=TEACHER --model student=STUDENT

The protocol:

- Four sets of operators: `linear`, every linear layer with fixed ranges, the feed-forward's second among them; `products`,
  attention's two products as well; `smoothed` and `smoothed-products`, the same with one multiplication before each linear
  layer's input (SmoothQuant). Embedding tables are int8 in all of them.
- After training: candidates of each set, three ways to take ranges (and, where it is smoothed, alpha 0.7 and 0.85), calibrated
  on 256 training rows. The one that names another class than the fp32 graph on the fewest of the 5 % of rows held out of
  train is `static`; of equals the first.
- `qat` starts from that candidate and is trained by `compress qat` with its default settings for one epoch over `--rows`
  training rows. The defaults were chosen before, on the same held-out rows, in trials over 3,000 to 6,000 training rows.
- `static` and `qat` then read dev (872 sentences) and test-labeled (1,821) once. A sentence counts where the class is another
  than the fp32 graph's; McNemar's exact test compares the two on the same sentences.

Artifacts are kept and reused, so the same command goes on where it stopped. Writes `qat.json` and `qat.md` (`--name`) into
`--out`. Speeds are not measured here: `compress benchmark` takes the artifacts that are left in `--work`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import Artifact, write_whole
from compress.core.catalogue import find
from compress.core.cores import available_cores
from compress.core.machine import machine
from compress.core.setting_names import shown_as
from compress.data import loading
from compress.data.model_rows import batches, model_inputs
from compress.metrics.paired_proportions import mcnemar
from compress.metrics.statistics import compare
from compress.models.load import resolve_model, tokenizer
from compress.onnx import exported as exporting
from compress.runtimes.sessions import logits, open_session
from compress.techniques.apply import apply

ROOT = Path(__file__).resolve().parent.parent.parent
RANGES = ("percentile", "mse", "minmax")
OPERATORS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "linear": ({"smoothquant_alpha": 0.0},),
    "products": ({"smoothquant_alpha": 0.0, "attention_matmuls": "both"},),
    "smoothed": ({"smoothquant_alpha": 0.7}, {"smoothquant_alpha": 0.85}),
    "smoothed-products": (
        {"smoothquant_alpha": 0.7, "attention_matmuls": "both"},
        {"smoothquant_alpha": 0.85, "attention_matmuls": "both"},
    ),
}
SPLITS = ("dev", "test-labeled")


@dataclass(frozen=True)
class Answers:
    """What a graph says of a split's rows."""

    classes: np.ndarray  # [rows]
    labels: np.ndarray


@dataclass(frozen=True)
class Place:
    """Where a run finds what it needs."""

    data: Path
    work: Path
    rows: int

    def task(self, rows: int, evaluation: str = "dev") -> dict[str, Any]:
        """SST-2 with so many training rows."""
        files = {"train": str(self.data / "train.tsv"), "evaluation": str(self.data / f"{evaluation}.tsv")}
        return {"name": "sst2", "data": files, "limit": {"train": rows}}


def main() -> None:
    """Quantizes, tunes, trains, reads, and writes both files."""
    options = parsed()
    place = Place(options.data.resolve(), options.work.resolve(), options.rows)
    results: dict[str, Any] = {
        "command": command_as_typed(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "rows": options.rows,
        "models": {},
    }
    for name, where in (one.split("=", 1) for one in options.model):
        source = resolve_model(where)
        graph = exporting.exported(source, place.task(options.rows), place.work / "cache").graph
        found: dict[str, Any] = {}
        for operators in options.operators or list(OPERATORS):
            static, trials = best_static(source, graph, operators, name, place)
            qat = trained(source, static, f"{name}-{operators}-qat", place)
            found[operators] = {
                "candidates": trials,
                "start": static.steps[-1].settings,
                **judged(source, graph, static, qat, place),
            }
            results["models"][name] = found
            write(results, options.out, options.name)
    print(write(results, options.out, options.name))


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", action="append", required=True, metavar="NAME=FOLDER", help="an SST-2 classifier (repeatable)"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with train.tsv, dev.tsv, test-labeled.tsv")
    parser.add_argument("--operators", action="append", choices=list(OPERATORS), help="only these (repeatable)")
    parser.add_argument("--rows", type=int, default=22449, help="training rows (%(default)s, a third)")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "qat", help="folder for artifacts")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder for qat.json and qat.md"
    )
    parser.add_argument("--name", default="qat", help="of the two files (%(default)s)")
    return parser.parse_args()


def command_as_typed() -> str:
    """This command, with folders given absolutely written as seen from the checkout."""
    words = [re.sub(r"(?<![^=])/.*", lambda found: os.path.relpath(found[0], ROOT), word) for word in sys.argv[1:]]
    return " ".join(["python", "benchmarks/qat/compare.py", *words])


def best_static(
    source: Artifact, graph: Path, operators: str, name: str, place: Place
) -> tuple[Artifact, dict[str, int]]:
    """The candidate that is most like fp32 on held-out rows, and on how many rows each is unlike it."""
    quantize = find("techniques", "quantize")
    made, unlike = {}, {}
    for more, ranges in product(OPERATORS[operators], RANGES):
        settings = quantize.settings(mode="static", outlier_layers="static", calibration_method=ranges, **more)
        key = f"{ranges}-{more['smooth']:g}"
        made[key] = apply(
            quantize,
            source,
            settings,
            place.work / f"{name}-{operators}-{key}",
            task=place.task(place.rows),
            cache=place.work / "cache",
            replace=True,
        )
        unlike[key] = differing(made[key], graph, source, place)
        print(f"{name}, {operators}, {key}: unlike fp32 on {unlike[key]} held-out rows", flush=True)
    return made[min(unlike, key=lambda key: unlike[key])], unlike


def trained(source: Artifact, static: Artifact, name: str, place: Place) -> Artifact:
    """The result of `compress qat`, begun from a candidate's settings."""
    qat, start = find("techniques", "qat"), shown_as("quantize", static.steps[-1].settings)
    settings = qat.settings(
        max_length=64, **{key: start[key] for key in ("calibration_method", "smoothquant_alpha", "attention_matmuls")}
    )
    return apply(
        qat, source, settings, place.work / name, task=place.task(place.rows), cache=place.work / "cache", replace=True
    )


def judged(source: Artifact, graph: Path, static: Artifact, qat: Artifact, place: Place) -> dict[str, Any]:
    """Both read dev and test-labeled, once."""
    found: dict[str, Any] = {"splits": {}}
    unlike: dict[str, list[np.ndarray]] = {"static": [], "qat": []}
    for split in SPLITS:
        whole = answers(graph, source, place.task(place.rows, split), "evaluation")
        told = {"rows": len(whole.labels), "fp32_right": int((whole.classes == whole.labels).sum())}
        for name, artifact in (("static", static), ("qat", qat)):
            its = answers(artifact.folder / "model.onnx", source, place.task(place.rows, split), "evaluation")
            unlike[name].append(its.classes != whole.classes)
            told |= {
                f"{name}_right": int((its.classes == its.labels).sum()),
                f"{name}_unlike": int(unlike[name][-1].sum()),
            }
        found["splits"][split] = told
    first, second = (np.concatenate(unlike[name]) for name in ("static", "qat"))
    only_static, only_qat = int((first & ~second).sum()), int((second & ~first).sum())
    agrees = compare((~first).astype(float).tolist(), (~second).astype(float).tolist())
    return {
        **found,
        "unlike": {"static": int(first.sum()), "qat": int(second.sum()), "rows": len(first)},
        "only_static_unlike": only_static,
        "only_qat_unlike": only_qat,
        "p": mcnemar(only_static, only_qat),
        "agreement": asdict(agrees),
        "qat_step": {key: value for key, value in qat.steps[-1].facts.items() if key not in ("curves",)},
    }


def differing(artifact: Artifact, graph: Path, source: Artifact, place: Place) -> int:
    """On how many held-out rows an artifact names another class than the fp32 graph."""
    task = place.task(place.rows)
    ours, whole = (answers(one, source, task, "holdout") for one in (artifact.folder / "model.onnx", graph))
    return int((ours.classes != whole.classes).sum())


def answers(graph: Path, source: Artifact, task: Mapping[str, Any], split: str) -> Answers:
    """A graph's classes for a split, in batches of like length."""
    described, data = loading.resolve(dict(task))
    its_tokenizer = tokenizer(source.folder)
    rows = loading.tokenize(loading.load(described, data, split).rows, its_tokenizer, 128).rows
    encoded = [{**model_inputs(row, its_tokenizer), "label": np.asarray(row["label"])} for row in rows]
    together = list(batches(encoded, 32, its_tokenizer.pad_token_id or 0))
    labels = np.concatenate([batch.pop("label") for batch in together])
    session = open_session(graph, threads=available_cores())
    return Answers(np.concatenate([logits(session, batch) for batch in together]).argmax(axis=1), labels)


def write(results: Mapping[str, Any], out: Path, name: str) -> str:
    """Writes what is finished so far; gives the page."""
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / f"{name}.json", json.dumps(results, indent=1, default=float) + "\n")
    page = "\n".join(lines(results)) + "\n"
    write_whole(out / f"{name}.md", page)
    return page


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page, line by line."""
    yield "# Quantization-aware training beside static quantization after training"
    yield ""
    yield f"Written by `{results['command']}`; the protocol is in that file's docstring."
    yield ""
    yield "| model, operators | dev: fp32 right | static | qat | unlike fp32: static | qat | only static | only qat | p |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    for name, found in results["models"].items():
        for operators, told in found.items():
            dev, both = told["splits"]["dev"], told["unlike"]
            yield (
                f"| {name}, {operators} | {dev['fp32_right']} of {dev['rows']} | {dev['static_right']} | {dev['qat_right']} | "
                f"{both['static']} of {both['rows']} | {both['qat']} | {told['only_static_unlike']} | "
                f"{told['only_qat_unlike']} | {told['p']:.2g} |"
            )
    yield ""
    for name, found in results["models"].items():
        for operators, told in found.items():
            trials = ", ".join(f"{key} {count}" for key, count in told["candidates"].items())
            yield ""
            yield f"Static candidates of {name}, {operators} (ranges, smoothing; held-out rows unlike fp32): {trials}."


if __name__ == "__main__":
    main()
