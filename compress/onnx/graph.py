"""A graph with its cross-references: who makes a value, who reads it, which values are constants."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from compress.errors import CompressError


class Graph:
    """An ONNX model being rewritten. Cross-references are built once and kept up to date by the methods below."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.constants: dict[str, np.ndarray] = {}
        self.nodes: list[onnx.NodeProto] = []
        for item in model.graph.initializer:
            self.constants[item.name] = numpy_helper.to_array(item)
        for node in model.graph.node:
            if node.op_type == "Constant" and len(node.attribute) == 1 and node.attribute[0].name == "value":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            else:
                self.nodes.append(node)
        self._taken = {name for node in self.nodes for name in (*node.input, *node.output)} | set(self.constants)
        self.refresh()

    @classmethod
    def load(cls, path: Path) -> Graph:
        """Raises CompressError where the file is missing, corrupt, or holds no graph."""
        try:
            model = onnx.load(str(path))
        except Exception as error:  # protobuf's DecodeError, OSError, onnx's own: all mean the same to the user
            raise CompressError(f"{path} cannot be read as ONNX: {error}. Export the model again.") from error
        if not model.graph.output:
            raise CompressError(f"{path} holds no graph. Export the model again.")
        return cls(model)

    def save(self, path: Path) -> None:
        """Write the model, without the constants and values that nothing reads any more."""
        self.sort()
        graph = self.model.graph
        read = {name for node in self.nodes for name in node.input} | {value.name for value in graph.output}
        del graph.node[:]
        graph.node.extend(self.nodes)
        del graph.initializer[:]
        for name, value in self.constants.items():
            if name in read:
                graph.initializer.append(numpy_helper.from_array(np.array(value, order="C"), name))
        del graph.value_info[:]
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(self.model, str(path))

    # Reading

    @property
    def inputs(self) -> list[str]:
        return [value.name for value in self.model.graph.input if value.name not in self.constants]

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

    def remove_dead(self) -> None:
        """Drop the nodes that no output depends on."""
        wanted = set(self.outputs)
        kept = []
        self.sort()
        for node in reversed(self.nodes):
            if any(name in wanted for name in node.output):
                kept.append(node)
                wanted.update(node.input)
        self.nodes = kept[::-1]
        self.refresh()

    def sort(self) -> None:
        """Put the nodes in an order in which each value is made before it is read."""
        ready = {*self.inputs, *self.constants, ""}
        waiting, ordered = list(self.nodes), []
        while waiting:
            later = []
            for node in waiting:
                if all(name in ready for name in node.input):
                    ordered.append(node)
                    ready.update(node.output)
                else:
                    later.append(node)
            if len(later) == len(waiting):
                missing = sorted({name for node in later for name in node.input} - ready)
                raise CompressError(f"The graph is not a graph: nothing makes {', '.join(missing[:3])}.")
            waiting = later
        self.nodes = ordered

    def refresh(self) -> None:
        self._makers = {name: node for node in self.nodes for name in node.output if name}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """The value of a node's attribute, or `default`."""
    for item in node.attribute:
        if item.name == name:
            return helper.get_attribute_value(item)
    return default
