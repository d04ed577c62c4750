"""Makes layouts/NAME.onnx: the graphs of plain and gqa as other exporters would have written them.

All compute the rows of expected.json. Their weights lie in one external file, layouts/weights.bin, but for those that are
quantised. What differs is in each function's first line; inputs and outputs are turned into those of the graph by nodes.

Run from this folder, with onnx and onnxruntime, after models/demo/testmodels.py.
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper
from onnx.external_data_helper import set_external_data

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE / "layouts"
LAYERS, WIDTH = 2, 16
CACHES = [(i, k) for i in range(LAYERS) for k in ("key", "value")]


class Graph:
    def __init__(self, name):
        self.model = onnx.load(HERE / name / "model.onnx")
        self.graph = self.model.graph
        self.front, self.made = [], 0

    def constant(self, value, dtype=np.int64):
        self.made += 1
        name = f"made.{self.made}"
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def rename(self, old, new):
        """Inside: whoever takes or gives old."""
        for node in self.graph.node:
            node.input[:] = [new if n == old else n for n in node.input]
            node.output[:] = [new if n == old else n for n in node.output]

    def node(self, op, inputs, outputs, front=False, **attributes):
        node = helper.make_node(op, inputs, outputs, **attributes)
        if front:
            self.front.append(node)
        else:
            self.graph.node.append(node)

    def drop(self, name):
        for ports in (self.graph.input, self.graph.output):
            for port in list(ports):
                if port.name == name:
                    ports.remove(port)

    def take(self, name, dtype, shape, output=False):
        ports = self.graph.output if output else self.graph.input
        ports.append(helper.make_tensor_value_info(name, dtype, shape))

    def chain(self, name, steps, out, front=False):
        """Applies (op, input constants, attributes) one after another."""
        for i, (op, more, attributes) in enumerate(steps):
            self.made += 1
            to = out if i == len(steps) - 1 else f"chain.{self.made}"
            self.node(op, [name, *more], [to], front, **attributes)
            name = to

    def save(self, name):
        for node in reversed(self.front):
            self.graph.node.insert(0, node)
        for tensor in self.graph.initializer:
            if len(tensor.raw_data) >= 256:
                set_external_data(tensor, "weights.bin")
        if name == "fused":
            onnx.save(self.model, OUT / f"{name}.onnx")
            return
        # The first graph wrote the weights; the others name the same places.
        places = {i.name: i for i in onnx.load(OUT / "fused.onnx", load_external_data=False).graph.initializer}
        known = {bytes(i.raw_data): i for i in onnx.load(OUT / "fused.onnx").graph.initializer}
        for tensor in self.graph.initializer:
            if tensor.data_location == T.EXTERNAL:
                if bytes(tensor.raw_data) not in known:
                    tensor.ClearField("external_data")
                    tensor.ClearField("data_location")
                    continue
                place = places[known[bytes(tensor.raw_data)].name]
                tensor.ClearField("raw_data")
                tensor.ClearField("external_data")
                tensor.external_data.extend(place.external_data)
        (OUT / f"{name}.onnx").write_bytes(self.model.SerializeToString())


def relaid(g, ports, past, present, names=("past_key_values.{}.{}", "present.{}.{}")):
    """Cache tensors of another shape: steps from a port to [batch, 1, tokens, 16] and back."""
    for layer, kind in CACHES:
        outer, inner = names[0].format(layer, kind), f"inner.past.{layer}.{kind}"
        g.rename(f"past_key_values.{layer}.{kind}", inner)
        g.drop(f"past_key_values.{layer}.{kind}")
        g.take(outer, T.FLOAT, ports[kind]("past_sequence_length"))
        g.chain(outer, past[kind], inner, front=True)
        g.rename(f"present.{layer}.{kind}", f"inner.present.{layer}.{kind}")
        g.drop(f"present.{layer}.{kind}")
        outer = names[1].format(layer, kind)
        g.take(outer, T.FLOAT, ports[kind]("total_sequence_length"), output=True)
        g.chain(f"inner.present.{layer}.{kind}", present[kind], outer)


def mask_of(g, dtype, to):
    """The mask in another type."""
    g.rename("attention_mask", "inner.mask")
    for port in g.graph.input:
        if port.name == "attention_mask":
            port.type.tensor_type.elem_type = dtype
    g.node("Cast", ["attention_mask"], ["inner.mask"], front=True, to=to)


def fused():
    """past_N, [2, batch, heads, tokens, width], a mask in float32: ONNX Runtime's GPT-2."""
    g = Graph("plain")
    zero, one, axis = g.constant(0), g.constant(1), g.constant([0])
    for layer in range(LAYERS):
        for i, kind in enumerate(("key", "value")):
            g.drop(f"past_key_values.{layer}.{kind}")
            g.node("Gather", [f"past_{layer}", (zero, one)[i]], [f"past_key_values.{layer}.{kind}"], front=True, axis=0)
            g.drop(f"present.{layer}.{kind}")
            g.node("Unsqueeze", [f"present.{layer}.{kind}", axis], [f"half.{layer}.{kind}"])
        g.node("Concat", [f"half.{layer}.key", f"half.{layer}.value"], [f"present_{layer}"], axis=0)
        g.take(f"past_{layer}", T.FLOAT, [2, "batch_size", 1, "past_seq_len", WIDTH])
        g.take(f"present_{layer}", T.FLOAT, [2, "batch_size", 1, "total_seq_len", WIDTH], output=True)
    mask_of(g, T.FLOAT, T.INT64)
    g.save("fused")


