"""Exports a fine-tuned torch classifier to one ONNX file with dynamic batch and length, without changing the model.

The tracing is `transformers.exporters.OnnxExporter`'s; nothing else in this project knows that library.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import inspect
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from compress.core.errors import CompressError
from compress.core.stopping import held
from compress.models.families import read_token
from compress.models.families.plain_computation import PLAIN, compute_plainly_, plain_settings_

LARGEST_SINGLE_FILE_BYTES = 2**31 - 2**20  # protobuf refuses messages of 2 GiB; a margin for the graph itself
SAMPLE_BATCH, SAMPLE_LENGTH = 2, 16
PROVIDERS = ("cpu", "cuda")


def export(model: nn.Module, path: Path, *, provider: str = "cpu") -> None:
    """Write `model` to `path` as fp32 ONNX: integer inputs [batch, sequence], and the outputs of its kind by their names, as
    `logits` [batch, labels].

    Inputs are `input_ids`, `attention_mask`, and `token_type_ids` where the model tells segments apart. Weights keep
    their parameter's name; a Linear's, which ONNX stores transposed, is called `<module>.weight.T`, and a weight that
    several layers share is stored once. The model's weights, mode and config are as before when this returns.

    Raises CompressError where the architecture cannot be traced, or the file would pass protobuf's 2 GiB.
    """
    if provider not in PROVIDERS:
        raise CompressError(f"Cannot export for the provider '{provider}'. Known providers: {', '.join(PROVIDERS)}.")
    size = sum(weight.numel() * 4 for weight in model.parameters())
    if size > LARGEST_SINGLE_FILE_BYTES:
        raise CompressError(
            f"{type(model).__name__} needs {size / 2**30:.1f} GiB in fp32, and one ONNX file holds at most 2 GiB. "
            "Distil or prune it first."
        )
    samples = sample_inputs(model)
    with as_for_tracing(model), quiet(), plain_products():
        graph = _traced(model, samples)
    drop_prefix(graph)
    _name_outputs(graph)
    _name_dimensions(graph)
    name_weights(graph, model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(graph, str(path))


def input_names(model: nn.Module) -> tuple[str, ...]:
    """The inputs that the exported graph will have, in order."""
    accepted = inspect.signature(model.forward).parameters
    names = ["input_ids", "attention_mask"]
    # RoBERTa's forward accepts segments but has one of them only, and its tokenizer gives none.
    if "token_type_ids" in accepted and getattr(model.config, "type_vocab_size", 0) > 1:
        names.append("token_type_ids")
    return tuple(name for name in names if name in accepted)


def sample_inputs(model: nn.Module) -> dict[str, torch.Tensor]:
    """A small padded batch to trace with: token ids inside the vocabulary, the padding id only where masked."""
    config = model.config
    padding = config.pad_token_id if getattr(config, "pad_token_id", None) is not None else 0
    ends = read_token.reads_end_of_text(model)
    special = {padding, config.eos_token_id} if ends else {padding}
    usable = [token for token in range(min(config.vocab_size, 200)) if token not in special]
    ids = torch.tensor(usable * SAMPLE_BATCH * SAMPLE_LENGTH)[: SAMPLE_BATCH * SAMPLE_LENGTH]
    ids = ids.reshape(SAMPLE_BATCH, SAMPLE_LENGTH).clone()
    mask = torch.ones_like(ids)
    # A padded row keeps the tracer from seeing an all-true mask and leaving it out of the graph.
    ids[1, SAMPLE_LENGTH - 4 :] = padding
    mask[1, SAMPLE_LENGTH - 4 :] = 0
    if ends:
        ids[0, -1] = ids[1, SAMPLE_LENGTH - 5] = config.eos_token_id
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    device = next(model.parameters()).device
    return {name: inputs[name].to(device) for name in input_names(model)}


def _traced(model: nn.Module, samples: dict[str, torch.Tensor]) -> onnx.ModelProto:
    import onnx_ir
    from torch.export import Dim
    from transformers.exporters import OnnxConfig, OnnxExporter

    free = {name: {0: Dim.AUTO, 1: Dim.AUTO} for name in samples}
    try:
        with held():
            exported = OnnxExporter().export(
                read_token.traceable(model), samples, config=OnnxConfig(dynamic=True, dynamic_shapes=free)
            )
    except Exception as error:  # the tracer raises many kinds, each about the model's own code
        reason = (str(error).strip().splitlines() or [""])[0]
        raise CompressError(
            f"{type(model).__name__} cannot be exported to ONNX: {type(error).__name__}: {reason}. "
            "Use a model of a supported encoder family."
        ) from error
    return onnx_ir.to_proto(exported.program)


@contextlib.contextmanager
def as_for_tracing(model: nn.Module) -> Iterator[None]:
    """In evaluation mode, fp32, plain attention, logits only, nothing in chunks; all as before afterwards."""
    modes = {name: module.training for name, module in model.named_modules()}
    chosen = {module: {key: vars(module)[key] for key in PLAIN if key in vars(module)} for module in model.modules()}
    config = copy.deepcopy(model.config.__dict__)
    dtype = next(model.parameters()).dtype
    if dtype != torch.float32:
        raise CompressError(f"{type(model).__name__} holds {dtype} weights; load it in float32 to export it.")
    attention = getattr(model.config, "_attn_implementation", None)
    model.eval()
    if hasattr(model, "set_attn_implementation") and attention != "eager":
        model.set_attn_implementation("eager")  # its products are what the fusion and the quantizer look for
    plain_settings_(compute_plainly_(model).config)
    try:
        yield
    finally:
        if hasattr(model, "set_attn_implementation") and attention not in (None, "eager"):
            model.set_attn_implementation(attention)
        model.config.__dict__.clear()
        model.config.__dict__.update(config)
        for name, module in model.named_modules():
            module.training = modes[name]
            for key, value in chosen[module].items():
                setattr(module, key, value)


@contextlib.contextmanager
def plain_products() -> Iterator[None]:
    """GPT-2's Conv1D as `x @ W + b`; otherwise it becomes a Gemm on reshaped rows, which cannot be quantized."""
    from transformers.pytorch_utils import Conv1D

    before = Conv1D.forward
    Conv1D.forward = lambda self, x: x @ self.weight + self.bias
    try:
        yield
    finally:
        Conv1D.forward = before


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps the exporters' progress lines and version remarks off the user's screen; errors still rise."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            Path(os.devnull).open("w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def drop_prefix(graph: onnx.ModelProto) -> None:
    """Weights are called as in the model, without the attribute that holds it while it is traced."""
    taken = {item.name for item in graph.graph.initializer}
    new = {name: name.removeprefix("model.") for name in taken if name.startswith("model.")}
    new = {old: name for old, name in new.items() if name not in taken}
    for item in graph.graph.initializer:
        item.name = new.get(item.name, item.name)
    rename(graph, new)


