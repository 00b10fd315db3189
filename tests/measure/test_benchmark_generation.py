"""Tests of a whole benchmark of generative models: texts and perplexity are those that transformers gives by itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.core.artifact import Artifact, Step
from compress.core.errors import CompressError
from compress.core.measurement import Measurement, Measurements
from compress.data import loading
from compress.measure import benchmark
from compress.measure import generation_inputs as generative
from compress.measure import run as together
from compress.measure.benchmark import Suite, read_suite
from compress.measure.interference import Reading
from compress.models.load import checkpoint_artifact
from tests.artifacts import tiny_torch
from tests.generative import strong_generator
from tests.tiny_generators import write_generator, write_generator_tokenizer, write_pairs, write_text
from tests.workers import WorkerHere, workers_here

__all__ = ["tiny_torch", "workers_here"]

SUITE = Suite.model_validate(
    {
        "name": "tiny",
        "threads": 1,
        "rounds": 2,
        "repeats": 0,
        "new_tokens": 5,
        "prompt_tokens": 6,
        "context": 32,
        "stride": 12,
        "conditions": ({"batch": 1, "length": "real", "calls": 3}, {"batch": 2, "length": 8, "calls": 2}),
    }
)


@dataclass
class Ran:
    """A finished benchmark and what it was made of."""

    found: Measurements
    folder: Path
    root: Artifact
    task: dict[str, Any]

    def one(self, name: str, artifact: str, **condition: Any) -> Measurement:
        """The only measurement of that name of an artifact under a condition."""
        fingerprint = next(one.fingerprint for one in self.found.artifacts if one.name == artifact)
        (found,) = (
            one
            for one in self.found.measurements
            if (one.name, one.artifact) == (name, fingerprint)
            and all(one.condition.get(key) == value for key, value in condition.items())
        )
        return found

    def rows(self) -> Any:
        """The evaluation split."""
        task, data = loading.resolve(self.task)
        return loading.load(task, data, "evaluation").rows


def measured(
    folder: Path, root: Artifact, artifacts: list[tuple[str, Artifact]], task: dict[str, Any], suite: Suite = SUITE
) -> Ran:
    quiet = lambda process_ids, threads: lambda: lambda: Reading(0.0, 0.0)  # noqa: E731 - three nested functions would hide that it is a constant
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "xdg"))
        patch.setattr(benchmark, "Plan", lambda **settings: together.Plan(**settings, watch=quiet))
        found = benchmark.run(artifacts, suite, folder / "out", cache=folder / "cache", task=task)
    return Ran(found, folder, root, task)


def write_strong(folder: Path, family: str, *, seed: int = 1) -> Artifact:
    """A generator whose outputs depend on what it reads, with its tokenizer and rules of decoding."""
    tokenizer = write_generator_tokenizer(folder, begins=family != "t5")
    tokens = {"eos_token_id": 1, "bos_token_id": 2, "decoder_start_token_id": 0, "vocab_size": len(tokenizer)}
    model = strong_generator(family, layers=1, seed=seed, **tokens)
    model.generation_config.update(no_repeat_ngram_size=2, num_beams=3)
    model.save_pretrained(folder)
    return checkpoint_artifact(folder, folder.name)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A summarizer, its export, another model that is said to come from it, and one whose graph is broken."""
    folder = tmp_path_factory.mktemp("generators")
    root = write_strong(folder / "root", "t5")
    write_strong(folder / "other", "t5", seed=2)
    other = root.after(Step("distill", {}), folder / "other").save()
    (folder / "broken").mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / "broken" / name).write_bytes((root.folder / name).read_bytes())
    (folder / "broken" / "decode.onnx").write_bytes(b"not a graph")
    broken = root.after(Step("quantize", {}), folder / "broken", format="onnx", parts={"decode": "decode.onnx"}).save()
    task = write_pairs(folder / "data", max_source=24)
    return measured(folder, root, [("other", other), ("broken", broken)], task)