def joined():
    """past_key_values.N.key_value, [batch, tokens, 2 · width]: GPT-BigCode."""
    g = Graph("plain")
    axis, parts = g.constant([1]), g.constant([WIDTH, WIDTH])
    for layer in range(LAYERS):
        kinds = ("key", "value")
        g.node("Split", [f"past_key_values.{layer}.key_value", parts], [f"flat.{layer}.{k}" for k in kinds], front=True, axis=2)
        for kind in kinds:
            g.drop(f"past_key_values.{layer}.{kind}")
            g.node("Unsqueeze", [f"flat.{layer}.{kind}", axis], [f"past_key_values.{layer}.{kind}"], front=True)
            g.drop(f"present.{layer}.{kind}")
            g.node("Squeeze", [f"present.{layer}.{kind}", axis], [f"flat.present.{layer}.{kind}"])
        g.node("Concat", [f"flat.present.{layer}.{k}" for k in kinds], [f"present.{layer}.key_value"], axis=2)
        g.take(f"past_key_values.{layer}.key_value", T.FLOAT, ["batch_size", "past_sequence_length", 2 * WIDTH])
        g.take(f"present.{layer}.key_value", T.FLOAT, ["batch_size", "total_sequence_length", 2 * WIDTH], output=True)
    g.save("joined")


