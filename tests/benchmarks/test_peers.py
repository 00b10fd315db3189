"""What `benchmarks/peers/` promises, checked without any peer installed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.benchmarks.conftest import Scripts

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "peers"


def classifier(path: Path, embedding: np.ndarray) -> Path:
    """An ONNX file that sums an embedding [100, 2] over a sentence's tokens."""
    node = helper.make_node
    nodes = [
        node("Gather", ["table", "input_ids"], ["tokens"]),
        node("ReduceSum", ["tokens", "axis"], ["logits"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "sum",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [
            numpy_helper.from_array(embedding.astype(np.float32), "table"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "axis"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def results(speeds: dict[str, float], rights: dict[str, int], jitter: float = 0.0) -> dict[str, Any]:
    """A comparison in which each contestant ran at exactly that speed, give or take `jitter` by round."""
    wobble = [1 + jitter * (-1) ** number for number in range(10)]
    measured = {}
    for name, speed in speeds.items():
        seconds = [[1 / speed * (each if name == "mine" else 1.0)] * 3 for each in wobble]
        latency = {"speed": speed, "interval": [speed, speed], "rounds_seconds": seconds, "notes": []}
        measured[name] = {
            "right": rights[name],
            "agrees_with_fp32": 860,
            "won": 1,
            "lost": 2,
            "peak_bytes": {"loaded": 1e8, "1x128": 2e8, "32x64": 3e8},
            "latency": {"1xreal": latency, "1x128": latency, "32x64": latency},
        }
    roles = {name: "ours" if name == "mine" else "peer" for name in speeds}
    return {
        "command": "python benchmarks/peers/compare.py TEACHER",
        "created": "2026-11-23T00:00:00+00:00",
        "machine": {"cpu": "a processor", "cores": 2, "features": ["VNNI"], "packages": {"onnxruntime": "1.32.0"}},
        "threads": 2,
        "rounds": 10,
        "sentences": 872,
        "baseline": "fp32",
        "needed": 762,
        "contestants": {name: {"role": role, "bytes": 23e6} for name, role in roles.items()},
        "options": {"default": {"session": {"disabled_optimizers": []}, "measured": measured}},
    }


def test_every_peer_has_an_environment_with_exact_versions_and_the_tested_torch(scripts: Scripts) -> None:
    for contestant in scripts["contestants"].CONTESTANTS:
        text = (FOLDER / "requirements" / f"{contestant.environment}.txt").read_text()
        pins = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert pins[0] == scripts["environments"].TORCH
        assert "onnxruntime==1.32.0" in pins
        assert all(re.fullmatch(r"[\w-]+==[\d.]+", pin) for pin in pins)


def test_every_command_can_be_filled_in(scripts: Scripts, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"num_attention_heads": 12, "hidden_size": 384}')
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for contestant in scripts["contestants"].CONTESTANTS:
        words = scripts["make"]._filled(contestant, tmp_path, tmp_path, tmp_path, scratch, tmp_path)
        assert not [word for word in words if "{" in word]
        for word in words:
            assert "recipes" not in word or Path(word).is_file()
        if contestant.config:
            config = json.loads((scratch / "config.json").read_text())
            assert config["passes"]["fusion"]["num_heads"] == 12


@pytest.fixture
def workshop(scripts: Scripts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """`make` with this Python as every peer's environment, and a peer that writes the contents of a file."""
    make = scripts["make"]
    monkeypatch.setattr(make, "MODELS", tmp_path / "models")
    monkeypatch.setattr(make.environments, "ready", lambda name: Path(sys.executable).parent)
    monkeypatch.setattr(make.environments, "versions", lambda name: {"torch": "2.13.0"})
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    (teacher / "config.json").write_text('{"num_attention_heads": 2, "hidden_size": 8}')

    def run(program: str, weights: str = "a") -> dict[str, Any]:
        command = (sys.executable, "-c", program, "{out}", "{teacher}")
        peer = scripts["contestants"].Contestant("peer", "optimum", command, "m.onnx", "a peer")
        made: dict[str, Any] = make.make(peer, teacher, weights, tmp_path / "none", again=False)
        return made

    return {"run": run, "folder": tmp_path / "models" / "peer", "teacher": teacher}


WRITES = "import sys, time, pathlib; pathlib.Path(sys.argv[1], 'm.onnx').write_text(str(time.time_ns()))"


def test_a_model_is_made_once_and_again_for_another_teacher(workshop: dict[str, Any]) -> None:
    first = workshop["run"](WRITES)
    assert workshop["run"](WRITES) == first
    assert workshop["run"](WRITES, weights="b")["sha256"] != first["sha256"]
    assert (workshop["folder"] / "model.onnx").exists()


def test_a_peer_that_fails_is_recorded_with_its_words_and_without_this_machines_paths(workshop: dict[str, Any]) -> None:
    workshop["run"](WRITES)
    made = workshop["run"]("import sys; sys.exit('cannot quantize ' + sys.argv[2])")
    assert "cannot quantize TEACHER" in made["error"]
    assert json.loads((workshop["folder"] / "made.json").read_text()) == made
    assert not (workshop["folder"] / "model.onnx").exists()


def test_a_peer_that_ends_well_but_writes_no_model_has_failed(workshop: dict[str, Any]) -> None:
    assert "m.onnx" in workshop["run"]("pass")["error"]


def test_quotes_in_a_sentence_are_text(scripts: Scripts, tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_text('sentence\tlabel\n" half a quote \t1\nplain\u2028words\t0\n', encoding="utf-8")
    assert scripts["feeds"].read(tmp_path / "dev.tsv") == (['" half a quote ', "plain\u2028words"], [1, 0])


def test_answers_are_compared_sentence_by_sentence_with_the_teachers(scripts: Scripts) -> None:
    found = scripts["compare"].quality([1, 1, 0, 0, 1], [1, 0, 1, 0, 1], [1, 1, 1, 0, 0])
    assert (found["right"], found["agrees_with_fp32"], found["won"], found["lost"]) == (3, 3, 1, 1)
    assert found["right_by_sentence"] == "11010"


def test_the_peer_to_beat_is_the_fastest_that_is_right_often_enough(scripts: Scripts) -> None:
    speeds = {"fp32": 1.0, "slow": 1.5, "fast": 2.0, "wrong": 4.0, "mine": 2.2}
    rights = {"fp32": 770, "slow": 770, "fast": 762, "wrong": 761, "mine": 765}
    for standing in scripts["standings"].judge(results(speeds, rights)):
        assert standing["fastest"] == "fast"
        assert standing["ratio"] == pytest.approx(1.1)
        assert standing["holds"]


@pytest.mark.parametrize(("speed", "right"), [(1.9, 770), (2.2, 761)])
def test_our_claim_does_not_hold_when_slower_or_wrong_too_often(scripts: Scripts, speed: float, right: int) -> None:
    taken = results({"fp32": 1.0, "fast": 2.0, "mine": speed}, {"fp32": 770, "fast": 770, "mine": right})
    assert not any(standing["holds"] for standing in scripts["standings"].judge(taken))


def test_our_claim_does_not_hold_on_a_good_median_with_a_wide_interval(scripts: Scripts) -> None:
    taken = results({"fp32": 1.0, "fast": 2.0, "mine": 2.0}, {"fp32": 770, "fast": 770, "mine": 770}, jitter=0.1)
    for standing in scripts["standings"].judge(taken):
        assert standing["interval"][0] < 0.97
        assert not standing["holds"]


def test_our_claim_does_not_hold_on_a_few_rounds(scripts: Scripts) -> None:
    taken = results({"fp32": 1.0, "fast": 2.0, "mine": 4.0}, {"fp32": 770, "fast": 770, "mine": 770})
    for read in taken["options"]["default"]["measured"].values():
        for latency in read["latency"].values():
            latency["rounds_seconds"] = latency["rounds_seconds"][:3]
    assert not any(standing["holds"] for standing in scripts["standings"].judge(taken))


def test_rounds_that_others_disturbed_are_in_no_ratio(scripts: Scripts) -> None:
    taken = results({"fp32": 1.0, "fast": 2.0, "mine": 2.2}, {"fp32": 770, "fast": 770, "mine": 770})
    for name, read in taken["options"]["default"]["measured"].items():
        for latency in {id(one): one for one in read["latency"].values()}.values():
            latency["rounds_seconds"] += [[9.0 if name == "fast" else 1.0] * 3] * 12
            latency["disturbed"] = list(range(10, 22))
    for standing in scripts["standings"].judge(taken):
        assert standing["ratio"] == pytest.approx(1.1)
        assert standing["holds"]


def test_the_page_shows_failed_peers_and_what_disturbed_the_rounds(scripts: Scripts) -> None:
    taken = results({"fp32": 1.0, "mine": 2.0}, {"fp32": 770, "mine": 770})
    measured = taken["options"]["default"]["measured"]
    measured["mine"]["latency"]["1x128"]["notes"].append("3 of 10 rounds were disturbed")
    taken["contestants"]["broken"] = {"role": "peer", "error": "no"}
    measured["broken"] = {"error": "RuntimeError: it wants\nthe hub"}
    taken["standings"] = scripts["standings"].judge(taken)
    page = scripts["standings"].markdown(taken)
    assert "| broken | failed: RuntimeError: it wants the hub |" in page
    assert "3 of 10 rounds were disturbed" in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1


def test_real_models_are_measured_and_a_broken_one_is_kept_with_its_reason(
    scripts: Scripts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compress.measure.interference import Reading
    from compress.runtimes.rows import Rows
    from compress.runtimes.runtime import Serving

    compare = scripts["compare"]
    random = np.random.default_rng(0)
    table = random.normal(size=(100, 2))
    sentences = [[int(token) for token in random.integers(0, 100, random.integers(3, 20))] for _ in range(24)]
    # Labels by hand from the table, not by the runtime under test; the reversed table is wrong on each of them.
    labels = [int(table[sentence].sum(axis=0).argmax()) for sentence in sentences]
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph")
    entries = [
        compare.Entry("fp32", "peer", classifier(tmp_path / "right.onnx", table)),
        compare.Entry("reversed", "ours", classifier(tmp_path / "reversed.onnx", table[:, ::-1])),
        compare.Entry("broken", "peer", broken),
        compare.Entry("missing", "peer", None, {"error": "not made yet"}),
    ]
    inputs = compare.prepared(Rows.encode({"input_ids": sentences}))
    monkeypatch.setattr(compare, "watcher", lambda process_ids, threads: lambda: lambda: Reading(0.0, 0.0))
    found = compare.measure(entries, inputs, labels, Serving(threads=1), "fp32", rounds=2)

    assert found["fp32"]["right"] == len(labels)
    assert found["reversed"]["right"] == 0
    assert found["reversed"]["lost"] == len(labels)
    assert found["missing"] == {"error": "not made yet"}
    assert "cannot be opened" in found["broken"]["error"]
    for name in ("fp32", "reversed"):
        assert list(found[name]["peak_bytes"]) == ["loaded", "1x128", "32x64"]
        for key, latency in found[name]["latency"].items():
            calls = next(condition.calls for condition in compare.CONDITIONS if condition.key == key)
            assert [len(one) for one in latency["rounds_seconds"]] == [calls, calls]
    assert found["fp32"]["latency"]["1xreal"]["speed"] == 1.0


def test_the_recorded_command_holds_no_absolute_path(scripts: Scripts, monkeypatch: pytest.MonkeyPatch) -> None:
    root = scripts["compare"].ROOT
    monkeypatch.setattr(sys, "argv", ["compare.py", f"{root.parent}/teacher", "--ours", f"int8={root}/runs/m.onnx"])
    told = scripts["compare"].command_as_typed()
    assert told == "python benchmarks/peers/compare.py ../teacher --ours int8=runs/m.onnx"
