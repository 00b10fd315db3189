"""What the layers of an encoder cost, in parameters or multiplications, by how many heads and neurons they have.

With hidden width w, head size d and n tokens, one row, in one layer:

    a head      query, key, value and output: 4 w d parameters, 3 d biases;  4 w d n + 2 d n^2 MACs (both products)
    a neuron    in and out: 2 w parameters, 1 bias (3 w and 2 where gated);  2 w n MACs (3 w n)
    the rest    output biases and norms: parameters alone

A head of DeBERTa projects its table of r relative positions, w d r each for queries and keys, and multiplies with it: d n r
each. MACs are those of matrix products (two operations each); softmax, norms and activations are not counted, nor are
embeddings, pooler and classifier, which pruning leaves alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from compress.architectures.architecture import Architecture
from compress.architectures.families import family
from compress.distillation.student import layer_count
from compress.errors import CompressError
from compress.pruning.units import Units, own_layers, units

Table = tuple[float, ...]
"""The cost of 0, 1, 2, ... units of a layer."""


@dataclass(frozen=True)
class Costs:
    """The costs of layers by their counts."""

    unit: str
    """`parameters`, `MACs` or `milliseconds`."""
    attention: tuple[Table, ...]
    """By number of heads; one table a layer."""
    ffn: tuple[Table, ...]
    """By number of neurons; one table a layer."""
    rest: float = 0.0
    """Of what has neither heads nor neurons, of all layers together."""

    def total(self, heads: Sequence[int], neurons: Sequence[int]) -> float:
        """The cost of an encoder whose layers have these counts."""
        pairs = [*zip(self.attention, heads, strict=True), *zip(self.ffn, neurons, strict=True)]
        return self.rest + sum(table[count] for table, count in pairs)

    def of(self, units: Units) -> float:
        """The cost of an encoder of these units."""
        return self.total(units.heads, units.neurons)

    def share(self, units: Units, original: Units) -> float:
        """Its share of the cost of the original, 0 to 1."""
        return self.of(units) / self.of(original)

    @property
    def are_linear(self) -> bool:
        """Whether each head costs as much as any other, and each neuron; measured milliseconds do not."""
        for tables in (self.attention, self.ffn):
            each = tables[0][1] - tables[0][0]
            for table in tables:
                if any(abs(cost - each * count) > 1e-9 * abs(table[-1]) for count, cost in enumerate(table)):
                    return False
        return True


def linear(unit: str, head: float, neuron: float, units: Units, *, rest: float = 0.0) -> Costs:
    """Costs that are so much a head and so much a neuron, up to the counts of `units`."""
    return Costs(
        unit,
        tuple(tuple(head * count for count in range(heads + 1)) for heads in units.heads),
        tuple(tuple(neuron * count for count in range(neurons + 1)) for neurons in units.neurons),
        rest,
    )


def parameters(model: Any) -> Costs:
    """Parameters of the layers; those of shared layers count once."""
    found, architecture = units(model), family(model.config)
    layers = own_layers(model)
    head, neuron = _parameters_of_units(layers[0], architecture, found)
    total = sum(parameter.numel() for layer in layers for parameter in layer.parameters())
    rest = total - head * sum(found.heads) - neuron * sum(found.neurons)
    return linear("parameters", head, neuron, found, rest=rest)


def macs(model: Any, length: int) -> Costs:
    """Multiply-accumulate operations of all layers for one row of `length` tokens; shared layers count as often as applied.

    Raises:
        CompressError: the length is below 1.
    """
    if length < 1:
        raise CompressError(f"MACs are counted for rows of at least 1 token, not {length}. Give a length.")
    found, architecture = units(model), family(model.config)
    layers = own_layers(model)
    applied = layer_count(model.config) / len(layers)
    width = int(getattr(model.config, architecture.hidden_width))
    head = 4 * width * found.head_size * length + 2 * found.head_size * length**2
    head += _position_macs(model.config, width, found.head_size, length)
    neuron = (3 if architecture.gated_ffn else 2) * width * length
    return linear("MACs", applied * head, applied * neuron, found)


def _parameters_of_units(layer: nn.Module, architecture: Architecture, found: Units) -> tuple[int, int]:
    """Parameters that go with one head and with one neuron."""
    paths = dict.fromkeys((architecture.query, architecture.key, architecture.value))  # one module of all three: once
    for path in (architecture.position_query, architecture.position_key):
        if path and any(name == path for name, _ in layer.named_modules()):
            paths[path] = None
    made = sum(parameter.numel() for path in paths for parameter in layer.get_submodule(path).parameters())
    mixed = layer.get_submodule(architecture.attention_output).get_parameter("weight").numel()
    neurons = sum(parameter.numel() for parameter in layer.get_submodule(architecture.ffn_in).parameters())
    neurons += layer.get_submodule(architecture.ffn_out).get_parameter("weight").numel()
    return (made + mixed) // found.heads[0], neurons // found.neurons[0]


def _position_macs(config: Any, width: int, head_size: int, length: int) -> int:
    """Of the relative positions of one head of DeBERTa, at one row in a batch; 0 in other families."""
    if not getattr(config, "relative_attention", False):
        return 0
    furthest = config.max_relative_positions if config.max_relative_positions >= 1 else config.max_position_embeddings
    positions = 2 * (config.position_buckets if getattr(config, "position_buckets", -1) > 0 else furthest)
    kinds = sum(kind in config.pos_att_type for kind in ("c2p", "p2c"))
    projected = 2 if config.share_att_key else kinds
    return projected * width * head_size * positions + kinds * head_size * length * positions
