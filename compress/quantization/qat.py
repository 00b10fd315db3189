"""Quantization-aware training: trains a model with fake quantization, and returns the graph that computes with integers.

A classifier is exported as one part, `model`; a generative model as `decode` and, with an encoder, `encoder`. Each part starts
from its own scheme of static quantization. All of them are one scheme while the model is trained, and what was learned goes back
into the parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from compress.core.artifact import is_main_process, wait_until
from compress.core.cache import entry, opened
from compress.core.errors import CompressError
from compress.distillation import transfer_set
from compress.distillation.loss_config import NEVER
from compress.distillation.students import Student
from compress.distillation.teacher import Teacher
from compress.distillation.train import train_student
from compress.models import load as models
from compress.models.kinds import kind_of_model
from compress.onnx import exported as exporting
from compress.onnx.standard_attention import form
from compress.pruning import apply as pruning
from compress.quantization import agreement
from compress.quantization import parts as components
from compress.quantization.calibrate import static_schemes
from compress.quantization.graphs.kernels import integer_kernels
from compress.quantization.graphs.qdq import write_scheme
from compress.quantization.qat_modules import attach, detach, watch
from compress.quantization.qat_parity import Batch, answers, compared, held_out, law_of, open_graphs, predicted
from compress.quantization.qat_settings import Qat
from compress.quantization.scheme import Scheme
from compress.tasks.kinds.kind import Inference
from compress.tasks.technique import Made, Work
from compress.training.data import TrainingData
from compress.training.objectives import Hold

DROPOUTS = ("dropout", "attention_dropout", "activation_dropout", "layerdrop")
"""What modules of transformers call a share that they drop by themselves."""


def train(work: Work[Qat]) -> Made:
    """The settings of `compress qat`.

    Raises:
        CompressError: the calibration, the teacher or the training fails, or the graphs do not compute what was trained.
    """
    schemes = start(work)
    student = Student(models.load(work.source).float(), models.tokenizer(work.source.folder))
    data, told = _trained(work, student, one_scheme(schemes))
    made = Made("onnx", "int8", {part: f"{part}.onnx" for part in schemes}, step_facts=told)
    return _delivered(work, made, student, schemes, data) if is_main_process() else made


def start(work: Work[Qat]) -> dict[str, Scheme]:
    """The scheme of static quantization of each part; calibrated once, by the process that exports."""
    kept, folder = work.scratch / "start", work.source.folder
    parts: tuple[str, ...] = ("model",)
    if models.generates(folder):
        parts = ("encoder", "decode") if models.config(folder).is_encoder_decoder else ("decode",)

    def make(made: Path) -> None:
        found = exporting.exported(work.source, work.task, work.cache, opset=work.settings.opset)
        graphs = found.paths if "model" in parts else components.folded(found.paths, work.scratch / "fp32")
        schemes = static_schemes(graphs, parts, folder, work.task, work.settings)
        for part, scheme in schemes.items():
            scheme.save(made / f"{part}.safetensors")

    if is_main_process():
        entry(kept, make)
    wait_until(lambda: opened(kept) is not None, "the first process to calibrate")
    return {part: Scheme.load(kept / f"{part}.safetensors") for part in parts}


def one_scheme(parts: Mapping[str, Scheme]) -> Scheme:
    """The components' schemes combined. A table that two of them read is rounded equally in both, since it is one tensor.

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


class FreezeObservers:
    """Range observers are updated during a share of the training, and then frozen."""

    def __init__(self, model: nn.Module, until: float) -> None:
        self.model, self.until = model, until

    def start(self) -> None:
        """The checkpoint has the ranges, and whether the observers are still active."""

    def after_step(self, progress: float) -> None:
        if progress >= self.until:
            watch(self.model, False)

    def is_done(self, progress: float) -> bool:
        return progress >= self.until


class Holds:
    """Several holds combined."""

    def __init__(self, holds: Sequence[Hold]) -> None:
        self.holds = holds

    def start(self) -> None:
        for hold in self.holds:
            hold.start()

    def after_step(self, progress: float) -> None:
        for hold in self.holds:
            hold.after_step(progress)

    def is_done(self, progress: float) -> bool:
        return all(hold.is_done(progress) for hold in self.holds)


@contextmanager
def fake_quantized(model: Any, scheme: Scheme, settings: Qat, zeros: Hold | None) -> Iterator[Hold | None]:
    """A context in which a model computes with a scheme, and the hold of its zeros and ranges.

    Args:
        settings: of them `step_sizes`, `freeze_observers_at` and `dropout` are read.
        zeros: what holds the zeros of a pruned model.
    """
    learned = settings.step_sizes == "learned"
    attach(model, scheme, learned=learned)
    holds = [zeros] if zeros else []
    if not learned:
        watch(model, True)
        holds.append(FreezeObservers(model, settings.freeze_observers_at))
    shares = {} if settings.dropout else dict(_dropouts(model))
    for module, name in shares:
        setattr(module, name, 0.0)
    yield Holds(holds) if holds else None
    for (module, name), share in shares.items():
        setattr(module, name, share)


def _dropouts(model: Any) -> Iterator[tuple[tuple[nn.Module, str], float]]:
    """All dropout probabilities: of dropout modules, and of modules with built-in dropout (BART, T5's attention)."""
    for module in model.modules():
        for name in ("p",) if isinstance(module, nn.Dropout) else DROPOUTS:
            share = getattr(module, name, None)
            if isinstance(share, float):
                yield (module, name), share


