"""Importance of each neuron, head and hidden dimension, measured in one pass over calibration batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from compress.core.errors import CompressError
from compress.models.families.architecture import Architecture
from compress.models.families.families import family
from compress.models.layers import Batch, evaluating, projects_embeddings


@dataclass(frozen=True)
class Importance:
    """The larger, the more is lost without it. Lists are by layer; ALBERT's shared layer counts once.

    Only the order within one tensor means something: which of its entries to keep.
    """

    hidden: Tensor
    """[hidden width]: the mean absolute output of the norms, summed over all of them: F_emb of Muralidharan et al. 2024,
    "Compact language models via pruning and knowledge distillation", "Importance analysis"."""
    heads: list[Tensor]
    """[heads] each: the mean length of what a head adds to the hidden state, its output times its part of the output
    projection. F_head there is the length before the projection, which a small projection can undo."""
    neurons: list[Tensor]
    """[neurons] each: the root mean square activation, times the length of the neuron's output weights (F_neuron there
    is the activation alone). About its mean where the output has a bias, since that can take up the mean: the root of the
    fluctuation of An et al. 2024, "Fluctuation-based adaptive structured pruning for large language models"."""
    neuron_means: list[Tensor]
    """[neurons] each: the mean activation, which the output's bias takes up when the neuron goes."""
    pooled: Tensor
    """[hidden width]: the same of the classifier's inputs. What the pooler makes are no hidden states: the i-th of them has
    nothing to do with hidden dimension i."""
    pooled_means: Tensor
    """[hidden width]: the mean of each of them."""
    query_key: list[Tensor]
    """[heads, head size] each: mean absolute query times mean absolute key, by dimension: its part of the scores."""
    value: list[Tensor]
    """[heads, head size] each: the mean absolute output of the attention times the length of its output weights."""


def importances(model: Any, batches: Sequence[Batch]) -> Importance:
    """The importance of a model's units by their activations on calibration batches: one forward pass, no gradients.

    Of each activation a sum over tokens is kept, so that memory does not grow with the number of batches. Padding is left
    out.

    Args:
        model: a sequence classifier; it is left as it was.
        batches: calibration inputs; a few hundred rows do.

    Raises:
        CompressError: there are no batches, or the family is unknown.
    """
    if not batches:
        raise CompressError("Importance needs calibration rows, and there are none. Use a larger calibration set.")
    architecture = family(model.config)
    layers = list(model.get_submodule(architecture.layers))
    norms = list(hidden_norms(model).values())
    heads = int(getattr(model.config, architecture.head_count))
    means = TokenMeans()
    classifier = model.get_submodule(architecture.classifier)
    hooks = _hooks(means, layers, norms, architecture, heads)
    means.over(model, batches, [*hooks, classifier.register_forward_pre_hook(_inputs(means, "pooled"))])
    mixers = [_weights(layer, architecture.attention_output) for layer in layers]
    outputs = [layer.get_submodule(architecture.ffn_out) for layer in layers]
    count = range(len(layers))
    return Importance(
        hidden=torch.stack([means[f"norm {index}"] for index in range(len(norms))]).sum(dim=0),
        heads=[means[f"heads {index}"] for index in count],
        neurons=[_variation(means, f"neurons {index}", output) for index, output in enumerate(outputs)],
        neuron_means=[means[f"neurons {index}"] for index in count],
        pooled=_variation(means, "pooled", classifier),
        pooled_means=means["pooled"],
        query_key=[(means[f"query {index}"] * means[f"key {index}"]).view(heads, -1) for index in count],
        value=[(means[f"value {index}"] * mixers[index].norm(dim=0)).view(heads, -1) for index in count],
    )


def _weights(layer: nn.Module, path: str) -> Tensor:
    return layer.get_submodule(path).get_parameter("weight").detach().float()


def _variation(means: TokenMeans, name: str, output: nn.Module) -> Tensor:
    """The root mean square of inputs (around their mean if a bias can absorb it) times their weights."""
    taken_up = means.exact(name) ** 2 if output.bias is not None else 0
    spread = (means.exact(f"squared {name}") - taken_up).clamp(min=0).sqrt().float()
    return spread * output.get_parameter("weight").detach().float().norm(dim=0)