def generated(ran: Ran) -> list[str]:
    """What transformers generates after each source by itself: no batch, greedily, by the root's own rules."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    model = AutoModelForSeq2SeqLM.from_pretrained(ran.root.folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(ran.root.folder)
    texts = []
    for text in ran.rows()["text"]:
        ids = torch.tensor([tokenizer(f"summarize: {text}", truncation=True, max_length=24)["input_ids"]])
        out = model.generate(ids, num_beams=1, max_new_tokens=8, do_sample=False)
        texts.append(tokenizer.decode(out[0], skip_special_tokens=True).strip())
    return texts


@pytest.mark.slow
def test_what_is_scored_is_what_transformers_generates_after_each_source_alone(ran: Ran) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    texts, references = generated(ran), ran.rows()["label"]
    lines = (ran.folder / "out" / "outputs" / "fp32-torch.jsonl").read_text().splitlines()
    assert [json.loads(line)["output"] for line in lines] == texts
    assert len(set(texts)) > 8
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    wanted = [scorer.score(right, own)["rougeL"].fmeasure for own, right in zip(texts, references, strict=True)]
    rouge = ran.one("rouge_l", "fp32-torch")
    assert rouge.per_example == pytest.approx(wanted)
    assert rouge.value == pytest.approx(np.mean(wanted))
    assert (rouge.condition["beams"], rouge.condition["max_new_tokens"]) == (1, 8)
    assert ran.one("distinct_outputs", "fp32-torch").value == len(set(texts)) / len(texts)
    assert ran.found.split["decoding"] == {"no_repeat_ngram_size": 2}


@pytest.mark.slow
def test_the_export_generates_the_roots_tokens_and_another_model_does_not(ran: Ran) -> None:
    assert [(one.name, one.role) for one in ran.found.artifacts] == [
        ("fp32-torch", "root"),
        ("fp32-onnx", "baseline"),
        ("other", "variant"),
        ("broken", "variant"),
    ]
    assert ran.one("agreement_with_root", "fp32-onnx").value == 1.0
    assert ran.one("token_accuracy", "fp32-onnx", against="root").value == 1.0
    for name in ("agreement_with_root", "token_accuracy"):
        assert (ran.one(name, "other").value or 0) < 0.9


@pytest.mark.slow
def test_the_beginnings_of_the_sources_stand_beside_every_summarizer(ran: Ran) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    scorer, rows = RougeScorer(["rougeL"], use_stemmer=True), ran.rows()
    # The sources have one sentence: all of it is their beginning.
    wanted = [scorer.score(row["label"], row["text"])["rougeL"].fmeasure for row in rows]
    assert ran.found.baselines["lead-3"]["rouge_l"] == pytest.approx(np.mean(wanted))


@pytest.mark.slow
def test_a_generative_model_that_cannot_be_opened_is_absent_with_the_reason_everywhere_and_stops_nobody(
    ran: Ran,
) -> None:
    fingerprint = next(one.fingerprint for one in ran.found.artifacts if one.name == "broken")
    found = [one for one in ran.found.measurements if one.artifact == fingerprint]
    names = {one.name for one in found}
    assert {"rouge_l", "distinct_outputs", "output_tokens", "agreement_with_root", "total_seconds"} <= names
    assert {"time_to_first_token_seconds", "output_tokens_per_second", "peak_memory_bytes", "speedup"} <= names
    assert all(one.value is None and one.absent for one in found if one.name != "disk_bytes")


@pytest.mark.slow
def test_speed_and_memory_of_every_generative_model_are_those_of_generate(ran: Ran) -> None:
    for name in ("fp32-torch", "fp32-onnx", "other"):
        real = ran.one("latency_seconds", name, batch=1, length="real")
        assert len(real.raw) == 2 * 3
        assert ran.one("speedup", name, batch=1, length="real").value
        changed = ran.one("answers_changed_by_batch", name)
        assert (changed.value, changed.samples) == (0.0, 3)
        assert 1 <= (ran.one("output_tokens", name, batch=1).value or 0) <= 8
        under = {"batch": 2, "length": 8, "new_tokens": 5}
        first = ran.one("time_to_first_token_seconds", name, **under).value or 0
        further = ran.one("time_per_output_token_seconds", name, **under).value or 0
        whole = ran.one("latency_seconds", name, **under)
        assert 0 < first < min(whole.raw) + max(whole.raw)
        assert 0 < further < max(whole.raw)
        assert ran.one("memory_growth_bytes_per_token", name).value is not None
        assert [ran.one("peak_memory_bytes", name, new_tokens=5 * times).value for times in (1, 2, 4)]


@pytest.mark.slow
@pytest.mark.usefixtures("workers_here")
def test_a_second_run_generates_nothing_again(ran: Ran, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []
    original = WorkerHere.ask

    def noting(self: WorkerHere, command: str, **arguments: Any) -> dict[str, Any]:
        asked.append(command)
        return original(self, command, **arguments)

    monkeypatch.setattr(WorkerHere, "ask", noting)
    monkeypatch.setenv("XDG_CACHE_HOME", str(ran.folder / "xdg"))
    suite = SUITE.model_copy(update={"rounds": 1, "conditions": SUITE.conditions[:1]})
    again = benchmark.run([("root", ran.root)], suite, tmp_path, cache=ran.folder / "cache", task=ran.task)
    assert "time" in asked
    assert not {"generate", "score"} & set(asked)
    values = [one.value for one in again.measurements if one.name == "rouge_l"]
    assert values == [ran.one("rouge_l", name).value for name in ("fp32-torch", "fp32-onnx")]


@pytest.mark.usefixtures("workers_here")
def test_perplexity_is_that_of_transformers_in_windows_that_overlap_and_the_exports_is_the_same(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    root = write_strong(tmp_path / "root", "llama")
    task = write_text(tmp_path / "data")
    suite = SUITE.model_copy(update={"rounds": 1, "conditions": SUITE.conditions[:1]})
    ran = measured(tmp_path, root, [("root", root)], task, suite)
    model = AutoModelForCausalLM.from_pretrained(root.folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(root.folder)
    rows = ran.rows()
    ids = torch.tensor(
        [2, *(one for text in rows["text"] for one in tokenizer(text, add_special_tokens=False).input_ids)]
    )
    total, counted, before = 0.0, 0, 1
    for start in range(0, len(ids), 12):
        end = min(start + 32, len(ids))
        with torch.no_grad():
            said = torch.log_softmax(model(ids[None, start:end]).logits[0].double(), -1)
        for place in range(before, end):
            total -= float(said[place - 1 - start, ids[place]])
        counted, before = counted + end - before, end
        if end == len(ids):
            break
    for name in ("fp32-torch", "fp32-onnx"):
        found = ran.one("perplexity", name)
        assert found.value == pytest.approx(np.exp(total / counted), rel=1e-4)
        assert sum(row[1] for row in found.statistics) == counted == len(ids) - 1
        assert "context:32|stride:12" in found.notes[0]
        assert found.condition["context"] == 32
        assert ran.one("output_tokens", name, length="real").value
    assert (ran.one("perplexity", "fp32-torch").value or 0) > 2
    assert ran.one("token_accuracy", "fp32-onnx").value == 1.0
    assert ran.found.baselines == {}
    assert not (tmp_path / "out" / "outputs").exists()
    assert Measurements.open(tmp_path / "out").measurements[0] == ran.found.measurements[0]


def test_sources_are_cut_to_what_every_model_reads_and_a_target_too_long_is_refused(tmp_path: Path) -> None:
    task, _ = loading.resolve(write_pairs(tmp_path / "data", max_source=500, max_target=28))
    wide = checkpoint_artifact(write_generator(tmp_path / "wide", "bart"), "wide")
    narrow = checkpoint_artifact(write_generator(tmp_path / "narrow", "gpt2", n_positions=48), "narrow")
    limitless = checkpoint_artifact(write_generator(tmp_path / "limitless", "t5"), "limitless")
    absent = replace(wide, folder=tmp_path / "absent")

    def longest(*artifacts: Artifact, of_suite: int | None = None) -> int | None:
        found = generative.fitted(task, artifacts, of_suite).generation
        return found.max_source if found is not None else None

    assert longest(limitless) == 500
    assert longest(limitless, wide, absent) == 128
    assert longest(wide, narrow) == 48 - 28
    assert longest(limitless, of_suite=40) == 40
    tight = replace(task, generation=replace(task.generation, max_target=44))  # type: ignore[type-var]  # a summarization has one
    with pytest.raises(CompressError, match="Set a smaller max_target"):
        generative.fitted(tight, [narrow])


def test_the_context_is_what_every_model_reads_and_the_stride_half_of_it(tmp_path: Path) -> None:
    short = checkpoint_artifact(write_generator(tmp_path / "short", "gpt2", n_positions=48), "short")
    assert generative.context_and_stride([short], None, None) == (48, 24)
    assert generative.context_and_stride([short], 16, 15) == (16, 15)
    with pytest.raises(CompressError, match="one of the models reads 48 at most"):
        generative.context_and_stride([short], 49, None)
    with pytest.raises(CompressError, match=r"take 1\.\.15"):
        generative.context_and_stride([short], 16, 16)


def test_a_suite_may_be_otherwise_for_generative_models(tmp_path: Path) -> None:
    quick = read_suite("quick")
    generators = quick.for_generation()
    assert (quick.rounds, generators.rounds) == (9, 7)
    assert max(one.batch for one in generators.conditions) == 8
    assert SUITE.for_generation() == SUITE
    file = tmp_path / "mine.yaml"
    file.write_text("conditions: [{batch: 1, length: 8, calls: 1}]\ngeneration: {options: [our]}\n")
    with pytest.raises(CompressError, match="Did you mean 'ours'"):
        read_suite(str(file))


def test_a_classifier_is_refused_for_a_generative_task(tiny_torch: Artifact, tmp_path: Path) -> None:
    task = write_pairs(tmp_path / "data")
    with pytest.raises(CompressError, match="is not a generative model"):
        benchmark.run([("model", tiny_torch)], SUITE, tmp_path / "out", cache=tmp_path / "cache", task=task)


def test_a_classifier_among_generative_models_is_refused_before_anything_is_measured(
    tiny_torch: Artifact, tmp_path: Path
) -> None:
    made = [
        ("generator", checkpoint_artifact(write_generator(tmp_path / "generator", "bart"), "generator")),
        ("model", tiny_torch),
    ]
    with pytest.raises(CompressError, match="is not a generative model"):
        benchmark.run(made, SUITE, tmp_path / "out", cache=tmp_path / "cache", task=write_pairs(tmp_path / "data"))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("workers_here")
def test_a_trained_decoders_perplexity_on_text_of_its_own_is_the_same_over_its_export(
    real_data: Path, tmp_path: Path
) -> None:
    """The export's equals torch's to 1e-3, and is that of text the model itself drew: no more than it is sure of."""
    import torch

    from compress.models.load import load, tokenizer

    root = checkpoint_artifact(real_data / "models" / "stories260k", "stories260k")
    model = load(root)
    torch.manual_seed(0)
    ids = model.generate(torch.full((12, 1), 1), do_sample=True, top_k=0, max_new_tokens=150, pad_token_id=0)
    texts = [text.replace("\n\n", "\n") for text in tokenizer(root.folder).batch_decode(ids, skip_special_tokens=True)]
    for split in ("train", "evaluation"):
        (tmp_path / f"{split}.txt").write_text("\n\n".join(texts), encoding="utf-8")
    data = {split: str(tmp_path / f"{split}.txt") for split in ("train", "evaluation")}
    task = {"name": "stories", "kind": "language_modelling", "data": data, "allow_overlap": True}
    suite = SUITE.model_copy(update={"context": None, "stride": None, "rounds": 1, "conditions": SUITE.conditions[:1]})
    ran = measured(tmp_path, root, [("root", root)], task, suite)
    wanted = ran.one("perplexity", "fp32-torch")
    assert wanted.condition["context"] == 512
    assert 2 < (wanted.value or 0) < 10
    assert ran.one("perplexity", "fp32-onnx").value == pytest.approx(wanted.value, rel=1e-3)
    assert (ran.one("token_accuracy", "fp32-onnx").value or 0) > 0.999
