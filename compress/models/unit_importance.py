"""Importance of each neuron, head and hidden dimension, measured in one pass over calibration batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from compress.core.errors import CompressError
from compress.core.labels import LABELS, NO_LABEL
from compress.models.families.architecture import Architecture
from compress.models.families.blocks import Block, attentions, feed_forwards
from compress.models.families.families import family
from compress.models.families.matrices import weight_of
from compress.models.forward import run_layers
from compress.models.kinds import kind_of_model
from compress.models.layers import Batch, classifier_path, evaluating, projects_embeddings

Side = Literal["read", "written"]
"""Whose tokens: those that a model reads, or those that an encoder-decoder's decoder writes."""


@dataclass(frozen=True)
class Importance:
    """The larger, the more is lost without it. Lists are by attention, or by feed-forward network, in the order of
    `compress.models.families.blocks`; ALBERT's shared layer counts once.

    Only the order within one tensor means something: which of its entries to keep.
    """

    hidden: Tensor
    """[hidden width]: the mean absolute output of the norms, summed over all of them: F_emb of Muralidharan et al. 2024,
    "Compact language models via pruning and knowledge distillation", "Importance analysis". Encoder and decoder share their
    embeddings, so that both count."""
    heads: list[Tensor]
    """[heads] each: the mean length of what a head adds to the hidden state, its output times its part of the output
    projection. F_head there is the length before the projection, which a small projection can undo. Of heads that share
    one of keys and values, [groups]: what a group adds."""
    neurons: list[Tensor]
    """[neurons] each: the root mean square activation, times the length of the neuron's output weights (F_neuron there
    is the activation alone). About its mean where the output has a bias, since that can take up the mean: the root of the
    fluctuation of An et al. 2024, "Fluctuation-based adaptive structured pruning for large language models"."""
    neuron_means: list[Tensor]
    """[neurons] each: the mean activation, which the output's bias takes up when the neuron goes."""
    pooled: Tensor
    """[hidden width]: the same of the classifier's inputs; of a generative model [0]. What the pooler makes are no hidden
    states: the i-th of them has nothing to do with hidden dimension i."""
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
        model: a sequence classifier or a generative model; it is left as it was.
        batches: calibration inputs, of a generative model with `labels`; a few hundred rows do.

    Raises:
        CompressError: there are no batches, or the family is unknown.
    """
    if not batches:
        raise CompressError("Importance needs calibration rows, and there are none. Use a larger calibration set.")
    blocks, networks = attentions(model), feed_forwards(model)
    means = TokenMeans()
    hooks = [
        *_norm_hooks(means, model),
        *(hook for index, block in enumerate(blocks) for hook in _attention_hooks(means, index, block)),
        *(
            network.output.register_forward_pre_hook(_inputs(means, f"neurons {index}", side_of(network.stack)))
            for index, network in enumerate(networks)
        ),
    ]
    classifier = _classifier(model)
    if classifier is not None:
        hooks.append(classifier.register_forward_pre_hook(_inputs(means, "pooled")))
    means.over(model, batches, hooks)
    none = torch.zeros(0)
    return Importance(
        hidden=torch.stack([means[f"norm {index}"] for index in range(len(hidden_norms(model)))]).sum(dim=0),
        heads=[means[f"heads {index}"] for index in range(len(blocks))],
        neurons=[_variation(means, f"neurons {index}", network.output) for index, network in enumerate(networks)],
        neuron_means=[means[f"neurons {index}"] for index in range(len(networks))],
        pooled=none if classifier is None else _variation(means, "pooled", classifier),
        pooled_means=none if classifier is None else means["pooled"],
        query_key=[_query_key(means, index, block) for index, block in enumerate(blocks)],
        value=[_value(means, index, block) for index, block in enumerate(blocks)],
    )


def _classifier(model: Any) -> Any:
    path = classifier_path(model)
    return model.get_submodule(path) if path else None


def _matrix(module: nn.Module) -> Tensor:
    """A linear module's weight as [outputs, inputs], in fp32."""
    return weight_of(module).detach().float()


def _variation(means: TokenMeans, name: str, output: Any) -> Tensor:
    """The root mean square of inputs (around their mean if a bias can absorb it) times their weights."""
    taken_up = means.exact(name) ** 2 if output.bias is not None else 0
    spread = (means.exact(f"squared {name}") - taken_up).clamp(min=0).sqrt().float()
    return spread * _matrix(output).norm(dim=0)


def _query_key(means: TokenMeans, index: int, block: Block) -> Tensor:
    key = means[f"key {index}"].view(block.count, -1)
    query = means[f"query {index}"].view(block.count, -1, key.shape[1])  # [groups, heads of a group, head size]
    return query.mean(dim=1) * key


def _value(means: TokenMeans, index: int, block: Block) -> Tensor:
    size = means[f"key {index}"].shape[0] // block.count
    mixed = means[f"value {index}"] * _matrix(block.output).norm(dim=0)
    return mixed.view(block.count, -1, size).sum(dim=1)


def hidden_norms(model: Any) -> dict[str, Any]:
    """The norms over hidden states, by name, `nn.LayerNorm` or one without a mean (`is_rms`): not that of embeddings of a width
    of their own, nor that of a pooler, nor those of a head's queries and keys (Qwen3, Gemma 3)."""
    architecture = family(model.config)
    within = {id(part) for block in attentions(model) if block.attention for part in block.attention.modules()}
    norms = {
        name: part
        for name, part in model.named_modules()
        if isinstance(part, nn.LayerNorm) or (is_rms(part) and id(part) not in within)
    }
    norms.pop(architecture.pooler_norm, None)
    own = f"{architecture.embeddings}." if projects_embeddings(model) else None
    return {name: part for name, part in norms.items() if own is None or not name.startswith(own)}


