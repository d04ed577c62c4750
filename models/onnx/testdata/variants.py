"""Makes the test models that differ from plain and gqa in one respect each.

keep      plain with int32 inputs and num_logits_to_keep
long      plain with 4,096 positions
long-gqa  gqa with 4,096 positions
padded    plain whose first present has one token too many: it loads, but lies
double    y = x + x, float32
half      y = x, float16

Run from this folder, with onnx and numpy, after models/demo/testmodels.py.
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
POSITIONS = 4096


def load(name):
    return onnx.load(HERE / name / "model.onnx")


def save(model, name):
    (HERE / name).mkdir(exist_ok=True)
    onnx.save(model, HERE / name / "model.onnx")


def constant(graph, name, value, dtype):
    graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
    return name


def keep():
    """The logits of the last num_logits_to_keep positions only."""
    model = load("plain")
    graph = model.graph
    for port in list(graph.input)[:3]:
        inner, port.type.tensor_type.elem_type = port.name + ".int64", TensorProto.INT32
        for node in graph.node:
            node.input[:] = [inner if i == port.name else i for i in node.input]
        graph.node.insert(0, helper.make_node("Cast", [port.name], [inner], to=TensorProto.INT64))
    graph.input.insert(3, helper.make_tensor_value_info("num_logits_to_keep", TensorProto.INT64, []))
    head = next(n for n in graph.node if n.output[0] == "logits")
    constant(graph, "keep.axis", [0], np.int64)
    constant(graph, "keep.tokens", [1], np.int64)
    constant(graph, "keep.end", [2**31 - 1], np.int64)
    at = list(graph.node).index(head)
    for node in reversed([
            helper.make_node("Neg", ["num_logits_to_keep"], ["keep.back"]),
            helper.make_node("Unsqueeze", ["keep.back", "keep.axis"], ["keep.start"]),
            helper.make_node("Slice", [head.input[0], "keep.start", "keep.end", "keep.tokens"], ["keep.hidden"])]):
        graph.node.insert(at, node)
    head.input[0] = "keep.hidden"
    graph.output[-1].type.tensor_type.shape.dim[1].dim_param = "num_logits"
    save(model, "keep")


def long(source, name):
    """The tables of rotary positions computed instead of stored."""
    model = load(source)
    graph = model.graph
    tables = {i.name: i for i in graph.initializer if i.name in ("cos_cache", "sin_cache")}
    width = tables["cos_cache"].dims[1]
    for table in tables.values():
        graph.initializer.remove(table)
    frequency = 1.0 / 10000.0 ** (np.arange(width, dtype=np.float64) / width)
    constant(graph, "rope.frequency", frequency[None], np.float32)
    for part, value in (("start", 0.0), ("limit", float(POSITIONS)), ("delta", 1.0)):
        constant(graph, "rope." + part, value, np.float32)
    constant(graph, "rope.axis", [1], np.int64)
    for node in reversed([
            helper.make_node("Range", ["rope.start", "rope.limit", "rope.delta"], ["rope.positions"]),
            helper.make_node("Unsqueeze", ["rope.positions", "rope.axis"], ["rope.column"]),
            helper.make_node("Mul", ["rope.column", "rope.frequency"], ["rope.angle"]),
            helper.make_node("Cos", ["rope.angle"], ["cos_cache"]),
            helper.make_node("Sin", ["rope.angle"], ["sin_cache"])]):
        graph.node.insert(0, node)
    save(model, name)


def padded():
    """A present output with one token too many."""
    model = load("plain")
    graph = model.graph
    for node in graph.node:
        node.output[:] = ["short" if o == "present.0.key" else o for o in node.output]
        node.input[:] = ["short" if i == "present.0.key" else i for i in node.input]
    constant(graph, "pads", [0, 0, 0, 0, 0, 0, 1, 0], np.int64)
    graph.node.append(helper.make_node("Pad", ["short", "pads"], ["present.0.key"]))
    save(model, "padded")


def single(name, op, kind, inputs):
    ports = [helper.make_tensor_value_info(n, kind, [4]) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node(op, inputs, ["y"])], name, ports[:1], ports[1:])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), name)


if __name__ == "__main__":
    keep()
    long("plain", "long")
    long("gqa", "long-gqa")
    padded()
    single("double", "Add", TensorProto.FLOAT, ["x", "x"])
    single("half", "Identity", TensorProto.FLOAT16, ["x"])
