"""A made-up run of generative models: their outputs are texts of which words were replaced, scored by the real metrics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.measurement import Measured, Measurement, Measurements
from compress.metrics.metric import find
from tests.report.made_up import DISTIL, EXPORT, int8

WORDS = (
    "anna",
    "bob",
    "tea",
    "coffee",
    "train",
    "late",
    "home",
    "work",
    "call",
    "buy",
    "milk",
    "bread",
    "film",
    "rain",
)
WORDS += (
    "park",
    "dog",
    "cat",
    "school",
    "test",
    "doctor",
    "phone",
    "lost",
    "found",
    "keys",
    "car",
    "bus",
    "ride",
    "cake",
)
ROWS = 120
ROUNDS = 10


@dataclass(frozen=True)
class Generator:
    """What one made-up variant is to be like."""

    name: str
    replaced: float
    """The share of the reference's words that it gets wrong."""
    speed: float
    """Times the fp32 ONNX export."""
    megabytes: float
    steps: Sequence[dict[str, Any]] = ()
    slips: float = 0.0
    """The share of words on which it errs where the root does not, or the other way round."""
    collapsed: bool = False
    """Whether it writes the same of every text."""
    surprise: float = 0.0
    """By how much its mean negative log-likelihood lies above the root's."""
    precision: str = "int8"


GENERATORS = (
    Generator("student", 0.47, 1.81, 76.0, steps=(DISTIL, EXPORT), surprise=0.2, precision="fp32"),
    Generator("int8", 0.4, 1.72, 42.6, steps=(int8("dynamic"),), slips=0.03, surprise=1e-5),
)
COLLAPSED = Generator("collapsed", 1.0, 2.9, 20.1, steps=(int8("static"),), collapsed=True, surprise=3.0)


def summarizers(
    variants: Sequence[Generator] = GENERATORS,
    *,
    metrics: Sequence[str] = ("rouge_l",),
    rows: int = ROWS,
    seed: int = 0,
) -> Measurements:
    """A run on a summarization task."""
    references, lead = references_of(rows, seed), texts_of(Generator("lead", 0.62, 1, 1), rows, seed)
    found = _run(variants, metrics, "summarization", rows, seed)
    scores = {name: find(name).score(lead, references) for name in metrics}
    return replace(found, baselines={"lead-3": scores})


def decoders(variants: Sequence[Generator] = GENERATORS, *, rows: int = ROWS, seed: int = 0) -> Measurements:
    """A run on a language modelling task, judged by perplexity."""
    return _run(variants, ("perplexity",), "language_modelling", rows, seed)


def write_outputs(folder: Path, variants: Sequence[Generator] = GENERATORS, *, rows: int = 5, seed: int = 0) -> None:
    """The files of generated texts, as a benchmark leaves them beside its measurements."""
    (folder / "outputs").mkdir(parents=True, exist_ok=True)
    references = references_of(rows, seed)
    for one in (*bases(), *variants):
        lines = [
            json.dumps({"source": f"Anna: text {n}\nBob: <b>{n}</b>", "reference": reference, "output": output})
            for n, (reference, output) in enumerate(zip(references, texts_of(one, rows, seed), strict=True))
        ]
        (folder / "outputs" / f"{one.name}.jsonl").write_text("\n".join(lines) + "\n")


def bases() -> tuple[Generator, Generator]:
    return (
        Generator("fp32-torch", 0.4, 0.58, 120.4, precision="fp32"),
        Generator("fp32-onnx", 0.4, 1.0, 121.9, steps=(EXPORT,), precision="fp32"),
    )


def references_of(rows: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(8, 16))) for _ in range(rows)]


def texts_of(one: Generator, rows: int, seed: int) -> list[str]:
    """The references with words replaced: where the root errs, so does a variant."""
    random, luck = np.random.default_rng(seed + 1), np.random.default_rng(seed + 7)
    texts = []
    for reference in references_of(rows, seed):
        words = reference.split()
        hard, others = random.random(len(words)), random.choice(WORDS, len(words))
        hard = np.where(luck.random(len(words)) < one.slips, luck.random(len(words)), hard)
        kept = zip(words, others, hard, strict=True)
        texts.append(" ".join(other if chance < one.replaced else word for word, other, chance in kept))
    return ["anna will call bob"] * rows if one.collapsed else texts


def _run(variants: Sequence[Generator], metrics: Sequence[str], kind: str, rows: int, seed: int) -> Measurements:
    random = np.random.default_rng(seed + 2)
    everyone = (*bases(), *variants)
    prints = {one.name: f"{n:02d}{'abcdef0123456789'[n:]}"[:16] for n, one in enumerate(everyone)}
    measurements, artifacts = [], []
    likelihoods = random.gamma(9, 0.25, rows)
    for one in everyone:
        mine = prints[one.name]
        if kind == "language_modelling":
            measurements += _perplexity(one, mine, likelihoods, random)
        else:
            measurements += _texts(one, mine, metrics, rows, seed)
        measurements += _speed(one, mine, random)
        artifacts.append(_measured(one, prints))
    return Measurements(
        suite={"name": "generation", "threads": 2, "rounds": ROUNDS, "options": ["ours"]},
        machine={"cpu": "AMD EPYC", "cores": 2},
        task={"name": "chats", "kind": kind, "metrics": list(metrics)},
        split={"split": "evaluation", "rows": rows},
        artifacts=tuple(artifacts),
        measurements=tuple(measurements),
        created="2026-11-23T11:10:00+00:00",
    )


