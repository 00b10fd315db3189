"""The cost of a model's layers in parameters or MACs, as a function of their heads and neurons.

With hidden width w, head size d and n tokens, one row, in one layer:

    a head      query, key, value and output: 4 w d parameters, 3 d biases;  4 w d n + 2 d n^2 MACs (both products)
    a neuron    in and out: 2 w parameters, 1 bias (3 w and 2 where gated);  2 w n MACs (3 w n)
    the rest    output biases and norms: parameters alone

A group of g heads of queries that read one of keys and values has 2 w d (g + 1) parameters, and products of g heads. Attention
to an encoder's n states by m tokens makes queries and output for m, keys and values for n: 2 w d m + 2 w d n + 2 d n m.
A head of DeBERTa projects its table of r relative positions, w d r each for queries and keys, and multiplies with it: d n r
each. MACs are those of matrix products (two operations each); softmax, norms and activations are not counted, nor are
embeddings, pooler and head, which pruning leaves alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from compress.core.errors import CompressError
from compress.models.families.blocks import Block, attentions, feed_forwards, hidden_width
from compress.models.families.families import family
from compress.models.families.matrices import weight_of
from compress.models.layers import layer_count
from compress.pruning.units import Units, own_layers, units

Table = tuple[float, ...]
"""The cost of 0, 1, 2, ... units of a layer."""


@dataclass(frozen=True)
class Costs:
    """The costs of layers by their counts."""

    unit: str
    """`parameters`, `MACs` or `milliseconds`."""
    attention: tuple[Table, ...]
    """By number of heads; one table for each attention of `compress.models.families.blocks`."""
    ffn: tuple[Table, ...]
    """By number of neurons; one table for each feed-forward network."""
    rest: float = 0.0
    """Of what has neither heads nor neurons, of all layers together."""

    def total(self, heads: Sequence[int], neurons: Sequence[int]) -> float:
        """The cost of layers that have these counts."""
        pairs = [*zip(self.attention, heads, strict=True), *zip(self.ffn, neurons, strict=True)]
        return self.rest + sum(table[count] for table, count in pairs)

    def of(self, units: Units) -> float:
        """The cost of layers of these units."""
        return self.total(units.heads, units.neurons)

    def share(self, units: Units, original: Units) -> float:
        """Its share of the cost of the original, 0 to 1."""
        return self.of(units) / self.of(original)

    @property
    def are_linear(self) -> bool:
        """Whether all heads cost the same, and all neurons; measured latencies do not."""
        for tables in (self.attention, self.ffn):
            each = tables[0][1] - tables[0][0]
            for table in tables:
                if any(abs(cost - each * count) > 1e-9 * abs(table[-1]) for count, cost in enumerate(table)):
                    return False
        return True


def linear(
    unit: str, head: float | Sequence[float], neuron: float | Sequence[float], units: Units, *, rest: float = 0.0
) -> Costs:
    """Costs that are constant per head and per neuron, up to the counts of `units`; in all blocks, or in each."""
    heads = head if isinstance(head, Sequence) else [head] * len(units.heads)
    neurons = neuron if isinstance(neuron, Sequence) else [neuron] * len(units.neurons)
    return Costs(
        unit,
        tuple(tuple(each * count for count in range(most + 1)) for each, most in zip(heads, units.heads, strict=True)),
        tuple(
            tuple(each * count for count in range(most + 1)) for each, most in zip(neurons, units.neurons, strict=True)
        ),
        rest,
    )


def parameters(model: Any) -> Costs:
    """Parameters of the layers; those of shared layers count once."""
    found = units(model)
    heads, neurons = (
        [_parameters_of_unit(block) for block in blocks] for blocks in (attentions(model), feed_forwards(model))
    )
    total = sum(parameter.numel() for layer in own_layers(model) for parameter in layer.parameters())
    gone = sum(each * count for each, count in zip([*heads, *neurons], [*found.heads, *found.neurons], strict=True))
    return linear("parameters", heads, neurons, found, rest=total - gone)


def macs(model: Any, length: int, written: int | None = None) -> Costs:
    """Multiply-accumulate operations of all layers for one row of `length` tokens; shared layers count as often as applied.

    Args:
        written: of an encoder-decoder, how many tokens its decoder reads; as many as the encoder where not said.

    Raises:
        CompressError: a length is below 1.
    """
    written = length if written is None else written
    if min(length, written) < 1:
        raise CompressError(
            f"MACs are counted for rows of at least 1 token, not {min(length, written)}. Give a length."
        )
    config, architecture = model.config, family(model.config)
    applied = layer_count(config) / len(own_layers(model)) if architecture.shares_layers else 1
    decoder = architecture.decoder
    heads, neurons = (
        [
            applied
            * _macs_of_unit(block, length, written if decoder and block.stack.layers == decoder.layers else length)
            for block in blocks
        ]
        for blocks in (attentions(model), feed_forwards(model))
    )
    positions = applied * _position_macs(config, hidden_width(config), units(model).head_size, length)
    return linear("MACs", [head + positions for head in heads], neurons, units(model))


def _parameters_of_unit(block: Block) -> int:
    """The parameters of one unit."""
    made = sum(parameter.numel() for maker in block.makers for parameter in maker.module.parameters())
    return (made + weight_of(block.output).numel()) // block.count


def _macs_of_unit(block: Block, encoded: int, tokens: int) -> float:
    """The MACs of one unit.

    Args:
        encoded: tokens of the encoder's states.
        tokens: tokens of the block's own stack.
    """
    read = {"tokens": tokens, "encoder": encoded, "positions": 0}
    total = weight_of(block.output).numel() * tokens
    total += sum(weight_of(maker.module).numel() * read[maker.reads] for maker in block.makers)
    products = 2 * block.width * tokens * (encoded if block.is_cross else tokens) if block.attention is not None else 0
    return total / block.count + products


def _position_macs(config: Any, width: int, head_size: int, length: int) -> int:
    """The MACs of the relative positions of one DeBERTa head, for one row; 0 in other families."""
    if not getattr(config, "relative_attention", False):
        return 0
    furthest = config.max_relative_positions if config.max_relative_positions >= 1 else config.max_position_embeddings
    positions = 2 * (config.position_buckets if getattr(config, "position_buckets", -1) > 0 else furthest)
    kinds = sum(kind in config.pos_att_type for kind in ("c2p", "p2c"))
    projected = 2 if config.share_att_key else kinds
    return projected * width * head_size * positions + kinds * head_size * length * positions
