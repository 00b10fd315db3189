"""Quantize a model after training (PTQ): int8, int4, nf4, fp16 or bf16.

int8 gives an ONNX artifact. Dynamic quantization computes activation ranges at run time; static quantization calibrates them on
a calibration set. Weights are quantized per output channel, embeddings too. fp16 gives an ONNX artifact; bf16 gives a
torch checkpoint, since ONNX Runtime has no bf16 kernels for CPUs. MODEL is a torch artifact, which is exported first, or an ONNX
one. In a generative model, encoder and decoder can have different precisions.

Weight-only quantization, mostly for decoders: mode `weights` stores int4 or int8 blocks in an ONNX artifact (MatMulNBits),
rounded to nearest or by GPTQ; `gptq` writes a decoder's GPTQ checkpoint (int4, int8); `bitsandbytes` gives int8 or nf4. The
last two are torch artifacts.

--target openvino makes an artifact that OpenVINO runs: int8 by NNCF on a calibration set, or bf16, which OpenVINO computes in.

With --max-drop (int8), the layers that lose most stay in floating point. They are chosen on one half of the task's held-out rows,
and the other half says what the result loses; if that is too much, the best that was found is kept and the exit code is 3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact
from compress.core.progress import during
from compress.quantization.quantize_settings import INTEGERS, READ, Quantize, calibrates, has_integers
from compress.tasks.task import DescribedTask
from compress.tasks.technique import Made, Technique, Work
from compress.techniques.quantize_checks import check_model, check_source


def _run(work: Work[Quantize]) -> Made:
    settings, source = work.settings, work.source
    is_for_openvino = settings.target == "openvino"
    if settings.precision == "bf16" and not is_for_openvino:
        return _bf16(work)
    if settings.is_torch:
        return _torch_weights(work)
    from compress.data import comparison_rows
    from compress.models.kinds import law_in
    from compress.onnx import exported as exporting
    from compress.onnx import parity, standard_attention
    from compress.quantization import agreement, exclusion

    if source.format == "torch":
        opset = standard_attention.OLDER if settings.precision == "fp16" else settings.opset
        found = exporting.exported(source, work.task, work.cache, fuse=not is_for_openvino, opset=opset)
        graphs, facts = found.paths, {**found.facts, "parity": found.parity}
    else:
        graphs, facts = {part: source.folder / name for part, name in source.parts.items()}, {}
    if "model" not in graphs:
        return _parts(work, graphs, facts)
    from compress.models.load import config, tokenizer

    its_tokenizer = tokenizer(source.folder)
    rows, where = comparison_rows.rows(its_tokenizer, config(source.folder), work.task, agreement.ROWS)
    graph = graphs["model"] if is_for_openvino else _prepared(work, graphs["model"], its_tokenizer)
    if has_integers(settings):
        exclusion.check(settings, [graph])
    target = work.folder / ("model.xml" if is_for_openvino else "model.onnx")
    made: dict[str, Any] = {}
    if is_for_openvino:
        made = _for_openvino(work, graph, target)
    elif settings.precision == "fp16":
        from compress.quantization import fp16_overflow as half

        with during(f"{work.name}: quantizing to fp16"):
            made = half.write(graph, target, rows, where)
    elif settings.mode == "weights":
        from compress.quantization import weight_only

        integers, made = _gptq(work, graphs, {"model": settings.precision})
        with during(f"{work.name}: quantizing to {settings.precision}"):
            made |= weight_only.write_blocks(settings, settings.precision, integers, "model", graph, target)
    else:
        made = _int8(work, graph, target)
    parts = exporting.finish_folder(source, work.folder, {"model": target})
    padding = {"input_ids": its_tokenizer.pad_token_id or 0}
    is_half = settings.precision == "fp16"
    compare = parity.check if is_half else parity.compare
    law = law_in(source.folder)
    few = rows[: comparison_rows.ROWS]
    shown = len(few if is_half else rows)
    with during(f"{work.name}: comparing {settings.precision} with fp32 on {shown} rows"):
        gap = compare(target, graph, few, precision=settings.precision, padding=padding, law=law)
        agreed = None if is_half else agreement.of_classifiers(target, graph, rows, where, law, settings.precision)
    if agreed is not None:
        # Where a limit is not kept the command says so, and the best that was found is made all the same.
        met = made.get("accuracy_budget", {}).get("met")
        allowed = settings.allow_disagreement or met is False
        made["agreement"] = agreement.decided(agreed, settings.precision, allowed=allowed, is_as_right=bool(met))
    facts["graph"] = {} if is_for_openvino else standard_attention.form(target)
    return _made(settings, parts, facts, {**gap.to_dict(), "rows_from": where}, made)


def _prepared(work: Work[Quantize], graph: Path, its_tokenizer: Any) -> Path:
    """The fp32 graph with its attention in the form that the result will have."""
    from compress.onnx import standard_attention

    if work.settings.precision == "fp16":  # ONNX Runtime's converter cannot type ONNX's own Attention (1.32)
        return standard_attention.any_padding(graph, work.scratch)
    if work.source.format == "torch":
        return graph
    side, name = its_tokenizer.padding_side, work.source.folder.name
    return standard_attention.in_opset(graph, work.scratch, work.settings.opset, side, name)


def _made(
    settings: Quantize,
    parts: Mapping[str, str],
    facts: Mapping[str, Any],
    gap: Mapping[str, Any],
    told: Mapping[str, Any],
) -> Made:
    return Made(
        "openvino" if settings.target == "openvino" else "onnx",
        settings.precision,
        parts,
        facts={key: value for key, value in facts.items() if key != "parity"},
        step_facts={
            **({"parity of the fp32 graph": facts["parity"]} if "parity" in facts else {}),
            "gap to fp32": gap,
            **told,
        },
    )


def _parts(work: Work[Quantize], graphs: Mapping[str, Path], facts: Mapping[str, Any]) -> Made:
    """A generative model: each of its graphs in its submodel's precision."""
    from compress.data import comparison_rows
    from compress.models import load as models
    from compress.onnx import exported as exporting
    from compress.quantization import agreement, exclusion, weight_only
    from compress.quantization import parts as components
    from compress.quantization.graphs.kernels import integer_kernels
    from compress.quantization.scheme import Scheme

    settings, folder = work.settings, work.folder
    chosen = components.precisions(graphs, settings.precision, settings.encoder, settings.decoder)
    ready = components.folded(graphs, work.scratch / "folded")
    integers = {part: path for part, path in ready.items() if chosen[part] == "int8"}
    exclusion.check(settings, [path for part, path in ready.items() if chosen[part] in INTEGERS])
    by_gptq, of_gptq = _gptq(work, ready, chosen)
    schemes: dict[str, Any] = {}
    if settings.mode == "static" and integers:
        from compress.quantization.calibrate import static_schemes

        schemes |= static_schemes(ready, tuple(integers), work.source.folder, work.task, settings)
    folder_of_source = work.source.folder
    its_tokenizer, its_config = models.tokenizer(folder_of_source), models.config(folder_of_source)
    read, where = comparison_rows.rows(its_tokenizer, its_config, work.task, generates=True)
    rows = [row["input_ids"] for row in read]
    writers: dict[str, components.Writer] = {
        "int4": partial(weight_only.write_blocks, settings, "int4", by_gptq),
        "int8": partial(_write_int8, settings, schemes),
        "fp16": partial(_write_fp16, graphs, folder_of_source, rows, where),
    }
    if settings.mode == "weights":
        writers["int8"] = partial(weight_only.write_blocks, settings, "int8", by_gptq)
    paths, told = components.write(graphs, ready, folder, chosen, writers)
    parts = exporting.finish_folder(work.source, folder, paths)
    scheme = Scheme({name: layer for one in schemes.values() for name, layer in one.items()})
    if scheme:
        scheme.save(folder / "scheme.safetensors")
    coarsest = next(one for one in ("int4", "int8", "fp16") if one in chosen.values())
    with during(f"{work.name}: comparing {coarsest} with fp32 on {len(rows)} texts"):
        gap = components.gap(paths, ready, folder, rows, coarsest)
    kernels = Counter(name for path in paths.values() for name in integer_kernels(path).values())
    made: dict[str, Any] = {"layers_quantized": len(scheme), "kernels": dict(kernels)} if scheme else {}
    if coarsest != "fp16" and gap.equal_predictions is not None:
        found = agreement.Agreement("tokens", gap.equal_predictions, gap.compared, where)
        made["agreement"] = agreement.decided(found, coarsest, allowed=settings.allow_disagreement)
    return _made(
        settings,
        parts,
        {**facts, "components": chosen},
        {**gap.to_dict(), "rows_from": where},
        {**made, **of_gptq, **{part: one for part, one in told.items() if one}},
    )