def is_rms(module: nn.Module) -> bool:
    """Whether it divides by the root mean square (Zhang & Sennrich 2019, "Root mean square layer normalization"): each family of
    transformers has a class of its own for it, T5's is called T5LayerNorm."""
    return type(module).__name__.endswith(("RMSNorm", "T5LayerNorm"))


def side_of(stack: Architecture) -> Side:
    """Whose tokens pass through a stack of layers."""
    return "read" if stack.cross is None else "written"


def side_of_norm(model: Any, name: str) -> Side:
    """Whose tokens pass through a norm."""
    stack = family(model.config).stacks[-1]
    decoder = stack.layers.rpartition(".")[0]
    return side_of(stack) if name.startswith(f"{decoder}.") else "read"


class TokenMeans:
    """Means over the tokens of calibration batches, by name; memory does not grow with the number of batches."""

    def __init__(self) -> None:
        self.tokens: dict[Side, Tensor] = {}
        """True for the tokens of the current batch and false for its padding, [batch, tokens], of each side."""
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def __getitem__(self, name: str) -> Tensor:
        return self.exact(name).float()

    @property
    def names(self) -> list[str]:
        """In the order in which they were first added."""
        return list(self._sums)

    def exact(self, name: str) -> Tensor:
        """In fp64: a mean square less a squared mean leaves few digits."""
        return self._sums[name] / self._counts[name]

    def are_of_tokens(self, values: Tensor, side: Side = "read") -> bool:
        """Whether values are [batch, tokens, width], not those of a pooler or of a table of positions."""
        return values.ndim == 3 and values.shape[:2] == self.tokens[side].shape

    def add(self, name: str, values: Tensor, side: Side = "read") -> None:
        """Values [batch, tokens, width]; those of other shapes, of poolers and of position tables, are taken whole."""
        rows = values[self.tokens[side]] if self.are_of_tokens(values, side) else values.flatten(0, -2)
        self._sums[name] = self._sums.get(name, 0) + rows.double().sum(dim=0)
        self._counts[name] = self._counts.get(name, 0) + len(rows)

    def over(self, model: Any, batches: Sequence[Batch], hooks: Sequence[RemovableHandle]) -> None:
        """Run the model over the batches while its hooks call `add`, and remove them."""
        generates = kind_of_model(model).generates
        try:
            with evaluating(model):
                for batch in batches:
                    inputs = {name: value.to(model.device) for name, value in batch.items()}
                    mask = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"]))
                    self.tokens = {"read": mask.bool()}
                    if generates:
                        self.tokens["written"] = inputs[LABELS] != NO_LABEL
                    run_layers(model, inputs)
        finally:
            for hook in hooks:
                hook.remove()


def _norm_hooks(means: TokenMeans, model: Any) -> list[RemovableHandle]:
    def hook(name: str, side: Side) -> Callable[..., None]:
        return lambda _module, _inputs, output: means.add(name, output.abs(), side)

    return [
        norm.register_forward_hook(hook(f"norm {index}", side_of_norm(model, name)))
        for index, (name, norm) in enumerate(hidden_norms(model).items())
    ]


def _attention_hooks(means: TokenMeans, index: int, block: Block) -> list[RemovableHandle]:
    side = side_of(block.stack)
    fused = len(block.makers) == 1
    query, key = (block.makers[0],) * 2 if fused else block.makers[:2]
    of_keys: Side = "read" if key.reads == "encoder" else side
    widths = [width * block.count for width in block.makers[0].widths]
    places = (slice(0, widths[0]), slice(widths[0], widths[0] + widths[1])) if fused else (slice(None),) * 2
    return [
        query.module.register_forward_hook(_projected(means, f"query {index}", places[0], side)),
        key.module.register_forward_hook(_projected(means, f"key {index}", places[1], of_keys)),
        block.output.register_forward_pre_hook(_mixed(means, index, _matrix(block.output), block.count, side)),
    ]


def _inputs(means: TokenMeans, name: str, side: Side = "read") -> Callable[..., None]:
    def hook(_module: nn.Module, inputs: tuple[Tensor]) -> None:
        means.add(name, inputs[0], side)
        means.add(f"squared {name}", inputs[0].double() ** 2, side)

    return hook


def _projected(means: TokenMeans, name: str, place: slice, side: Side) -> Callable[..., None]:
    def hook(_module: nn.Module, _inputs: tuple[Tensor], output: Tensor) -> None:
        if means.are_of_tokens(output, side):  # DeBERTa's project its table of positions as well
            means.add(name, output[..., place].abs(), side)

    return hook


def _mixed(means: TokenMeans, index: int, weight: Tensor, heads: int, side: Side) -> Callable[..., None]:
    by_head = weight.unflatten(1, (heads, -1))  # [hidden, heads, head size]
    # |W x|^2 = x' (W'W) x, so that no tensor of [tokens, heads, hidden] is made.
    gram = torch.einsum("ohi,ohj->hij", by_head, by_head)

    def hook(_module: nn.Module, inputs: tuple[Tensor]) -> None:
        means.add(f"value {index}", inputs[0].abs(), side)
        outputs = inputs[0].float().unflatten(-1, (heads, -1))
        squared = torch.einsum("bthj,bthj->bth", torch.einsum("bthi,hij->bthj", outputs, gram), outputs)
        means.add(f"heads {index}", squared.clamp(min=0).sqrt(), side)

    return hook
