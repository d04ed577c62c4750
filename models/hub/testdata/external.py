"""Writes external.onnx: tensors with external data wherever ONNX allows tensors.

    pip install onnx && python external.py
"""
import onnx
from onnx import TensorProto, helper


def outside(name, location, size=4):
    t = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[size])
    t.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(4 * size))):
        t.external_data.add(key=key, value=value)
    return t


def constant(output, location):
    return helper.make_node("Constant", [], [output], value=outside(output, location))


inner = helper.make_graph([constant("deep", "in_branch.bin")], "deep", [], [helper.make_tensor_value_info("deep", 1, [4])])
branch = helper.make_graph(
    [helper.make_node("If", ["c"], ["y2"], then_branch=inner, else_branch=inner)], "then", [],
    [helper.make_tensor_value_info("y2", 1, [4])], initializer=[outside("b", "model.onnx_data_1")])
sparse = helper.make_sparse_tensor(outside("v", "sparse values.bin", 1), helper.make_tensor("i", TensorProto.INT64, [1], [0]), [4])
graph = helper.make_graph(
    [constant("k", "in_node.bin"), helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch),
     helper.make_node("F", ["k"], ["z"], domain="own")],
    "main", [helper.make_tensor_value_info("c", TensorProto.BOOL, [])], [helper.make_tensor_value_info("y", 1, [4])],
    initializer=[helper.make_tensor("inline", 1, [1_100], bytes(4_400), raw=True), outside("w", "model.onnx_data"), outside("w2", "model.onnx_data")],
    sparse_initializer=[sparse])
function = helper.make_function("own", "F", ["a"], ["b"], [constant("b", "in_function.bin")], [helper.make_opsetid("", 21)])
model = helper.make_model(graph, functions=[function], opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("own", 1)])
with open("external.onnx", "wb") as f:
    f.write(model.SerializeToString())
