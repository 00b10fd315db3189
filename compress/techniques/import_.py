"""Import a Hugging Face model, or merge a LoRA adapter into its base model.

The model is copied, with its weights as safetensors, so that the artifact is self-contained. A base model without a
classification head is imported unmodified; `compress finetune` adds the head.
"""

from __future__ import annotations

import shutil
from typing import Any

from pydantic import Field

from compress.core.artifact import hashes
from compress.core.model_files import copy_beside, deciding
from compress.core.paths import named
from compress.core.references import ReadPath
from compress.core.settings import Settings
from compress.models.load import generates
from compress.models.weight_files import weights
from compress.tasks.task import DescribedTask
from compress.tasks.technique import Made, Technique, Work


class Import(Settings):
    """How a model is imported."""

    HEADING = "Import"

    adapter: ReadPath | None = Field(None, description="Folder of a LoRA adapter to merge (PEFT, safetensors).")


def _run(work: Work[Import]) -> Made:
    source = work.source.folder
    if work.settings.adapter is None:
        if work.task is not None:
            from compress.models.task_heads import in_task_order

            source = in_task_order(work.source, work.task.task, work.scratch).folder
        for file in weights(source):
            shutil.copyfile(file, work.folder / file.name)
        copy_beside(source, work.folder)
        if generates(source):
            from compress.models import generation_config

            generation_config.write(source, work.folder)  # the model's own may stand in its config.json
        return Made("torch", work.source.precision)
    from compress.models import adapters
    from compress.models import load as models

    model, its_tokenizer = adapters.merged(source, named(work.settings.adapter))
    models.save(model, its_tokenizer, work.folder)
    return Made("torch", work.source.precision)


def _reads(settings: Import, task: DescribedTask | None) -> dict[str, Any]:
    """The adapter's content decides the result, not its path; the task is what the artifact will remember."""
    described = {key: value for key, value in (task.description if task else {}).items() if key != "data"}
    if settings.adapter is None:
        return {"task": described}
    return {"task": described, "adapter": hashes(deciding(named(settings.adapter)))}


TECHNIQUE = Technique(
    name="import",
    settings=Import,
    run=_run,
    accepts=frozenset({"torch"}),
    gives=lambda settings: ("torch", "fp32"),
    compresses=False,
    reads=_reads,
    example="compress import demo -o runs/base",
)
