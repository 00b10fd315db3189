"""Files of every kind with something wrong in them: each is read, or refused in one line, at once, and nothing else happens."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from compress import pipeline, report
from compress.core.artifact import MANIFEST, Artifact
from compress.core.measurement import FILE
from compress.data import calibration, loading
from compress.measure import benchmark
from compress.models.load import resolve_model
from compress.runtimes.predict import predictions
from tests.reliability import counts
from tests.reliability.data_strategies import COLUMNS, data_files, descriptions, several_labels
from tests.reliability.strategies import HOSTILE, damaged, files_of, safetensors_files, yaml_files
from tests.reliability.tiny_pipeline import SUITE, write_pipeline
from tests.reliability.watching import refused_or_done
from tests.report.made_up import make

drawn = settings(
    max_examples=counts.INPUTS,
    deadline=None,  # `refused_or_done` has a limit of its own
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


def many(function: Any) -> Any:
    """As many inputs as `counts` says, the same ones for the same seed."""
    return seed(counts.SEED)(drawn(function))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline with its model and data, the model as an artifact in both formats, and measurements."""
    from click.testing import CliRunner

    from compress.cli import compress

    folder = tmp_path_factory.mktemp("fuzz")
    write_pipeline(folder)
    for name, technique in (("torch", "import"), ("onnx", "export")):
        made = CliRunner().invoke(compress, [technique, str(folder / "model"), "-o", str(folder / name), "-q"])
        assert made.exit_code == 0, made.output
    make(rows=40, right=35, variants=()).save(folder / "measured")
    return folder


def attempt(kind: str, call: Callable[[], Any], folder: Path) -> None:
    """Try one input, and count it."""
    message = refused_or_done(call, folder)
    counts.record("input", kind=kind, refused=message is not None)


@pytest.mark.slow
def test_a_pipeline_file_is_read_or_refused(place: Path) -> None:
    said = yaml.safe_load((place / "tiny.yaml").read_text())

    @many
    @given(content=yaml_files(said))
    def check(content: bytes) -> None:
        file = place / "wrong.yaml"
        file.write_bytes(content)
        attempt("pipeline", lambda: pipeline.check_all(pipeline.read(str(file)), place / "runs"), place)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["suite", "calibration set"])
def test_a_suite_or_a_calibration_set_is_read_or_refused(place: Path, kind: str) -> None:
    said, read = (
        (SUITE, benchmark.read_suite)
        if kind == "suite"
        else ({"task": "own", "count": 256, "seed": 0, "max_length": 128}, calibration.find)
    )

    @many
    @given(content=yaml_files(said))
    def check(content: bytes) -> None:
        file = place / "wrong.yaml"
        file.write_bytes(content)
        attempt(kind, lambda: read(str(file)), place)

    check()


@pytest.mark.slow
def test_data_files_and_descriptions_of_a_task_are_read_or_refused(tmp_path: Path) -> None:
    right = {"name": "moods", "text": COLUMNS[0], "label": COLUMNS[1], "labels": ["neg", "pos"], "bad_rows": "skip"}
    cached = Path(os.environ["XDG_CACHE_HOME"])

    @many
    @given(data=st.data(), file=data_files())
    def check(data: st.DataObject, file: tuple[str, bytes]) -> None:
        written = tmp_path / f"train{file[0]}"
        written.write_bytes(file[1])
        where = {"train": str(written), "evaluation": str(written)}
        likely = [{**right, "data": where}, *several_labels(where)]
        task = data.draw(st.one_of(st.sampled_from(likely), descriptions(where)))

        def read() -> None:
            described, found = loading.resolve(task)
            for split in ("train", "evaluation"):
                loading.load(described, found, split)

        message = refused_or_done(read, tmp_path, cached)
        counts.record("input", kind="task and data", refused=message is not None)

    check()


@pytest.mark.slow
def test_a_manifest_is_read_or_refused(place: Path, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from compress.cli import compress
    from compress.core.errors import CompressError

    said = json.loads((place / "onnx" / MANIFEST).read_text())
    folder = tmp_path / "artifact"
    shutil.copytree(place / "onnx", folder)

    def inspect() -> None:
        Artifact.open(folder, verify=False)
        found = CliRunner().invoke(compress, ["inspect", str(folder)], standalone_mode=False)
        if found.exception is not None:
            raise found.exception

    @many
    @given(content=files_of(said))
    def check(content: bytes) -> None:
        (folder / MANIFEST).write_bytes(content)
        attempt("manifest", inspect, tmp_path)

    assert CompressError  # what `inspect` may raise
    check()


def answering(folder: Path) -> Callable[[], None]:
    """Opens the model in a folder and lets it answer for a text."""
    return lambda: [None for _ in predictions(resolve_model(str(folder)), ["the film was great"])].clear()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "tokenizer.json"])
def test_a_model_whose_config_or_tokenizer_is_wrong_answers_or_is_refused(
    place: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(place / "model", folder)
    said = json.loads((folder / name).read_text(encoding="utf-8"))

    @many
    @given(content=files_of(said))
    def check(content: bytes) -> None:
        (folder / name).write_bytes(content)
        attempt(name, answering(folder), tmp_path)

    check()


@pytest.mark.slow
def test_a_safetensors_file_that_is_wrong_is_refused(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(place / "model", folder)

    @many
    @given(content=safetensors_files((folder / "model.safetensors").read_bytes()))
    def check(content: bytes) -> None:
        (folder / "model.safetensors").write_bytes(content)
        attempt("safetensors", answering(folder), tmp_path)

    check()


@pytest.mark.slow
def test_a_graph_that_is_wrong_answers_or_is_refused(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "graph"
    shutil.copytree(place / "onnx", folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"] = {name: value for name, value in manifest["files"].items() if name != "model.onnx"}
    graph = (folder / "model.onnx").read_bytes()

    def answer() -> None:
        from compress.core.artifact import hash_file

        manifest["files"]["model.onnx"] = hash_file(folder / "model.onnx")  # as whoever made the file would write it
        (folder / MANIFEST).write_text(json.dumps(manifest))
        answering(folder)()

    @many
    @given(content=damaged(graph))
    def check(content: bytes) -> None:
        (folder / "model.onnx").write_bytes(content)
        attempt("ONNX", answer, tmp_path)

    check()


@pytest.mark.slow
def test_measurements_are_reported_or_refused(place: Path, tmp_path: Path) -> None:
    said = json.loads((place / "measured" / FILE).read_text())

    @many
    @given(content=files_of(said))
    def check(content: bytes) -> None:
        (tmp_path / FILE).write_bytes(content)
        attempt("measurements", lambda: report.write([tmp_path / FILE], tmp_path / "page" / "report.html"), tmp_path)

    check()


@pytest.mark.slow
def test_any_text_is_answered_or_refused(place: Path, tmp_path: Path) -> None:
    artifact = resolve_model(str(place / "onnx"))

    @many
    @given(texts=st.lists(st.one_of(st.text(max_size=200), st.sampled_from(HOSTILE)), min_size=1, max_size=3))
    def check(texts: list[str]) -> None:
        attempt("text", lambda: list(predictions(artifact, texts)), tmp_path)

    check()
