"""The fp32 ONNX graphs of a torch artifact: exported once, compared with their source on real rows, and cached.

A classifier has one graph, `model`; a generative model has `decode` and, for an encoder-decoder, `encoder`.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact, digest
from compress.core.cache import entry
from compress.core.errors import CompressError
from compress.core.machine import versions
from compress.core.model_files import copy_beside
from compress.core.progress import during, say
from compress.core.version import VERSION
from compress.data import comparison_rows
from compress.models.kinds import kind_of_model, law_of_model
from compress.models.load import generates, load, tokenizer
from compress.onnx.standard_attention import DEFAULT, OLDER, form, written_opset
from compress.tasks.task import DescribedTask


@dataclass(frozen=True)
class Exported:
    """fp32 graphs and how far they are from torch."""

    folder: Path
    parts: Mapping[str, str]
    """The graph's file in the folder by what it is for: `model`, or `encoder` and `decode`."""
    parity: Mapping[str, Any]
    facts: Mapping[str, Any]
    """What was fused, and the session options that the graph is meant for."""

    @property
    def graph(self) -> Path:
        """A classifier's one graph."""
        return self.folder / self.parts["model"]

    @property
    def paths(self) -> dict[str, Path]:
        """All graphs by part."""
        return {part: self.folder / name for part, name in self.parts.items()}


def exported(
    source: Artifact,
    task: DescribedTask | None,
    cache: Path,
    *,
    provider: str = "cpu",
    fuse: bool = True,
    opset: int | None = None,
) -> Exported:
    """The fp32 graphs of a torch artifact.

    Args:
        provider: `cpu` or `cuda`, the execution provider it is made for.
        fuse: rewrite a classifier's graph for the provider; else it is as the exporter wrote it.
        opset: see `compress.onnx.standard_attention.written_opset`.

    Raises:
        CompressError: the model cannot be exported, or its graph differs from it beyond the tolerance.
    """
    named = task.task.name if task else None  # the rows that the graph is compared on
    key = digest(
        [source.fingerprint(), digest(source.files), provider, fuse, opset or DEFAULT, named, versions(), VERSION]
    )

    def make(folder: Path) -> Mapping[str, Any]:
        model, its_tokenizer = load(source).float(), tokenizer(source.folder)
        options: Mapping[str, Any] = {"provider": provider, "fuse": fuse, "opset": opset}
        made = export_model(model, folder, its_tokenizer, task, name=source.folder.name, **options)
        return {"parts": dict(made.parts), "parity": made.parity, "facts": made.facts}

    kept = entry(cache / "exports" / key, make)
    return Exported(kept.folder, **kept.facts)


def export_model(
    model: Any,
    folder: Path,
    its_tokenizer: Any,
    task: DescribedTask | None,
    *,
    name: str,
    provider: str = "cpu",
    fuse: bool = True,
    opset: int | None = None,
) -> Exported:
    """Write a float model's fp32 graphs into a folder.

    Args:
        name: the model's, for messages.

    Raises:
        CompressError: the model cannot be exported, or its graph differs from it beyond the tolerance.
    """
    from compress.onnx import export as exporter
    from compress.onnx import fusion, parity

    folder.mkdir(parents=True, exist_ok=True)
    if model.can_generate():
        return _export_generator(model, folder, its_tokenizer, task, name, provider)
    _check_padding(model, its_tokenizer)
    draft = folder / "draft.onnx"
    facts: dict[str, Any] = {"provider": provider, "fused": {}}
    with during(f"{name}: exporting to ONNX"):
        exporter.export(model, draft, provider=provider)
        if fuse and provider == "cpu":
            fused = folder / "fused.onnx"
            done = fusion.fuse(draft, fused, opset=written_opset(opset, its_tokenizer.padding_side, name))
            if done.attentions and done.not_standard:
                say(f"{name} is written in opset {OLDER}: {done.not_standard}.")
            facts["fused"] = done.to_dict()
            fused.replace(draft)
    facts["graph"] = form(draft)
    rows, where = comparison_rows.rows(its_tokenizer, model.config, task)
    with during(f"{name}: comparing the ONNX graph with torch on {len(rows)} rows"):
        checked = parity.check(
            draft,
            model,
            rows,
            padding={"input_ids": its_tokenizer.pad_token_id or 0},
            law=law_of_model(model),
            kind=kind_of_model(model),
        )
    draft.replace(folder / "model.onnx")
    return Exported(folder, {"model": "model.onnx"}, {**checked.to_dict(), "rows_from": where}, facts)