def rename(graph: onnx.ModelProto, new: Mapping[str, str]) -> None:
    for node in graph.graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = new.get(name, name)


def _name_outputs(model: onnx.ModelProto) -> None:
    """Names the outputs as the model does; inner values with these names are renamed."""
    names = {value.name: value.name.removeprefix(read_token.TRACED) for value in model.graph.output}
    new = {**{name: f"{name}.inner" for name in names.values()}, **names}
    rename(model, new)
    for node in model.graph.node:
        for position, name in enumerate(node.output):
            node.output[position] = new.get(name, name)
    for value in model.graph.output:
        value.name = names[value.name]


def _name_dimensions(model: onnx.ModelProto) -> None:
    """Names the dynamic axes `batch` and `sequence`, in every input."""
    for value in model.graph.input:
        first, second = value.type.tensor_type.shape.dim
        first.dim_param, second.dim_param = "batch", "sequence"
    for value in model.graph.output:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    # The inner shapes carry the tracer's own symbols, one for each input's batch; whoever needs them infers them.
    del model.graph.value_info[:]
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces with this machine's paths


def name_weights(model: onnx.ModelProto, source: nn.Module) -> None:
    """Names each matrix by its parameter in `source`, `<module>.weight.T` where it is transposed; equal ones become one."""
    digests = {name: _digest(value.detach().cpu().numpy()) for name, value in source.named_parameters()}
    names = {digest: name for name, digest in digests.items()}
    names |= {
        _digest(module.weight.detach().cpu().numpy().T): f"{name}.weight.T"
        for name, module in source.named_modules()
        if isinstance(module, nn.Linear)
    }
    new: dict[str, str] = {}
    kept: dict[str, Any] = {}
    taken = {item.name for item in model.graph.initializer}
    for item in model.graph.initializer:
        array = numpy_helper.to_array(item)
        digest = _digest(array) if array.ndim == 2 else None
        # Of parameters that are equal and not one (a Marian's sines, in encoder and decoder) each keeps its own name.
        if digest is None or digests.get(item.name) == digest:
            name: str | None = item.name
        else:
            name = names.get(digest)
        if name is None or (name in taken and name != item.name and name not in kept):
            name = item.name
        if name in kept and name != item.name:  # a shared layer, once for each of its uses
            new[item.name] = name
            continue
        new[item.name] = name
        item.name = name
        kept[name] = item
    if len(kept) < len(model.graph.initializer):
        unique = list(kept.values())
        copies = [onnx.TensorProto.FromString(item.SerializeToString()) for item in unique]
        del model.graph.initializer[:]
        model.graph.initializer.extend(copies)
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = new.get(name, name)


def _digest(array: np.ndarray) -> tuple[tuple[int, ...], str]:
    return array.shape, hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