def _measured(one: Generator, prints: dict[str, str]) -> Measured:
    role = {"fp32-torch": "root", "fp32-onnx": "baseline"}.get(one.name, "variant")
    manifest = {
        "origin": {"name": "../models/tiny-summarizer", "weights": "ab" * 32},
        "precision": one.precision,
        "steps": list(one.steps),
        "ancestors": [{"fingerprint": prints["fp32-torch"], "folder": "root"}] * len(one.steps),
    }
    return Measured(one.name, prints[one.name], f"runs/{one.name}", manifest, role)


def _where(one: Generator) -> dict[str, Any]:
    return {"runtime": "pytorch" if one.name == "fp32-torch" else "onnx_runtime", "threads": 2, "options": "ours"}


def _score(mine: str, name: str, statistics: Any, condition: dict[str, Any]) -> Measurement:
    metric = find(name)
    value, each = metric.score_of(statistics), metric.per_example(statistics)
    spread = 0.05 * value
    return Measurement(
        mine,
        name,
        value,
        "perplexity" if metric.unit == "perplexity" else "share",
        metric.higher_is_better,
        condition,
        len(statistics),
        interval=(value - spread, value + spread),
        per_example=tuple(float(score) for score in each) if each is not None else (),
        statistics=tuple(tuple(float(cell) for cell in row) for row in statistics),
        notes=(f"signature {metric.signature()}",),
    )


def _texts(one: Generator, mine: str, metrics: Sequence[str], rows: int, seed: int) -> list[Measurement]:
    outputs, references = texts_of(one, rows, seed), references_of(rows, seed)
    condition = {**_where(one), "split": "evaluation", "beams": 1, "max_new_tokens": 64}
    of_root = texts_of(bases()[0], rows, seed)
    same = float(np.mean([a == b for a, b in zip(outputs, of_root, strict=True)]))
    found = [_score(mine, name, find(name).statistics(outputs, references), condition) for name in metrics]
    found += [
        Measurement(mine, "distinct_outputs", len(set(outputs)) / rows, "share", True, condition, rows),
        Measurement(mine, "output_tokens", 14.2, "count", False, condition, rows),
    ]
    if one.name != "fp32-torch":
        found.append(Measurement(mine, "agreement_with_root", same, "share", True, condition, rows))
        found.append(
            Measurement(
                mine, "token_accuracy", 1 - one.replaced / 4, "share", True, {**condition, "against": "root"}, rows
            )
        )
    return found


def _perplexity(one: Generator, mine: str, likelihoods: Any, random: Any) -> list[Measurement]:
    tokens = np.full(len(likelihoods), 64.0)
    noise = random.normal(0, 0.01, len(likelihoods)) if one.surprise else 0.0
    statistics = np.stack([(likelihoods + one.surprise + noise) * tokens, tokens], axis=1)
    condition = {**_where(one), "split": "evaluation", "context": 128, "stride": 64}
    return [_score(mine, "perplexity", statistics, condition)]


def _speed(one: Generator, mine: str, random: Any) -> list[Measurement]:
    found = []
    interval = None if one.name == "fp32-onnx" else (one.speed * 0.97, one.speed * 1.03)
    for batch, length, new_tokens, whole in ((8, "real", None, 2.4), (1, 32, 16, 0.11), (8, 128, 16, 0.9)):
        under = {"batch": batch, "length": length, **_where(one)}
        if new_tokens:
            under["new_tokens"] = new_tokens
        raw = tuple(float(second) for second in whole / one.speed * random.lognormal(0, 0.03, ROUNDS * 2))
        found += [
            Measurement(mine, "latency_seconds", float(np.median(raw)), "seconds", False, under, len(raw), raw=raw),
            Measurement(mine, "speedup", one.speed, "ratio", True, under, ROUNDS, interval=interval),
            Measurement(mine, "throughput", batch / float(np.mean(raw)), "examples/second", True, under, len(raw)),
        ]
        if not new_tokens:
            totals = tuple(sum(raw[start : start + 2]) for start in range(0, len(raw), 2))
            total = float(np.median(totals))
            found.append(Measurement(mine, "total_seconds", total, "seconds", False, under, ROUNDS, raw=totals))
            found.append(Measurement(mine, "output_tokens", 11.0, "count", False, under, 16))
            continue
        first, each = 0.3 * whole / one.speed, 0.7 * whole / one.speed / (new_tokens - 1)
        rate = batch * new_tokens * one.speed / whole
        found += [
            Measurement(mine, "time_to_first_token_seconds", first, "seconds", False, under, ROUNDS),
            Measurement(mine, "time_per_output_token_seconds", each, "seconds", False, under, ROUNDS),
            Measurement(mine, "output_tokens_per_second", rate, "tokens/second", True, under, ROUNDS),
        ]
    empty, size = 60e6, one.megabytes * 1e6
    found += [
        Measurement(mine, "disk_bytes", size, "bytes", False),
        Measurement(mine, "compressed_bytes", size * 0.9, "bytes", False),
        Measurement(mine, "parameters", 30.1e6, "count", False),
        Measurement(mine, "empty_process_bytes", empty, "bytes", False),
        Measurement(mine, "peak_memory_bytes", empty + 1.4 * size, "bytes", False, {**_where(one), "phase": "loaded"}),
        Measurement(mine, "memory_growth_bytes_per_token", 12_288.0, "bytes/token", False, _where(one), 3),
    ]
    for count in (16, 32, 64):
        told = {**_where(one), "phase": f"8x128+{count}", "new_tokens": count}
        peak = empty + 2 * size + 8 * count * 12_288
        found.append(Measurement(mine, "peak_memory_bytes", peak, "bytes", False, told, 1))
    return found
