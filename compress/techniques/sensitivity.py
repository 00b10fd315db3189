"""A request of `compress sensitivity`: names become an artifact, settings and a task, and are checked as `quantize` does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.core.artifact import Artifact
from compress.core.cache import default_cache
from compress.core.errors import CompressError
from compress.core.progress import say
from compress.core.settings import build
from compress.data import given
from compress.models.sources import resolve_model
from compress.quantization.sensitivity_settings import SensitivitySettings, refuse_generative
from compress.tasks.task import DescribedTask
from compress.techniques import quantize
from compress.techniques.apply import as_described, check
from compress.techniques.request import written

if TYPE_CHECKING:
    from compress.quantization.sensitivity import Sensitivity


@dataclass(frozen=True)
class SensitivityRequest:
    """What is to be ranked."""

    source: Artifact
    settings: SensitivitySettings
    task: DescribedTask

    @staticmethod
    def read(
        model: str | Path | Artifact,
        values: Mapping[str, Any],
        where: str,
        *,
        also: Iterable[str] = (),
        task: str | Path | Mapping[str, Any] | None = None,
        data: str | Path | Mapping[str, Any] | None = None,
        allow_overlap: bool = False,
    ) -> SensitivityRequest:
        """A user's request, resolved; the arguments are those of `compress.techniques.request.Request.read`.

        Raises:
            CompressError: a setting, the model or the task is unknown, or there is no task.
        """
        settings = build(SensitivitySettings, written(values), where, also=also)
        source = resolve_model(model)
        described = as_described(given.given(task, data, None, source.task, "train", allow_overlap=allow_overlap))
        if described is None:
            raise CompressError(
                f"{source.folder} has no task of its own, and its layers are judged on a task's held-out rows. Name it, for "
                "example `--task sst2 --data DIR`."
            )
        return SensitivityRequest(source, settings, described)

    def check(self) -> dict[str, Any]:
        """What will be read, as a JSON dictionary: held-out rows, and the calibration set if there is one.

        Raises:
            CompressError: anything that can be known to fail before the model is exported.
        """
        from compress.quantization import held_out

        settings = self.settings.quantize()
        check(quantize.TECHNIQUE, self.source, settings, self.task)
        refuse_generative(self.source, "compress sensitivity")
        split = held_out.split_of(self.task)
        reads = quantize.TECHNIQUE.reads
        rows = min(len(split.rows), self.settings.held_out_rows)
        return {"held_out": {"rows": rows, "from": split.identity}, **(reads(settings, self.task) if reads else {})}

    def run(self) -> Sensitivity:
        """Export (or reuse the export beside the model), calibrate once, and try each layer or group.

        Raises:
            CompressError: as `check`, or the model cannot be exported or quantized.
        """
        from compress.core.cores import available_cores
        from compress.onnx.exported import exported
        from compress.quantization import held_out, sensitivity
        from compress.quantization.units import units

        self.check()
        self.source.check_files()
        source, settings, described = self.source, self.settings, self.task
        if source.format == "torch":
            graph = exported(source, described, default_cache(source.folder)).graph
        else:
            graph = source.folder / source.parts["model"]
        scheme = sensitivity.scheme_of(graph, settings.mode, source.folder, described, settings)
        split = held_out.split_of(described)
        places = held_out.in_order(split)[: settings.held_out_rows]
        held = held_out.read(source, described, split, places)
        trials = sensitivity.Trials(graph, scheme, held, threads=available_cores())
        found = units(graph, scheme, held.tokens, settings.by)
        say(f"{source.folder.name}: {len(found)} trials on {len(held)} held-out rows.")
        findings = sensitivity.ranked(trials, found)
        score = held.score(trials.reference_predictions)
        facts = {
            "model": str(source.folder),
            "fingerprint": source.fingerprint(),
            "precision": "int8",
            "mode": settings.mode,
            "by": settings.by,
            "metric": held.metric.name,
            "fp32": score if math.isfinite(score) else None,
            "rows": len(held),
            "rows_from": held.where,
            "tokens": held.tokens,
            "batch": held_out.BATCH,
        }
        return sensitivity.Sensitivity(tuple(findings), trials.loss(scheme), facts)
