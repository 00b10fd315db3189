"""Distil, prune, quantize and export fine-tuned transformers, and measure what it cost.

    import compress

    student = compress.distill("runs/teacher", "runs/student", layers=3, task="sst2", data="data/sst2")
    int8 = compress.quantize(student, "runs/int8", precision="int8")
    model = compress.load(int8)
    model("a charming film")  # {"label": "positive", "probabilities": {...}}

Each technique is a function (`help(compress.distill)` lists its settings); `docs/api.md` has all names. Nothing heavy is
imported before something needs it. Messages go to stderr: `logging.getLogger("compress").setLevel("WARNING")` silences them.
"""

from __future__ import annotations

from compress.core.version import VERSION

# Nothing of Python's own is imported here: `python -m compress` imports this before `__main__` takes the current folder, where
# somebody may have a `typing.py`, off the path.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from compress.core.artifact import Artifact as Artifact
    from compress.core.artifact import Step as Step
    from compress.core.errors import BudgetNotMet as BudgetNotMet
    from compress.core.errors import CompressError as CompressError
    from compress.core.measurement import Measured as Measured
    from compress.core.measurement import Measurement as Measurement
    from compress.core.measurement import Measurements as Measurements
    from compress.core.out_of_memory import OutOfMemory as OutOfMemory
    from compress.pipeline import Result as Result
    from compress.quantization.sensitivity import Sensitivity as Sensitivity
    from compress.report import Report as Report
    from compress.runtimes.served import ServedModel as ServedModel
    from compress.techniques.signatures import *  # noqa: F403 - whatever techniques there are

__version__ = VERSION

RECORDS = {
    "Artifact": "compress.core.artifact",
    "Step": "compress.core.artifact",
    "Measured": "compress.core.measurement",
    "Measurement": "compress.core.measurement",
    "Measurements": "compress.core.measurement",
    "Report": "compress.report",
    "Result": "compress.pipeline",
    "Sensitivity": "compress.quantization.sensitivity",
    "ServedModel": "compress.runtimes.served",
    "BudgetNotMet": "compress.core.errors",
    "CompressError": "compress.core.errors",
    "OutOfMemory": "compress.core.out_of_memory",
}
"""The classes that are offered, and where each is defined."""


def open(model: str | Path | Artifact, *, verify: bool = True) -> Artifact:
    """The artifact in a folder; a Hugging Face folder or a hub id becomes one, as in every command.

    Args:
        verify: compare the files with the hashes in the manifest (about a second a gigabyte).

    Raises:
        CompressError: there is no model, or a file is missing or not as recorded.
    """
    from compress.core import log
    from compress.models.sources import resolve_model

    log.heard()
    artifact = resolve_model(model)
    if verify:
        artifact.check_files()
    return artifact


def load(
    model: str | Path | Artifact,
    *,
    runtime: str | None = None,
    beams: int | None = None,
    new_tokens: int | None = None,
    threads: int = 1,
) -> ServedModel:
    """The model, torch or ONNX, open to be called with texts: it answers as `compress predict` does.

    Args:
        runtime: by name (`compress list runtimes`); by default that of the artifact's format.
        beams: of the search, 1 for greedy; by default the model's own. Of generative models.
        new_tokens: how many are written at most; by default the task's or the model's own. Of generative models.
        threads: inside one operator, 1 or more; a report gives the number that its speeds were measured with.

    Raises:
        CompressError: there is no model, no runtime here opens it, or a parameter is not of its kind.
    """
    from compress.runtimes.served import ServedModel

    return ServedModel(open(model, verify=False), runtime=runtime, beams=beams, new_tokens=new_tokens, threads=threads)


def benchmark(
    artifacts: Sequence[str | Path | Artifact] | Mapping[str, str | Path | Artifact],
    out: str | Path,
    *,
    suite: str | Path = "cpu",
    runtimes: str | Sequence[str] = (),
    slices: str | Sequence[str] = (),
    task: str | Path | Mapping[str, Any] | None = None,
    data: str | Path | Mapping[str, Any] | None = None,
    rows: int | None = None,
    allow_overlap: bool = False,
    force: bool = False,
) -> Measurements:
    """Measure artifacts side by side, beside the uncompressed model, and save `measurements.json` in `out`.

    Args:
        artifacts: artifacts, folders or hub ids; as a mapping, by the names that the report shows.
        out: the folder; if stopped, the same call continues from what is there.
        suite: what to measure: a shipped suite's name, or a YAML file.
        runtimes: in which artifacts are measured, by name; the suite's, else that of each format, by default.
        slices: columns of the evaluation data by which results are also shown; the suite's, else all of 2 to 20 different values.
        task: a task's name, a YAML file that describes one, or its description; the artifacts' own by default.
        data: a folder, a file of evaluation rows, or a file for each split; the artifacts' own by default.
        rows: measure on no more evaluation rows than so many.
        allow_overlap: continue even if more than 5 % of the evaluation rows are also training rows.
        force: measure again, and replace the measurements in `out`.

    Raises:
        CompressError: something named is unknown, or none of the artifacts could be measured. Where some could not, they are
            listed with their reasons (`Measurements.unmeasured`).
    """
    from compress.core import log
    from compress.measure import benchmark as benchmarks
    from compress.measure.request import measured

    log.heard()
    found = measured(
        artifacts,
        out,
        suite=suite,
        runtimes=runtimes,
        slices=slices,
        task=task,
        data=data,
        rows=rows,
        allow_overlap=allow_overlap,
        force=force,
    )
    benchmarks.check_measured(found)
    return found


