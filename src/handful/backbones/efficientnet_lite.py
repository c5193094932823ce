"""EfficientNet-Lite0 as an ONNX graph, written from a state dict without torch.

Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional
Neural Networks", 2019, https://arxiv.org/abs/1905.11946, in its "lite" variant:
no squeeze-and-excitation, ReLU6, a stem and a head that do not scale.

Batch normalisation and the division of the input by 128 are folded into the
convolutions. The subtraction of 127 stays a node of its own, since zero padding
comes after it. Padding is TensorFlow's "SAME", written out for the input size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from handful.core import Array, BackboneError, listed

DIM = 1280
_EPSILON = 1e-3
_STAGES = (  # kernel, stride of the first block, expansion, channels, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


@dataclass(frozen=True)
class _Block:
    name: str
    kernel: int
    stride: int
    expansion: int
    residual: bool


def _blocks() -> Iterator[_Block]:
    number, width = 0, 32
    for kernel, first_stride, expansion, channels, n_blocks in _STAGES:
        for position in range(n_blocks):
            stride = first_stride if position == 0 else 1
            yield _Block(
                f"_blocks.{number}", kernel, stride, expansion, stride == 1 and width == channels
            )
            number, width = number + 1, channels


def parameter_names() -> list[str]:
    """Return the tensors that a state dict must hold, in the network's order."""
    names = _unit_names("_conv_stem", "_bn0")
    for block in _blocks():
        if block.expansion > 1:
            names += _unit_names(f"{block.name}._expand_conv", f"{block.name}._bn0")
        names += _unit_names(f"{block.name}._depthwise_conv", f"{block.name}._bn1")
        names += _unit_names(f"{block.name}._project_conv", f"{block.name}._bn2")
    return [*names, *_unit_names("_conv_head", "_bn1"), "_fc.weight", "_fc.bias"]


def _unit_names(convolution: str, norm: str) -> list[str]:
    return [f"{convolution}.weight"] + [
        f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")
    ]


@dataclass
class _Graph:
    weights: Mapping[str, Array]
    size: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: Array) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def unit(
        self,
        x: str,
        convolution: str,
        norm: str,
        *,
        stride: int = 1,
        relu6: bool = True,
        scale: float = 1.0,
    ) -> str:
        """Append one convolution with its batch normalisation folded in; return its output."""
        weight = self.weights[f"{convolution}.weight"]
        gamma, beta, mean, var = (
            self.weights[f"{norm}.{p}"] for p in ("weight", "bias", "running_mean", "running_var")
        )
        factor = gamma / np.sqrt(var + _EPSILON)
        kernel, depthwise = weight.shape[2], weight.shape[1] == 1
        out = self.node(
            "Conv",
            [x, self.constant(f"{convolution}.weight", weight * (scale * factor)[:, None, None, None]),
             self.constant(f"{convolution}.bias", beta - mean * factor)],
            convolution,
            kernel_shape=[kernel, kernel], strides=[stride, stride], pads=self._same_pads(kernel, stride),
            group=len(weight) if depthwise else 1,
        )  # fmt: skip
        self.size = -(-self.size // stride)
        return self.node("Clip", [out, "zero", "six"], f"{convolution}.relu6") if relu6 else out

    def _same_pads(self, kernel: int, stride: int) -> list[int]:
        total = max((-(-self.size // stride) - 1) * stride + kernel - self.size, 0)
        before = total // 2
        return [before, before, total - before, total - before]

    def block(self, x: str, block: _Block) -> str:
        """Append one inverted residual; return its output."""
        inside, name = x, block.name
        if block.expansion > 1:
            inside = self.unit(inside, f"{name}._expand_conv", f"{name}._bn0")
        inside = self.unit(inside, f"{name}._depthwise_conv", f"{name}._bn1", stride=block.stride)
        inside = self.unit(inside, f"{name}._project_conv", f"{name}._bn2", relu6=False)
        return self.node("Add", [inside, x], f"{name}.add") if block.residual else inside


def efficientnet_lite0(weights: Mapping[str, Array], size: int = 224) -> onnx.ModelProto:
    """Return the network without its classifier: images in, pooled vectors out.

    Parameters
    ----------
    weights : mapping of str to ndarray
        The state dict (`parameter_names` lists what it must hold).
    size : int, default=224
        Height and width of the input in pixels, at least 32.

    Returns
    -------
    onnx.ModelProto
        ``images`` uint8 [n, size, size, 3] to ``embedding`` float32 [n, 1280].

    Raises
    ------
    BackboneError
        If a tensor is missing; the message lists them.
    """
    missing = [name for name in parameter_names() if name not in weights]
    if missing:
        raise BackboneError(
            f"The weights lack {len(missing)} of the {len(parameter_names())} tensors of "
            f"EfficientNet-Lite0: {listed(missing)}."
        )
    graph = _Graph(weights, size)
    for name, value in (("zero", 0.0), ("six", 6.0), ("mean", 127.0)):
        graph.constant(name, np.array(value, np.float32))
    x = graph.node("Cast", ["images"], "float", to=TensorProto.FLOAT)
    x = graph.node("Sub", [x, "mean"], "centred")
    x = graph.node("Transpose", [x], "channels_first", perm=[0, 3, 1, 2])
    x = graph.unit(x, "_conv_stem", "_bn0", stride=2, scale=1 / 128)
    for block in _blocks():
        x = graph.block(x, block)
    x = graph.unit(x, "_conv_head", "_bn1")
    x = graph.node("GlobalAveragePool", [x], "pooled")
    graph.node("Flatten", [x], "embedding")
    inputs = [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", size, size, 3])]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", DIM])]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "efficientnet_lite0", inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="handful",
    )  # fmt: skip
    onnx.checker.check_model(model, full_check=True)
    return model