def hidden_norms(model: Any) -> dict[str, nn.LayerNorm]:
    """The norms over hidden states, by name: not that of embeddings of a width of their own, nor that of a pooler."""
    architecture = family(model.config)
    norms = {name: part for name, part in model.named_modules() if isinstance(part, nn.LayerNorm)}
    norms.pop(architecture.pooler_norm, None)
    own = f"{architecture.embeddings}." if projects_embeddings(model) else None
    return {name: part for name, part in norms.items() if own is None or not name.startswith(own)}


class TokenMeans:
    """Means over the tokens of calibration batches, by name; memory does not grow with the number of batches."""

    def __init__(self) -> None:
        self.tokens = torch.ones(0, 0, dtype=torch.bool)
        """Which tokens of this batch are no padding, [batch, tokens]."""
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def __getitem__(self, name: str) -> Tensor:
        return self.exact(name).float()

    def exact(self, name: str) -> Tensor:
        """In fp64: a mean square less a squared mean leaves few digits."""
        return self._sums[name] / self._counts[name]

    def add(self, name: str, values: Tensor) -> None:
        """Values [batch, tokens, width]; those of other shapes, of poolers and of position tables, are taken whole."""
        by_token = values.ndim == 3 and values.shape[:2] == self.tokens.shape
        rows = values[self.tokens] if by_token else values.flatten(0, -2)
        self._sums[name] = self._sums.get(name, 0) + rows.double().sum(dim=0)
        self._counts[name] = self._counts.get(name, 0) + len(rows)

    def over(self, model: Any, batches: Sequence[Batch], hooks: Sequence[RemovableHandle]) -> None:
        """Run the model over the batches while its hooks call `add`, and remove them."""
        try:
            with evaluating(model):
                for batch in batches:
                    inputs = {name: value.to(model.device) for name, value in batch.items()}
                    self.tokens = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"])).bool()
                    model(**inputs)
        finally:
            for hook in hooks:
                hook.remove()


def _hooks(
    means: TokenMeans,
    layers: Sequence[nn.Module],
    norms: Sequence[nn.Module],
    architecture: Architecture,
    heads: int,
) -> list[RemovableHandle]:
    hooks = [norm.register_forward_hook(_output(means, f"norm {index}")) for index, norm in enumerate(norms)]
    for index, layer in enumerate(layers):
        part = layer.get_submodule
        mixer = _weights(layer, architecture.attention_output)
        hooks += [
            part(architecture.query).register_forward_hook(_projected(means, f"query {index}", 0, architecture)),
            part(architecture.key).register_forward_hook(_projected(means, f"key {index}", 1, architecture)),
            part(architecture.attention_output).register_forward_pre_hook(_mixed(means, index, mixer, heads)),
            part(architecture.ffn_out).register_forward_pre_hook(_inputs(means, f"neurons {index}")),
        ]
    return hooks


def _output(means: TokenMeans, name: str) -> Callable[..., None]:
    return lambda _module, _inputs, output: means.add(name, output.abs())


def _inputs(means: TokenMeans, name: str) -> Callable[..., None]:
    def hook(_module: nn.Module, inputs: tuple[Tensor]) -> None:
        means.add(name, inputs[0])
        means.add(f"squared {name}", inputs[0].double() ** 2)

    return hook


def _projected(means: TokenMeans, name: str, third: int, architecture: Architecture) -> Callable[..., None]:
    def hook(_module: nn.Module, _inputs: tuple[Tensor], output: Tensor) -> None:
        if output.shape[:2] == means.tokens.shape:  # DeBERTa's project its table of positions as well
            means.add(name, (output.chunk(3, dim=-1)[third] if architecture.fused_qkv else output).abs())

    return hook


def _mixed(means: TokenMeans, index: int, weight: Tensor, heads: int) -> Callable[..., None]:
    by_head = weight.unflatten(1, (heads, -1))  # [hidden, heads, head size]
    # |W x|^2 = x' (W'W) x, so that no tensor of [tokens, heads, hidden] is made.
    gram = torch.einsum("ohi,ohj->hij", by_head, by_head)

    def hook(_module: nn.Module, inputs: tuple[Tensor]) -> None:
        means.add(f"value {index}", inputs[0].abs())
        outputs = inputs[0].float().unflatten(-1, (heads, -1))
        squared = torch.einsum("bthj,bthj->bth", torch.einsum("bthi,hij->bthj", outputs, gram), outputs)
        means.add(f"heads {index}", squared.clamp(min=0).sqrt())

    return hook
