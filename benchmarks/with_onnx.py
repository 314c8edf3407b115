"""The forward pass alone, in ONNX Runtime: the layers of the definition as an ONNX model, with the same weights."""

import json

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from . import contender


def model(layers, weights, end):
    """The ONNX model of the layers up to `end`, for pictures (1, 3, H, W) of any size."""
    nodes, tensors, names = [], [], {}
    for layer in layers:
        kind, top = layer["type"], layer["top"][0]
        inputs = [names[bottom] for bottom in layer.get("bottom", [])]
        output = f"{layer['name']}_out"
        if kind in ("Input", "Dropout"):
            names[top] = inputs[0] if inputs else "picture"
        else:
            for number, value in enumerate(weights.get(layer["name"], [])):
                tensors.append(numpy_helper.from_array(value, f"{layer['name']}_{number}"))
                inputs.append(tensors[-1].name)
            operator, attributes = OPERATORS[kind](layer)
            nodes.append(helper.make_node(operator, inputs, [output], **attributes))
            names[top] = output
        if layer["name"] == end:
            break
    shapes = [("picture", [1, 3, "height", "width"]), (names[end], [1, None, None, None])]
    given, found = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes)
    graph = helper.make_graph(nodes, "network", [given], [found], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _convolution(layer):
    p = layer["convolution_param"]
    return "Conv", {"pads": p.get("pad", [0]) * 4, "strides": p.get("stride", [1]) * 2, "group": p.get("group", 1)}


def _pooling(layer):
    p = layer["pooling_param"]
    operator = {"MAX": "MaxPool", "AVE": "AveragePool"}[p.get("pool", "MAX")]
    size, stride, pad = p["kernel_size"], p.get("stride", 1), p.get("pad", 0)
    return operator, {"kernel_shape": [size] * 2, "strides": [stride] * 2, "pads": [pad] * 4, "ceil_mode": 1}


def _lrn(layer):
    p = layer["lrn_param"]
    return "LRN", {"size": p["local_size"], "alpha": p["alpha"], "beta": p["beta"], "bias": float(p.get("k", 1))}


OPERATORS = {
    "Convolution": _convolution,
    "Pooling": _pooling,
    "LRN": _lrn,
    "ReLU": lambda layer: ("Relu", {}),
    "Concat": lambda layer: ("Concat", {"axis": 1}),
}


def main():
    work = contender.asked()
    layers = json.loads((work.folder / "layers.json").read_text(encoding="utf-8"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = contender.threads()
    made = model(layers, contender.weights(work), work.end)
    onnx.checker.check_model(made)
    session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    mean = np.asarray(work.mean, np.float32).reshape(3, 1, 1)

    def forward(picture):
        chw = np.ascontiguousarray(np.moveaxis(picture, 2, 0)[::-1]) - mean
        return session.run(None, {"picture": chw[None]})[0][0]

    contender.run_forward(forward)


if __name__ == "__main__":
    main()
