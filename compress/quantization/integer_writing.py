"""Trains a model that writes text in the integers that it will be served with, and writes the graphs that compute them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compress.core.artifact import is_main_process, wait_until
from compress.core.cache import entry, opened
from compress.core.cores import available_cores
from compress.core.errors import CompressError
from compress.core.labels import NO_LABEL
from compress.data.collate import Collate
from compress.distillation import transfer_set
from compress.distillation.students import Student
from compress.distillation.train import train_student
from compress.models import load as models
from compress.onnx import exported as exporting
from compress.pruning import apply as slimming
from compress.quantization import agreement
from compress.quantization import parts as components
from compress.quantization import qat as integer_training
from compress.quantization.calibrate import schemes_of_parts
from compress.quantization.graphs.kernels import integer_kernels
from compress.quantization.graphs.qdq import write_scheme
from compress.quantization.qat import TOLERANCE
from compress.quantization.qat_modules import attach, detach
from compress.quantization.qat_settings import Qat
from compress.quantization.scheme import Scheme
from compress.runtimes.onnx_generation import open_generator_in
from compress.runtimes.runtime import Serving
from compress.tasks.technique import Made, Work

ROWS, BATCH = 64, 8
"""Held-out rows on which the graphs are compared with the model that was trained, at each token of the references."""
SHAKEN = 1e-6
"""About what fp32 leaves open in a sum of some hundred numbers, as a share of it."""


def train(work: Work[Qat]) -> Made:
    """`compress qat` of an encoder-decoder or a decoder.

    Each part of the export starts from the scheme that static quantization takes by decoding calibration rows. All of them are
    one scheme while the model is trained; what was learned goes back into the parts.

    Raises:
        CompressError: the calibration, the teacher or the training fails, or the graphs do not compute what was trained.
    """
    settings, description = work.settings, dict(work.task or {})
    parts = start(work)
    model, its_tokenizer = models.load(work.source).float(), models.tokenizer(work.source.folder)
    student = Student(model, its_tokenizer)
    teacher = work.inputs.get("teacher", work.source)
    rows = transfer_set.prepare([teacher], student, description, settings, work.cache)
    zeros = slimming.sparsity_hold(model)
    with integer_training.in_integers(model, together(parts), settings, zeros) as hold:
        told = train_student(student, rows, settings, work.scratch, work.name, hold=hold)
    told = {**rows.facts, **told, **rows.data.facts}
    names = {"encoder": "encoder.onnx", "decode": "decode.onnx"}
    made = Made("onnx", "int8", {part: names[part] for part in parts}, step_facts=told)
    if not is_main_process():
        return made
    held_out = batches(rows.data.holdout, rows.data.collate, its_tokenizer)
    learned = detach(model.cpu())
    return _delivered(work, model, its_tokenizer, parts, learned, held_out, told)


def start(work: Work[Qat]) -> dict[str, Scheme]:
    """The scheme of static quantization of each part; calibrated once, by the process that exports."""
    kept, parts = work.scratch / "start", _parts(work)

    def make(folder: Path) -> None:
        found = exporting.exported(work.source, work.task, work.cache)
        ready = components.folded(found.paths, work.scratch / "whole")
        schemes = schemes_of_parts(ready, parts, work.source.folder, work.task, work.settings)
        for part, scheme in schemes.items():
            scheme.save(folder / f"{part}.safetensors")

    if is_main_process():
        entry(kept, make)
    wait_until(lambda: opened(kept) is not None, "the first process to calibrate")
    return {part: Scheme.load(kept / f"{part}.safetensors") for part in parts}


def together(parts: Mapping[str, Scheme]) -> Scheme:
    """The parts' schemes as one. A table that two of them read is rounded alike in both, since it is one tensor.

    Raises:
        CompressError: they disagree about a layer.
    """
    found: dict[str, Any] = {}
    for part, scheme in parts.items():
        for name, layer in scheme.items():
            if found.setdefault(name, layer) != layer:
                raise CompressError(
                    f"'{name}' is quantized otherwise in {part} than in the part before, and is one module. Leave it in "
                    f"floating point: --exclude '{name}'."
                )
    return Scheme(found)


def batches(rows: Any, collate: Collate, its_tokenizer: Any) -> list[dict[str, Any]]:
    """The first held-out rows as padded batches with labels."""
    few = rows.select(range(min(ROWS, len(rows))))
    return [
        collate([few[place] for place in range(first, min(first + BATCH, len(few)))], its_tokenizer, {})
        for first in range(0, len(few), BATCH)
    ]


@torch.no_grad()
def next_tokens(model: Any, bare: Any, batch: Mapping[str, Any]) -> Tensor:
    """A model's logits at the references' tokens, one row after the other, [tokens that count, vocabulary], in fp32.

    Args:
        model: in torch, or what opens as one (`compress.runtimes.onnx_generation`).
        bare: the torch model, which knows what a decoder reads of references.
    """
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    labels = batch["labels"]
    if bare.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = bare.prepare_decoder_input_ids_from_labels(labels=labels)
        return model(**inputs, use_cache=False).logits[labels != NO_LABEL].float()
    positions = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
    logits = model(**inputs, position_ids=positions, use_cache=False).logits
    return logits[:, :-1][labels[:, 1:] != NO_LABEL].float()


def compared(model: Any, generator: Any, rows: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """How far the graphs' answers are from those of the model that was trained in their integers.

    Where an activation lies at the edge between two integers, the order of a sum decides which it becomes, and a deep model
    carries that on: in the one real summarizer that was looked at, one part in a million of the norms' weights moves logits
    by a few percent of the largest, and one part in a thousand by little more. So where the graphs would write another token
    for certain, they are held to what such a change does to the trained model itself. In such a model a small mistake of an
    export would not be seen here.

    Args:
        model: with its quantizers, in evaluation mode.
        generator: the graphs, opened.
        folder: theirs, for the message.

    Raises:
        CompressError: another token is best although the model's best two are further apart than the tolerance, or a logit
            is no number, and the graphs are further from the model than it is from itself.
    """
    scale, apart = 1.0, []
    for batch in rows:
        trained = next_tokens(model, model, batch)
        scale = max(scale, float(trained.abs().max()))
        apart.append(_apart(trained, next_tokens(generator, model, batch)))
    gaps, margins = (torch.cat(one) for one in zip(*apart, strict=True))
    tolerance = TOLERANCE * scale
    found = {
        "tokens": len(gaps),
        "largest_gap": float(gaps.max()),
        "median_gap": float(gaps.median()),
        "tolerance": tolerance,
        "tokens_that_differ": int((margins > 0).sum()),
    }
    certain = (margins > tolerance) | ~gaps.isfinite()
    if not bool(certain.any()):
        return found
    own = torch.cat([_own_gaps(model, batch) for batch in rows])
    found |= {
        "tokens_that_differ_for_certain": int(certain.sum()),
        "own_largest_gap": float(own.max()),
        "own_median_gap": float(own.median()),
    }
    if not (float(gaps[certain].max()) <= found["own_largest_gap"] and found["median_gap"] <= found["own_median_gap"]):
        raise CompressError(
            f"{folder} is not the model that was trained: at {int(certain.sum())} of {len(gaps)} tokens another one is best "
            f"although the best two are more than {tolerance:.2g} apart, or a logit is no number, and rounding does not explain "
            "it. It must not be used; please report the model's family."
        )
    return found


@contextmanager
def shaken(model: Any) -> Iterator[None]:
    """Within it the model's vectors (norms and biases; no quantizer's) are changed by one part in a million or so."""
    drawn = torch.Generator().manual_seed(0)
    some = [one for name, one in model.named_parameters() if one.dim() == 1 and "quantizer" not in name]
    before = [one.detach().clone() for one in some]
    try:
        for one in some:
            one.data *= 1 + SHAKEN * torch.randn(one.shape, generator=drawn).to(one)
        yield
    finally:
        for one, value in zip(some, before, strict=True):
            one.data.copy_(value)


def _own_gaps(model: Any, batch: Mapping[str, Any]) -> Tensor:
    """How far the model is from itself when it is shaken: the largest difference of a logit at each token."""
    trained = next_tokens(model, model, batch)
    with shaken(model):
        return _apart(trained, next_tokens(model, model, batch))[0]


def _apart(trained: Tensor, answers: Tensor) -> tuple[Tensor, Tensor]:
    """At each token: the largest difference of a logit (a NaN's is infinite), and by how much the trained model's best token was
    best where the other has another one, 0 where it has the same."""
    gaps = (trained - answers).abs().nan_to_num(nan=torch.inf, posinf=torch.inf).amax(-1)
    first, second = trained.topk(2).values.unbind(-1)
    return gaps, (first - second) * (trained.argmax(-1) != answers.argmax(-1))


def _parts(work: Work[Qat]) -> tuple[str, ...]:
    return ("encoder", "decode") if models.config(work.source.folder).is_encoder_decoder else ("decode",)


def _delivered(
    work: Work[Qat],
    model: Any,
    its_tokenizer: Any,
    parts: Mapping[str, Scheme],
    learned: Scheme,
    rows: Sequence[Mapping[str, Any]],
    told: Mapping[str, Any],
) -> Made:
    """Write the trained model as graphs in its learned scheme, and compare them with what was trained and where it began.

    Args:
        model: the trained weights, without quantizers.
        parts: the schemes that training began with.
        learned: the scheme that it ended with.
        rows: held-out rows.
        told: what is known of the training.
    """
    found = exporting.export_model(model, work.scratch / "export", its_tokenizer, work.task)
    ready = components.folded(found.paths, work.scratch / "folded")

    def writer(part: str, graph: Path, target: Path) -> Mapping[str, Any]:
        write_scheme(graph, target, Scheme({name: learned[name] for name in parts[part]}))
        return {}

    paths, _ = components.write(found.paths, ready, work.folder, dict.fromkeys(parts, "int8"), {"int8": writer})
    names = exporting.finish_folder(work.source, work.folder, paths)
    learned.save(work.folder / "scheme.safetensors")
    generator = open_generator_in(work.folder, names, Serving(threads=available_cores()))
    model.eval()
    attach(model, learned, learned=False)
    gap = compared(model, generator, rows, work.folder)
    detach(model)
    kernels = Counter(name for path in paths.values() for name in integer_kernels(path).values())
    unquantized = models.load(work.source).float()
    ours, theirs = _best(generator, unquantized, rows), _best(unquantized, unquantized, rows)
    references = torch.cat([_references(unquantized, batch) for batch in rows])
    agreed = agreement.Agreement("tokens", float((ours == theirs).float().mean()), len(ours), "held-out rows")
    is_as_right = int((ours == references).sum()) >= int((theirs == references).sum())
    began = models.load(work.source).float()
    attach(began, together(parts), learned=False)
    return Made(
        "onnx",
        "int8",
        names,
        facts=dict(found.facts),
        step_facts={
            **told,
            "layers_quantized": len(learned),
            "kernels": dict(kernels),
            "parity of the fp32 graph": found.parity,
            "agreement": agreement.decided(
                agreed, "int8", allowed=work.settings.allow_disagreement, is_as_right=is_as_right
            ),
            "gap to the trained model": gap,
            "unlike the unquantized model": {
                "held_out_rows": sum(len(batch["labels"]) for batch in rows),
                "tokens": gap["tokens"],
                "before_training": int((_best(began, unquantized, rows) != theirs).sum()),
                "after_training": int((ours != theirs).sum()),
            },
        },
    )


def _best(model: Any, bare: Any, rows: Sequence[Mapping[str, Any]]) -> Tensor:
    """The token that a model finds best at each of the references' tokens, [tokens]; see `next_tokens`."""
    return torch.cat([next_tokens(model, bare, batch).argmax(-1) for batch in rows])


def _references(bare: Any, batch: Mapping[str, Any]) -> Tensor:
    """The references' own tokens in the same order, [tokens]."""
    labels: Tensor = batch["labels"] if bare.config.is_encoder_decoder else batch["labels"][:, 1:]
    return labels[labels != NO_LABEL]
