"""A graph with its cross-references: who makes a value, who reads it, which values are constants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from compress.core.errors import CompressError

LARGEST_BYTES = 2**31 - 2**20
"""Of a file's weights; protobuf refuses messages of 2 GiB."""


class Graph:
    """An ONNX model being rewritten. Cross-references are built once and kept up to date by the methods below."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.constants: dict[str, np.ndarray] = {}
        self.nodes: list[onnx.NodeProto] = []
        for item in model.graph.initializer:
            self.constants[item.name] = numpy_helper.to_array(item)
        # Old files list their weights among the inputs too; a weight that a rewrite drops must not be asked for.
        inputs = [value for value in model.graph.input if value.name not in self.constants]
        del model.graph.input[:]
        model.graph.input.extend(inputs)
        for node in model.graph.node:
            if node.op_type == "Constant" and len(node.attribute) == 1 and node.attribute[0].name == "value":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            else:
                self.nodes.append(node)
        self._taken = {name for node in self.nodes for name in (*node.input, *node.output)} | set(self.constants)
        self.refresh()

    @classmethod
    def load(cls, path: Path) -> Graph:
        """Raises CompressError where the file is missing, corrupt, or holds no graph, or a constant in it cannot be read."""
        try:
            model = onnx.load(str(path))
        except Exception as error:  # protobuf's DecodeError, OSError, onnx's own: all mean the same to the user
            raise CompressError(f"{path} cannot be read as ONNX: {_reason(error)}. Export the model again.") from error
        if not model.graph.output:
            raise CompressError(f"{path} holds no graph. Export the model again.")
        try:
            return cls(model)
        except (
            Exception
        ) as error:  # of a tensor whose type, shape and bytes do not belong together numpy says many things
            raise CompressError(
                f"{path} holds a constant that cannot be read ({_reason(error)}). Export the model again."
            ) from error

    def save(self, path: Path) -> None:
        """Write the model, without unused constants and values.

        Raises CompressError where it passes protobuf's 2 GiB.
        """
        self.sort()
        graph = self.model.graph
        read = {name for node in self.nodes for name in _reads(node)} | {value.name for value in graph.output}
        del graph.node[:]
        graph.node.extend(self.nodes)
        del graph.initializer[:]
        size = sum(value.nbytes for name, value in self.constants.items() if name in read)
        if size > LARGEST_BYTES:
            raise CompressError(
                f"{path.name} would hold {size / 2**30:.1f} GiB of weights while it is rewritten, and one ONNX file holds 2 at "
                "most. Distil or prune the model first."
            )
        for name, value in self.constants.items():
            if name in read:
                graph.initializer.append(numpy_helper.from_array(np.array(value, order="C"), name))
        del graph.value_info[:]
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(self.model, str(path))

    # Reading

    @property
    def inputs(self) -> list[str]:
        return [value.name for value in self.model.graph.input]

    @property
    def outputs(self) -> list[str]:
        return [value.name for value in self.model.graph.output]

    def maker(self, name: str, *operators: str) -> onnx.NodeProto | None:
        """The node that makes `name`, if it is one of `operators` (any, when none is named)."""
        node = self._makers.get(name)
        return node if node is not None and (not operators or node.op_type in operators) else None

    def readers(self, name: str) -> list[onnx.NodeProto]:
        return list(self._readers.get(name, ()))

    def only_reader(self, name: str, *operators: str) -> onnx.NodeProto | None:
        """The single node that reads `name`, where it is no output of the model and one of `operators`."""
        found = self._readers.get(name, [])
        if len(found) != 1 or name in self.outputs:
            return None
        return found[0] if not operators or found[0].op_type in operators else None

    def constant(self, name: str) -> np.ndarray | None:
        return self.constants.get(name)

    def opset(self, domain: str = "") -> int:
        return max((item.version for item in self.model.opset_import if item.domain == domain), default=0)

    # Writing

    def fresh(self, stem: str) -> str:
        name, number = stem, 1
        while name in self._taken:
            name, number = f"{stem}_{number}", number + 1
        self._taken.add(name)
        return name

    def add_constant(self, stem: str, value: np.ndarray) -> str:
        name = self.fresh(stem)
        self.constants[name] = np.asarray(value)
        return name

    def add(
        self, operator: str, inputs: Iterable[str], *, stem: str, outputs: int = 1, domain: str = "", **attributes: Any
    ) -> list[str]:
        """Add a node; its outputs' names. Nodes are put in order when the graph is saved or sorted."""
        names = [self.fresh(stem if outputs == 1 else f"{stem}_{number}") for number in range(outputs)]
        self.insert(
            helper.make_node(operator, list(inputs), names, name=self.fresh(f"{stem}/{operator}"), **attributes), domain
        )
        return names

    def insert(self, node: onnx.NodeProto, domain: str = "") -> None:
        if domain:
            node.domain = domain
            if not self.opset(domain):
                self.model.opset_import.append(helper.make_opsetid(domain, 1))
        self.nodes.append(node)
        self._taken.update((*node.output, node.name))
        for name in node.output:
            self._makers[name] = node
        for name in node.input:
            self._readers.setdefault(name, []).append(node)

    def replace(self, old: str, new: str, *, readers: Iterable[onnx.NodeProto] | None = None) -> None:
        """Make every reader of `old` (or the given ones) read `new`. A model output must not be replaced."""
        for node in list(self.readers(old) if readers is None else readers):
            for position, name in enumerate(node.input):
                if name == old:
                    node.input[position] = new
                    self._readers[old] = [other for other in self._readers[old] if other is not node]
                    self._readers.setdefault(new, []).append(node)

    def take_over(self, node: onnx.NodeProto, value: str) -> None:
        """Let `value` stand for what `node` made, for its readers and as the model's output; `node` is then dead."""
        old = node.output[0]
        self.replace(old, value)
        if old not in self.outputs:
            return
        maker = self._makers[value]
        maker.output[list(maker.output).index(value)] = old
        node.output[0] = self.fresh(f"{old}.before")
        self._makers |= {old: maker, node.output[0]: node}
        self.replace(value, old)

    def remove_dead(self) -> None:
        """Drop the nodes that no output depends on."""
        wanted = set(self.outputs)
        kept = []
        self.sort()
        for node in reversed(self.nodes):
            if any(name in wanted for name in node.output):
                kept.append(node)
                wanted.update(_reads(node))
        self.nodes = kept[::-1]
        self.refresh()

    def sort(self) -> None:
        """Put the nodes in an order in which each value is made before it is read."""
        makers = {name: node for node in self.nodes for name in node.output if name}
        ordered: list[onnx.NodeProto] = []
        state: dict[int, str] = {}  # by node: entered, or done
        for start in self.nodes:
            stack = [start]
            while stack:
                node = stack[-1]
                if state.get(id(node)) == "done":
                    stack.pop()
                    continue
                before = [makers[name] for name in _reads(node) if name in makers]
                waiting = [other for other in before if state.get(id(other)) != "done"]
                if not waiting:
                    state[id(node)] = "done"
                    ordered.append(stack.pop())
                elif state.get(id(node)) == "entered" and any(state.get(id(other)) == "entered" for other in waiting):
                    raise CompressError(f"The graph runs in a circle at '{node.output[0]}'. Export the model again.")
                else:
                    state[id(node)] = "entered"
                    stack.extend(reversed(waiting))
        self.nodes = ordered

    def refresh(self) -> None:
        self._makers = {name: node for node in self.nodes for name in node.output if name}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in _reads(node):
                self._readers.setdefault(name, []).append(node)


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).split("\n", 1)[0].rstrip(".")[:200]


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """The names a node reads, those that the branches of an If or the body of a Loop read from outside among them."""
    yield from node.input
    for item in node.attribute:
        if item.type == onnx.AttributeProto.GRAPH:
            for inner in item.g.node:
                yield from _reads(inner)


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """The value of a node's attribute, or `default`."""
    for item in node.attribute:
        if item.name == name:
            return helper.get_attribute_value(item)
    return default
