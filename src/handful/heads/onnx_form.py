"""The ONNX form of a head, built node by node: ``embedding`` in, one result out."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from handful.core import Array

INPUT = "embedding"
_OPSET, _IR_VERSION = 17, 8


class OnnxForm:
    """A graph under construction.

    Parameters
    ----------
    name : str
        Name of the graph.

    Examples
    --------
    >>> form = OnnxForm("double")
    >>> model = form.model(form.node("Mul", INPUT, form.constant(2.0)), "logits", 3, 3)
    >>> [output.name for output in model.graph.output]
    ['logits']
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[TensorProto] = []

    def constant(self, value: Array | np.float32 | float, dtype: type = np.float32) -> str:
        """Add a constant; return its name."""
        name = f"{self.name}.constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output; return the name of the output."""
        return self.nodes(kind, *inputs, n_outputs=1, **attributes)[0]

    def nodes(self, kind: str, *inputs: str, n_outputs: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs; return their names."""
        base = f"{self.name}.{kind}{len(self._nodes)}"
        outputs = [base if i == 0 else f"{base}.{i}" for i in range(n_outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), outputs, name=base, **attributes))
        return outputs

    def linear(self, x: str, weight: Array, bias: Array) -> str:
        """Add ``x @ weight + bias``, weight of shape (n_features, n_outputs)."""
        return self.node("Gemm", x, self.constant(weight), self.constant(bias))

    def joined(
        self, parts: dict[str, onnx.ModelProto], result: str, output: str, dim: int, width: int
    ) -> onnx.ModelProto:
        """Return the model that runs others on the vector first.

        Parameters
        ----------
        parts : dict of str to onnx.ModelProto
            Heads' models by a prefix: the nodes here read ``PREFIX`` and the name of an output.
        result, output, dim, width
            As for `model`.
        """
        before = []
        for prefix, part in parts.items():
            graph = compose.add_prefix(part, prefix).graph
            before.append(helper.make_node("Identity", [INPUT], [graph.input[0].name]))
            before += list(graph.node)
            self._constants += list(graph.initializer)
        self._nodes = before + self._nodes
        return self.model(result, output, dim, width)

    def model(self, result: str, output: str, dim: int, width: int | None) -> onnx.ModelProto:
        """Return the checked model whose ``output`` is ``result``.

        Parameters
        ----------
        result : str
            Name of the value to return.
        output : str
            Name of the model's output.
        dim : int
            Length of a vector.
        width : int or None
            Columns of the output; None makes it one number a row.
        """
        self._nodes.append(helper.make_node("Identity", [result], [output], name=output))
        shape: list[str | int] = ["n"] if width is None else ["n", width]
        graph = helper.make_graph(
            self._nodes,
            self.name,
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", dim])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
            self._constants,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
            producer_name="handful",
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def divided(model: onnx.ModelProto, temperature: float) -> onnx.ModelProto:
    """Return a copy of a head's model with its logits divided by ``temperature``."""
    scaled = onnx.ModelProto()
    scaled.CopyFrom(model)
    graph = scaled.graph
    output = graph.output[0].name
    unscaled, factor = (f"{output}.{part}{len(graph.node)}" for part in ("undivided", "divisor"))
    for node in graph.node:
        node.output[:] = [unscaled if name == output else name for name in node.output]
    graph.initializer.append(numpy_helper.from_array(np.asarray(temperature, np.float32), factor))
    graph.node.append(helper.make_node("Div", [unscaled, factor], [output], name=f"{factor}.div"))
    onnx.checker.check_model(scaled, full_check=True)
    return scaled