def _gptq(
    work: Work[Quantize], graphs: Mapping[str, Path], chosen: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The integers that GPTQ chooses for the parts' weights, none if each is rounded to nearest; and the metadata to record."""
    settings = work.settings
    in_blocks = {
        part: one for part, one in chosen.items() if one == "int4" or (one == "int8" and settings.mode == "weights")
    }
    if settings.rounding != "gptq" or not in_blocks:
        return {}, {}
    from compress.quantization import weight_only

    return weight_only.calibrated(
        work.source, {part: graphs[part] for part in in_blocks}, in_blocks, work.described, settings
    )


def _torch_weights(work: Work[Quantize]) -> Made:
    from compress.quantization import agreement, torch_agreement, weight_only

    settings = work.settings
    if settings.mode == "gptq":
        told = weight_only.write_checkpoint(work.source, work.described, settings, work.folder)
    else:
        with during(f"{work.name}: quantizing to {settings.precision}"):
            told = weight_only.write_bitsandbytes(work.source, settings, work.folder)
    with during(f"{work.name}: comparing {settings.precision} with fp32"):
        agreed = torch_agreement.with_source(work.folder, settings.precision, work.source, work.task)
    decided = agreement.decided(agreed, settings.precision, allowed=settings.allow_disagreement)
    return Made("torch", settings.precision, step_facts={**told, "agreement": decided})


def _write_int8(settings: Quantize, schemes: dict[str, Any], part: str, graph: Path, target: Path) -> Mapping[str, Any]:
    """Ranges at each call unless the part has a scheme with fixed ones; the scheme is put among the others."""
    from compress.quantization.graphs.dynamic import DynamicSettings, quantize_dynamic
    from compress.quantization.graphs.qdq import write_scheme

    if part in schemes:
        write_scheme(graph, target, schemes[part])
    else:
        schemes[part] = quantize_dynamic(graph, target, DynamicSettings(settings.embeddings, settings.exclude))
    return {}


def _write_fp16(
    graphs: Mapping[str, Path], folder: Path, prompts: Any, where: str, part: str, _graph: Path, target: Path
) -> Mapping[str, Any]:
    from compress.quantization import fp16_overflow as half

    return half.write_part(graphs, part, folder, target, prompts, where)


def _int8(work: Work[Quantize], graph: Any, target: Any) -> dict[str, Any]:
    from compress.quantization.graphs.kernels import integer_kernels
    from compress.quantization.graphs.qdq import write_scheme
    from compress.quantization.sensitivity import scheme_of

    settings, told = work.settings, {}
    scheme = scheme_of(graph, settings.mode, work.source.folder, work.task, settings)
    if settings.max_drop is not None:
        from compress.quantization import accuracy_budget

        scheme, found = accuracy_budget.choose(graph, scheme, work.source, work.described, settings.max_drop)
        told = {"accuracy_budget": found}
    with during(f"{work.name}: quantizing to int8"):
        write_scheme(graph, target, scheme)
    scheme.save(work.folder / "scheme.safetensors")
    return {"layers_quantized": len(scheme), "kernels": dict(Counter(integer_kernels(target).values())), **told}


def _for_openvino(work: Work[Quantize], graph: Path, target: Path) -> dict[str, Any]:
    """The same weights, which OpenVINO computes with in bf16; or int8."""
    from compress.onnx import openvino_file

    if work.settings.precision == "bf16":
        openvino_file.convert(graph, target)
        return {}
    from compress.data import calibration
    from compress.models.load import config, tokenizer
    from compress.quantization import openvino_int8

    settings, folder = work.settings, work.source.folder
    described = calibration.needed(settings.calibration, work.described)
    rows = calibration.rows(settings.calibration, described, tokenizer(folder), config(folder))
    with during(f"{work.name}: quantizing to int8 with NNCF on {len(rows)} rows"):
        return openvino_int8.write(graph, target, rows, settings)


def _bf16(work: Work[Quantize]) -> Made:
    import torch

    from compress.models import load as models

    model = models.load(work.source).to(torch.bfloat16)
    models.save(model, models.tokenizer(work.source.folder), work.folder)
    return Made("torch", "bf16")


def _reads(settings: Quantize, task: DescribedTask | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if calibrates(settings):
        from compress.data import calibration

        calibration.check(settings.calibration, task)
        described = calibration.needed(settings.calibration, task)
        found["calibration"] = calibration.identity(settings.calibration, described)
    if settings.max_drop is not None and task is not None:
        from compress.quantization import held_out

        found["holdout"] = held_out.split_of(task).identity
    return found


def _format(settings: Quantize) -> str:
    if settings.target == "openvino":
        return "openvino"
    return "torch" if settings.precision == "bf16" or settings.is_torch else "onnx"


def _unmet(made: Artifact) -> str | None:
    facts = made.steps[-1].facts.get("accuracy_budget")
    if facts is None:
        return None
    from compress.quantization import budget_words

    return budget_words.unmet(facts)


TECHNIQUE = Technique(
    name="quantize",
    settings=Quantize,
    run=_run,
    accepts=frozenset({"torch", "onnx"}),
    gives=lambda settings: (_format(settings), settings.precision),
    reads=_reads,
    read_when=READ,
    check=check_source,
    check_model=check_model,
    unmet=_unmet,
    example="compress quantize runs/student --precision int8 --mode dynamic -o runs/int8",
)