def tokens_first():
    """[batch, tokens, heads, width]; names cache.N.k and cache_out.N.k."""
    g = Graph("plain")
    inner, outer = g.constant([0, 0, 1, WIDTH]), g.constant([0, 0, 2, WIDTH // 2])
    flip = {"perm": [0, 2, 1, 3]}
    past = [("Reshape", [inner], {}), ("Transpose", [], flip)]
    present = [("Transpose", [], flip), ("Reshape", [outer], {})]
    port = lambda tokens: ["batch_size", tokens, 2, WIDTH // 2]
    relaid(g, dict.fromkeys(("key", "value"), port), dict.fromkeys(("key", "value"), past),
           dict.fromkeys(("key", "value"), present), ("cache.{}.{}", "cache_out.{}.{}"))
    g.save("tokens-first")


def transposed():
    """Keys as [batch, heads, width, tokens], values as [batch, heads, tokens, width]; names past_key_N."""
    g = Graph("plain")
    inner, outer = g.constant([0, 0, 1, WIDTH]), g.constant([0, 0, 2, WIDTH // 2])
    half = WIDTH // 2
    ports = {"key": lambda t: ["batch_size", 2, half, t], "value": lambda t: ["batch_size", 2, t, half]}
    past, present = {}, {}
    for kind, to_tokens, back in (("key", [0, 3, 1, 2], [0, 2, 3, 1]), ("value", [0, 2, 1, 3], [0, 2, 1, 3])):
        flip = {"perm": [0, 2, 1, 3]}
        past[kind] = [("Transpose", [], {"perm": to_tokens}), ("Reshape", [inner], {}), ("Transpose", [], flip)]
        present[kind] = [("Transpose", [], flip), ("Reshape", [outer], {}), ("Transpose", [], {"perm": back})]
    relaid(g, ports, past, present, ("past_{1}_{0}", "present_{1}_{0}"))
    g.save("transposed")


def extras():
    """Outputs that nobody asked for, logits_to_keep as [1], a bool mask, cache_position instead of position_ids."""
    g = Graph("plain")
    head = next(n for n in g.graph.node if n.output[0] == "logits")
    hidden = head.input[0]
    g.take("hidden_states", T.FLOAT, ["batch_size", "sequence_length", 32], output=True)
    g.node("Identity", [hidden], ["hidden_states"])
    g.take("attentions.0", T.FLOAT, ["batch_size", "sequence_length", 32], output=True)
    g.node("Identity", [hidden], ["attentions.0"])
    g.graph.node.remove(head)
    g.take("logits_to_keep", T.INT64, [1])
    g.node("Neg", ["logits_to_keep"], ["keep.start"])
    g.node("Slice", [hidden, "keep.start", g.constant([2**31 - 1]), g.constant([1])], ["keep.hidden"])
    g.node("MatMul", ["keep.hidden", head.input[1]], ["logits"])
    mask_of(g, T.BOOL, T.INT64)
    g.drop("position_ids")
    g.take("cache_position", T.INT64, ["sequence_length"])
    g.node("Unsqueeze", ["cache_position", g.constant([0])], ["position_ids"], front=True)
    g.save("extras")


def branch(g):
    """An If on use_cache_branch: false begins with an empty past, true needs one."""
    zero, start, axis = g.constant(0), g.constant([0]), g.constant([2])
    for layer, kind in CACHES:
        outer, inner = f"past_key_values.{layer}.{kind}", f"inner.past.{layer}.{kind}"
        g.rename(outer, inner)
        value = lambda n: helper.make_tensor_value_info(n, T.FLOAT, None)
        some = helper.make_graph([
            helper.make_node("Gather", [outer, zero], [f"first.{inner}"], axis=2),  # fails without a past
            helper.make_node("Identity", [outer], [f"some.{inner}"])], "some", [], [value(f"some.{inner}")])
        none = helper.make_graph([
            helper.make_node("Slice", [outer, start, start, axis], [f"none.{inner}"])], "none", [], [value(f"none.{inner}")])
        g.node("If", ["use_cache_branch"], [inner], front=True, then_branch=some, else_branch=none)
    g.take("use_cache_branch", T.BOOL, [1])


def merged():
    """use_cache_branch."""
    g = Graph("plain")
    branch(g)
    g.save("merged")


def traced():
    """use_cache_branch; the branch with a past was traced for one token, so all new tokens stand at the end."""
    g = Graph("plain")
    branch(g)
    last = next(n for n in g.graph.node if n.op_type == "Range" and n.output[0] == "queries.flat")
    last.output[0] = "queries.right"
    at = list(g.graph.node).index(last) + 1
    nodes = [helper.make_node("Sub", [last.input[1], last.input[2]], ["queries.last"]),
             helper.make_node("Squeeze", ["use_cache_branch"], ["branch.scalar"]),
             helper.make_node("Where", ["branch.scalar", "queries.last", "queries.right"], ["queries.flat"])]
    for node in reversed(nodes):
        g.graph.node.insert(at, node)
    g.save("traced")


def stepwise():
    """The usual names; traced for one token, as decoder_with_past_model.onnx: all new tokens stand at the end."""
    g = Graph("plain")
    last = next(n for n in g.graph.node if n.op_type == "Range" and n.output[0] == "queries.flat")
    last.output[0] = "queries.right"
    at = list(g.graph.node).index(last) + 1
    g.graph.node.insert(at, helper.make_node("Reshape", ["queries.last", g.constant([1])], ["queries.flat"]))
    g.graph.node.insert(at, helper.make_node("Sub", [last.input[1], last.input[2]], ["queries.last"]))
    g.save("stepwise")


def lengths():
    """seqlens_k and total_sequence_length instead of a mask: ONNX Runtime's conversion for CUDA graphs."""
    g = Graph("gqa")
    g.drop("attention_mask")
    dead = {"attention_mask"}
    for node in list(g.graph.node):
        if node.op_type != "GroupQueryAttention" and (set(node.input) & dead):
            dead |= set(node.output) - {"seqlens_k", "total_sequence_length.int32"}
            g.graph.node.remove(node)
    g.rename("total_sequence_length.int32", "total_sequence_length")
    g.take("seqlens_k", T.INT32, ["batch_size"])
    g.take("total_sequence_length", T.INT32, [1])
    g.save("lengths")


def windowed():
    """sliding_window_cache, and a width of the cache that is not written down: ONNX Runtime GenAI's builder."""
    g = Graph("gqa")
    for node in g.graph.node:
        if node.op_type == "GroupQueryAttention":
            node.attribute.append(helper.make_attribute("sliding_window_cache", 1))
            node.attribute.append(helper.make_attribute("local_window_size", 64))
    for port in [*g.graph.input, *g.graph.output]:
        if port.name.startswith(("past", "present")):
            port.type.tensor_type.shape.dim[3].dim_param = "kv_cache_dim"
    g.save("windowed")


def switched():
    """Angles from another table after 14 tokens: Phi-3 with long rope."""
    g = Graph("gqa")
    length = next(n.output[0] for n in g.graph.node if "total_sequence_length" in n.output[0])
    tables = {i.name: numpy_helper.to_array(i) for i in g.graph.initializer if i.name in ("cos_cache", "sin_cache")}
    for i in [i for i in g.graph.initializer if i.name in tables]:
        g.graph.initializer.remove(i)
    branches = []
    for side, sign in (("long", -1), ("short", 1)):
        nodes = [helper.make_node("Constant", [], [f"{side}.{n}"], value=numpy_helper.from_array(sign * t))
                 for n, t in tables.items()]
        outs = [helper.make_tensor_value_info(f"{side}.{n}", T.FLOAT, None) for n in tables]
        branches.append(helper.make_graph(nodes, side, [], outs))
    at = next(i for i, n in enumerate(g.graph.node) if n.op_type == "GroupQueryAttention")
    bound = g.constant(14, np.int32)
    last = next(n for n in g.graph.node if n.op_type == "GroupQueryAttention").input[6]
    g.graph.node.insert(at, helper.make_node("Greater", [last, bound], ["is.long"]))
    g.graph.node.insert(at + 1, helper.make_node("If", ["is.long"], list(tables), then_branch=branches[0], else_branch=branches[1]))
    assert length
    g.save("switched")


def pruned():
    """Scores of the last token only."""
    g = Graph("gqa")
    head = next(n for n in g.graph.node if n.output[0] == "logits")
    g.graph.node.remove(head)
    g.node("Gather", [head.input[0], g.constant([-1])], ["last.hidden"], axis=1)
    g.node("MatMul", ["last.hidden", head.input[1]], ["logits"])
    g.drop("logits")
    g.take("logits", T.FLOAT, ["batch_size", 1, 64], output=True)
    g.save("pruned")


def inner():
    """The first layer's attention inside an If; the second layer's past measured by another node."""
    g = Graph("gqa")
    node = next(n for n in g.graph.node if n.op_type == "GroupQueryAttention")
    at = list(g.graph.node).index(node)
    branches = []
    for side in ("then", "else"):
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.output[:] = [f"{side}.{o}" for o in node.output]
        branches.append(helper.make_graph([copy], side, [], [helper.make_tensor_value_info(o, T.FLOAT, None) for o in copy.output]))
    outputs = list(node.output)
    g.graph.node.remove(node)
    g.graph.node.insert(at, helper.make_node("If", ["always"], outputs, then_branch=branches[0], else_branch=branches[1]))
    g.node("Shape", ["past_key_values.1.key"], ["past.shape"], front=True)
    g.node("ReduceMin", ["past.shape"], ["past.least"], front=True, keepdims=0)
    g.node("Less", ["past.least", g.constant(1000)], ["always"], front=True)
    g.save("inner")


def attended(g, layer):
    """Takes a layer's attention out, from its turned queries and keys to its mixed values."""
    at = f"model.layers.{layer}.attention"
    names = [f"{at}.{n}" for n in ("k.t", "scores", "scaled", "masked", "shares", "mixed")]
    names += [f"model.layers.{layer}.{k}.{n}" for k in ("key", "value") for n in ("groups", "expanded", "heads")]
    names += [f"present.{layer}.{k}" for k in ("key", "value")]
    first = 10 ** 9
    for node in [n for n in g.graph.node if n.output[0] in names]:
        first = min(first, list(g.graph.node).index(node))
        g.graph.node.remove(node)
    back = next(n for n in g.graph.node if n.output[0] == f"{at}.back")
    return at, list(g.graph.node).index(back)


def standard():
    """ONNX's own Attention, of opset 23."""
    g = Graph("plain")
    g.model.opset_import[0].version = 23
    for layer in range(LAYERS):
        at, place = attended(g, layer)
        g.graph.node.insert(place, helper.make_node(
            "Attention", [f"{at}.q.rope.out", f"{at}.k.rope.out", f"{at}.v", "bias", *(f"past_key_values.{layer}.{k}" for k in ("key", "value"))],
            [f"{at}.mixed", *(f"present.{layer}.{k}" for k in ("key", "value"))], scale=WIDTH ** -0.5))
    g.save("standard")


def several():
    """ONNX Runtime's MultiHeadAttention, whose cache has a copy of the keys and values for each head."""
    g = Graph("plain")
    flat, heads, copies = g.constant([0, 0, 2 * WIDTH]), {"perm": [0, 2, 1, 3]}, g.constant([1, 2, 1, 1])
    for layer in range(LAYERS):
        at, place = attended(g, layer)
        back = next(n for n in g.graph.node if n.output[0] == f"{at}.back")
        g.graph.node.remove(back)
        after = next(n for n in g.graph.node if n.output[0] == at)
        g.graph.node.remove(after)
        nodes = []
        for name in ("q.rope.out", "k.rope.out", "v"):
            value = f"{at}.{name}"
            if name != "q.rope.out":
                nodes.append(helper.make_node("Tile", [value, copies], [f"{value}.both"]))
                value = f"{value}.both"
            nodes.append(helper.make_node("Transpose", [value], [f"{at}.{name}.rows"], **heads))
            nodes.append(helper.make_node("Reshape", [f"{at}.{name}.rows", flat], [f"{at}.{name}.flat"]))
        nodes.append(helper.make_node(
            "MultiHeadAttention", [*(f"{at}.{n}.flat" for n in ("q.rope.out", "k.rope.out", "v")), "", "", "bias",
                                   *(f"past_key_values.{layer}.{k}" for k in ("key", "value"))],
            [at, *(f"present.{layer}.{k}" for k in ("key", "value"))], domain="com.microsoft", num_heads=2, scale=WIDTH ** -0.5))
        for node in reversed(nodes):
            g.graph.node.insert(place, node)
        for kind in ("key", "value"):
            for prefix, tokens, out in (("past_key_values", "past", False), ("present", "all", True)):
                g.drop(f"{prefix}.{layer}.{kind}")
                g.take(f"{prefix}.{layer}.{kind}", T.FLOAT, ["batch_size", 2, tokens, WIDTH], output=out)
    g.model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    g.save("several")


def full(g):
    """Weights in float32, as quantisers want them, instead of half precision and a Cast."""
    halves = {i.name: i for i in g.graph.initializer if i.data_type == T.FLOAT16}
    for node in [n for n in g.graph.node if n.op_type == "Cast" and n.input[0] in halves]:
        value = numpy_helper.to_array(halves[node.input[0]]).astype(np.float32)
        g.graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        g.graph.node.remove(node)
    for tensor in halves.values():
        g.graph.initializer.remove(tensor)
    weights = {i.name: i for i in g.graph.initializer}
    for node in [n for n in g.graph.node if n.op_type == "Transpose" and n.input[0] in weights]:
        value = numpy_helper.to_array(weights[node.input[0]])
        perm = next((a.ints for a in node.attribute if a.name == "perm"), range(value.ndim)[::-1])
        g.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value.transpose(perm)), node.output[0]))
        g.graph.node.remove(node)


def halved():
    """Half precision throughout, layer norms in their parts, as optimum and transformers.js have it."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    g = Graph("plain")
    full(g)
    onnx.save(convert_float_to_float16(g.model), OUT / "halved.onnx")


def int8():
    """Products of eight bits with numbers quantised as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    g = Graph("plain")
    full(g)
    quantize_dynamic(g.model, OUT / "int8.onnx", op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8, per_channel=True)


def int4():
    """Products of four bits in blocks."""
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    g = Graph("gqa")
    full(g)
    quantizer = MatMulNBitsQuantizer(g.model, bits=4, block_size=16, is_symmetric=True)
    quantizer.process()
    onnx.save(quantizer.model.model, OUT / "int4.onnx")


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    (OUT / "weights.bin").unlink(missing_ok=True)
    for make in (fused, joined, tokens_first, transposed, extras, merged, traced, stepwise, lengths, windowed, switched, pruned, inner,
                 standard, several, halved, int8, int4):
        make()