def sensitivity(
    model: str | Path | Artifact,
    *,
    task: str | Path | Mapping[str, Any] | None = None,
    data: str | Path | Mapping[str, Any] | None = None,
    allow_overlap: bool = False,
    **settings: Any,
) -> Sensitivity:
    """Rank a model's layers by what int8 loses in each, against what it saves.

    One layer (or group of layers) is quantized at a time, and compared with fp32 on held-out rows.

    Args:
        model: a torch artifact or its fp32 ONNX export, its folder, a Hugging Face folder, or a hub id.
        task: a task's name, a YAML file that describes one, or its description; the model's own by default.
        data: a folder, a file of training rows, or a file for each split; the model's own by default.
        allow_overlap: continue even if more than 5 % of the evaluation rows are also training rows.
        settings: those of `compress sensitivity --help`: `mode`, `by`, `held_out_rows`, and how static int8 is calibrated.

    Raises:
        CompressError: a setting, the model or the task is unknown or cannot be as it is.
    """
    from compress.core import log
    from compress.techniques.sensitivity import SensitivityRequest

    log.heard()
    also = ("task", "data", "allow_overlap")
    given: dict[str, Any] = {"task": task, "data": data, "allow_overlap": allow_overlap}
    return SensitivityRequest.read(model, settings, "compress.sensitivity()", also=also, **given).run()


def run(pipeline: str | Path, out: str | Path | None = None, *, changes: Mapping[str, Any] | None = None) -> Result:
    """Run a pipeline; finished steps are reused, and a stopped run continues with the same call.

    Args:
        pipeline: a YAML file, or the name of one that is shipped.
        out: the folder of the run; `runs/<pipeline>` by default.
        changes: of what the file says, by the keys' path: `{"task.data": "data/sst2", "steps.student.distill.layers": 4}`.

    Raises:
        CompressError: anything in the pipeline is unknown or cannot work; all of it is checked before the first step.
        BudgetNotMet: it ran, and no variant meets its budget. Its `result` is what would have been returned.
    """
    from pathlib import Path

    from compress import pipeline as pipelines
    from compress.core import log
    from compress.core.paths import named
    from compress.measure import benchmark as benchmarks

    log.heard()
    plan = pipelines.read(str(pipeline), changes or {})
    result = pipelines.run(plan, Path("runs") / plan.name if out is None else named(out))
    if result.measurements is not None:
        benchmarks.check_measured(result.measurements)
    pipelines.check_budget(plan, result)
    return result


def write_report(
    sources: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    budget: Mapping[str, Any] | None = None,
    title: str | None = None,
    examples: bool = True,
) -> Report:
    """Write the comparison report (HTML, and beside it Markdown, JSON and CSV) from measurements and manifests alone.

    Args:
        sources: folders, searched however deep, or files of measurements.
        out: the HTML file, or a folder, which then gets a `report.html`.
        budget: limits that the report's verdict is about, as a pipeline has them: `{"max_drop": 1.0, "max_mb": 20}`. By
            default those of the pipeline that measured.
        title: the page's; made of the model's and the task's name by default.
        examples: whether the report may show texts of the evaluation split.

    Raises:
        CompressError: nothing was measured, a file cannot be read or written, or the budget is not one.
    """
    from pathlib import Path

    from compress import report
    from compress.core import log
    from compress.core.paths import named

    log.heard()
    given = [sources] if isinstance(sources, str | Path) else sources
    return report.write([named(one) for one in given], named(out), budget=budget, title=title, examples=examples)


def __getattr__(name: str) -> Any:
    """A record, an error, or the function of a technique: made when it is first asked for."""
    import importlib

    if name in RECORDS:
        found = getattr(importlib.import_module(RECORDS[name]), name)
    elif not name.startswith("_") and (technique := name.removesuffix("_")) in _techniques():
        from compress.techniques import functions

        if functions.python_name(technique) != name:
            raise _unknown(name)
        found = functions.function(technique)
    else:
        raise _unknown(name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """All names that are offered, for completion and for Python's guess at a misspelt one."""
    from compress.techniques import functions

    mine = ("__version__", "open", "load", "benchmark", "run", "write_report")
    return sorted({*mine, *RECORDS, *map(functions.python_name, _techniques())})


def _techniques() -> tuple[str, ...]:
    from compress.core import catalogue

    return catalogue.names("techniques")


def _unknown(name: str) -> AttributeError:
    return AttributeError(f"module 'compress' has no attribute '{name}'")