def _trained(work: Work[Qat], student: Student, scheme: Scheme) -> tuple[TrainingData, dict[str, Any]]:
    """Train the model with a scheme, in place, with its teacher; returns the data read, and the metadata of the training."""
    settings, teacher = work.settings, work.inputs.get("teacher", work.source)
    if kind_of_model(student.model).generates and "hidden_weight" not in settings.model_fields_set:
        # Hidden states are matched by default in classifiers only: how far apart they are differs from family to family.
        settings = settings.model_copy(update={"hidden_weight": NEVER})
    rows = transfer_set.prepare([Teacher(teacher)], student, work.described, settings, work.cache)
    with fake_quantized(student.model, scheme, settings, pruning.sparsity_hold(student.model)) as hold:
        told = train_student(student, rows, settings, work.scratch, work.name, hold=hold)
    return rows.data, {**rows.facts, **told, **rows.data.facts}


def _delivered(
    work: Work[Qat], made: Made, student: Student, schemes: Mapping[str, Scheme], data: TrainingData
) -> Made:
    """Write the trained model as graphs with its learned scheme, and compare them with the trained and the unquantized model.

    Args:
        made: with the facts of the training.
        student: trained, with its quantizers.
        schemes: those that training began with, by part.
        data: what was read, with the held-out rows.
    """
    model = student.model
    learned = detach(model.cpu())
    found = exporting.export_model(
        model, work.scratch / "export", student.tokenizer, work.task, name=work.name, opset=work.settings.opset
    )
    paths = _written(work, found, {part: [*scheme] for part, scheme in schemes.items()}, learned)
    graph_facts = {"graph": form(paths["model"])} if "model" in paths else {}
    learned.save(work.folder / "scheme.safetensors")
    graphs = open_graphs(work.folder, exporting.finish_folder(work.source, work.folder, paths))
    model.eval()
    batches = held_out(data, student.tokenizer, generates=kind_of_model(model).generates)
    attach(model, learned, learned=False)
    gap = compared(model, graphs, batches, work.folder)
    detach(model)
    unquantized, began = (models.load(work.source).float().eval() for _ in range(2))
    attach(began, one_scheme(schemes), learned=False)
    unlike, chosen = _unlike(work, model, graphs, unquantized, began, batches)
    return replace(
        made,
        facts={**found.facts, **chosen, **graph_facts},
        step_facts={
            **made.step_facts,
            **chosen,
            "layers_quantized": len(learned),
            "kernels": dict(Counter(name for path in paths.values() for name in integer_kernels(path).values())),
            "parity of the fp32 graph": found.parity,
            "gap to the trained model": gap,
            **unlike,
        },
    )


def _written(
    work: Work[Qat], found: exporting.Exported, layers: Mapping[str, Sequence[str]], learned: Scheme
) -> dict[str, Path]:
    """The graphs with each part's layers in the learned scheme, by part."""

    def write(part: str, graph: Path, target: Path) -> Mapping[str, Any]:
        write_scheme(graph, target, Scheme({name: learned[name] for name in layers[part]}))
        return {}

    if "model" in found.parts:  # its weights stay in the graph's own file
        target = work.folder / found.parts["model"]
        write("model", found.graph, target)
        return {"model": target}
    ready = components.folded(found.paths, work.scratch / "folded")
    paths, _ = components.write(found.paths, ready, work.folder, dict.fromkeys(layers, "int8"), {"int8": write})
    return paths


def _unlike(
    work: Work[Qat], model: Any, graphs: Any, unquantized: Any, began: Any, batches: Sequence[Batch]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The agreement of the graphs with the unquantized model, and with the start of training.

    Returns:
        The step's facts, and those that the kind chooses on held-out rows (thresholds).

    Raises:
        CompressError: they are too unlike the unquantized model, and less often right.
    """
    kind, law = kind_of_model(model), law_of(model)
    (ours, labels), (theirs, _), (first, _) = (predicted(one, model, batches) for one in (graphs, unquantized, began))
    of = "tokens" if kind.generates else "classes"
    agreed = agreement.of_predictions(ours, theirs, "held-out rows", law, of)
    is_as_right = agreement.right(ours, labels, law) >= agreement.right(theirs, labels, law)
    facts: dict[str, Any] = {}
    choose = kind.fitted.get(law)
    if choose is not None:
        values = np.concatenate([answers(graphs, model, batch).values.numpy() for batch in batches])
        names = [model.config.id2label[place] for place in range(model.config.num_labels)]
        facts = dict(choose(Inference({kind.outputs[0].name: values}, None, {}, law, names), labels))
    rows = sum(len(batch["labels"]) for batch in batches)
    unlike = {
        "held_out_rows": rows if kind.generates else len(ours),
        **({"tokens": len(ours)} if kind.generates else {}),
        "before_training": agreement.difference(first, theirs, law),
        "after_training": agreement.difference(ours, theirs, law),
    }
    decided = agreement.decided(agreed, "int8", allowed=work.settings.allow_disagreement, is_as_right=is_as_right)
    return {"agreement": decided, "unlike the unquantized model": unlike}, facts
