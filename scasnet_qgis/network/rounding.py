"""Weights in half precision: half the file, computed in single precision all the same."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from scasnet_qgis.core.errors import ModelError
from scasnet_qgis.core.messages import translate


def fold_batch_norms(network: nn.Module) -> None:
    """Work each batch norm into the convolution before it, as the exporter does.

    Rounding has to come after that, so that the weights rounded here are those in the file.
    """
    for module in network.modules():
        if not isinstance(module, nn.Sequential):
            continue
        names = list(module._modules)
        for first, second in zip(names, names[1:]):
            convolution, norm = module._modules[first], module._modules[second]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module._modules[first] = fuse_conv_bn_eval(convolution, norm)
                module._modules[second] = nn.Identity()


@torch.no_grad()
def round_weights(network: nn.Module) -> None:
    """Replace the kernels by their nearest values in half precision.

    Biases stay: rounding them would save nothing and cost precision.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            rounded = module.weight.half().float()
            if not torch.isfinite(rounded).all():
                raise ModelError(
                    translate(
                        "ScasNet",
                        "The network has weights too large for half precision: export it in single "
                        "precision.",
                    ),
                    name,
                )
            module.weight.copy_(rounded)


def store_as_half(model: Any) -> None:
    """Keep the kernels of an ONNX model as float16; a Cast brings each back to float32.

    ONNX Runtime does that once while loading.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    kernels = {node.input[1] for node in model.graph.node if node.op_type == "Conv"}
    casts = []
    for weight in model.graph.initializer:
        if weight.name not in kernels:
            continue
        name, stored = weight.name, f"{weight.name}.half"
        values = numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(values, stored))
        casts.append(
            helper.make_node("Cast", [stored], [name], f"{name}.cast", to=TensorProto.FLOAT)
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