def _check_padding(model: Any, its_tokenizer: Any) -> None:
    """Whether a text's end is found where the tokenizer pads with another token than the model takes for padding."""
    from compress.models.families.read_token import reads_last_token

    of_model, of_tokenizer = model.config.pad_token_id, its_tokenizer.pad_token_id
    if reads_last_token(model) and of_model is not None and of_tokenizer not in (of_model, None):
        raise CompressError(
            f"This {type(model).__name__} takes token {of_model} for padding (pad_token_id in config.json), but its tokenizer "
            f"pads with token {of_tokenizer}, so in a batch it would read the padding. Make them the same."
        )


def _export_generator(
    model: Any, folder: Path, its_tokenizer: Any, task: DescribedTask | None, name: str, provider: str
) -> Exported:
    """No graph is fused: a decoder's fused attention gave wrong logits for padded batches (ONNX Runtime 1.32)."""
    from compress.onnx.export_with_cache import export_generative
    from compress.onnx.parity_with_cache import check_generation
    from compress.onnx.text_parity import check_texts
    from compress.runtimes.onnx_generation import generator_of
    from compress.runtimes.sessions_with_cache import open_generation

    with during(f"{name}: exporting to ONNX"):
        written = export_generative(model, folder)
    read, where = comparison_rows.rows(its_tokenizer, model.config, task, generates=True)
    rows = [row["input_ids"] for row in read]
    with during(f"{name}: comparing the ONNX graphs with torch on {len(rows)} texts"):
        opened = open_generation(written.parts, threads=1)
        checked = check_generation(opened, model, rows)
        texts = check_texts(generator_of(opened, model.config, copy.deepcopy(model.generation_config)), model, rows)
    parts = {part: path.name for part, path in written.parts.items()}
    facts = {"provider": provider, "fused": {}}
    found = {**checked.to_dict(), "texts": texts.to_dict(), "rows_from": where}
    return Exported(folder, parts, found, facts)


def same_graph(path: Path, graph: Path, source: Artifact, task: DescribedTask | None) -> dict[str, Any]:
    """How far another runtime's file of a classifier's fp32 graph is from the graph, on real rows.

    Raises:
        CompressError: it differs beyond the tolerance.
    """
    from compress.models.kinds import kind_of, law_in
    from compress.models.load import config
    from compress.onnx import parity

    its_tokenizer = tokenizer(source.folder)
    rows, where = comparison_rows.rows(its_tokenizer, config(source.folder), task)
    padding = {"input_ids": its_tokenizer.pad_token_id or 0}
    kind, law = kind_of(source.folder), law_in(source.folder)
    return {**parity.check(path, graph, rows, padding=padding, law=law, kind=kind).to_dict(), "rows_from": where}


def finish_folder(source: Artifact, folder: Path, graphs: Mapping[str, Path]) -> dict[str, str]:
    """Put graphs, by part, with weights, tokenizer and configs into the new artifact's folder; returns its parts."""
    from compress.models import generation_config
    from compress.onnx.shared_weights import weight_files

    of_onnx = [path for path in graphs.values() if path.suffix == ".onnx"]
    files = {*graphs.values(), *(file for path in of_onnx for file in weight_files(path))}
    for file in sorted(file for file in files if file.parent != folder):
        shutil.copyfile(file, folder / file.name)
    parts = {part: path.name for part, path in graphs.items()}
    copy_beside(source.folder, folder)
    if generates(source.folder):
        generation_config.write(source.folder, folder)  # the model's own may stand in its config.json
    return parts
