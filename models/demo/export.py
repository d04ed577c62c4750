"""Writes a Llama model as an ONNX graph, in the two shapes that the Hub has.

gqa    com.microsoft GroupQueryAttention with rotary embedding inside, as ONNX
       Runtime GenAI's model builder lays it out: inputs input_ids,
       attention_mask, past_key_values.N.key/value. Past and present may share
       one buffer.
plain  standard operators only (MatMul, Softmax), as a plain exporter lays it
       out: position_ids is an input too, and present grows by concatenation.

Both give logits of every position. Weights are stored in half precision with a
Cast to float behind each one, which ONNX Runtime folds away at load: files are
small, sums are in float32, and the rounded weights are the official ones.
The bytes depend on the weights alone: no paths, no dates.
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

OPSET = 21
IR_VERSION = 10
MICROSOFT = "com.microsoft"


class Graph:
    """Collects nodes and initializers; every method returns its output's name."""

    def __init__(self):
        self.nodes, self.weights, self.inputs, self.outputs = [], [], [], []

    def op(self, kind, inputs, output, domain="", more=(), **attributes):
        name = "/" + output.replace(".", "/")
        self.nodes.append(helper.make_node(kind, inputs, [output, *more], name=name, domain=domain, **attributes))
        return output

    def constant(self, name, value, dtype=np.int64):
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def weight(self, name, value):
        """A weight in half precision, cast to float when the model is loaded."""
        self.constant(name + ".half", value, np.float16)
        return self.op("Cast", [name + ".half"], name, to=TensorProto.FLOAT)

    def input(self, name, kind, shape):
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name, kind, shape):
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name


class Llama:
    """One Llama model on its way into a graph. weights: name → float array, as
    transformers names them; config: a LlamaConfig."""

    def __init__(self, config, weights, plain=False, half_interface=False):
        self.c, self.w, self.plain = config, weights, plain
        self.edge = TensorProto.FLOAT16 if half_interface else TensorProto.FLOAT
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head = config.hidden_size // self.heads
        self.g = Graph()

    def build(self):
        g, c = self.g, self.c
        ids = g.input("input_ids", TensorProto.INT64, ["batch_size", "sequence_length"])
        g.input("attention_mask", TensorProto.INT64, ["batch_size", "total_sequence_length"])
        if self.plain:
            g.input("position_ids", TensorProto.INT64, ["batch_size", "sequence_length"])
        self.shared()
        embedding = g.weight("model.embed_tokens.weight", self.w["model.embed_tokens.weight"])
        x = g.op("Gather", [embedding, ids], "model.embed_tokens.out")
        for n in range(c.num_hidden_layers):
            x = self.layer(n, x)
        x = self.norm("model.norm", x)
        if c.tie_word_embeddings:
            head = g.op("Transpose", [embedding], "lm_head.weight", perm=[1, 0])
        else:
            head = g.weight("lm_head.weight", self.w["lm_head.weight"].T)
        self.give("MatMul", [x, head], "logits", ["batch_size", "sequence_length", c.vocab_size])
        return self.model()

    def model(self):
        g = self.g
        graph = helper.make_graph(g.nodes, "llama", g.inputs, g.outputs, g.weights)
        sets = [helper.make_opsetid("", OPSET)]
        if not self.plain:
            sets.append(helper.make_opsetid(MICROSOFT, 1))
        return helper.make_model(graph, opset_imports=sets, ir_version=IR_VERSION, producer_name="graft")

    def give(self, kind, inputs, name, shape, **attributes):
        """A node whose result is an output, cast if the interface is in half precision."""
        if self.edge == TensorProto.FLOAT:
            self.g.op(kind, inputs, name, **attributes)
        else:
            self.g.op("Cast", [self.g.op(kind, inputs, name + ".float", **attributes)], name, to=self.edge)
        self.g.output(name, self.edge, shape)

    def rope(self):
        """cos and sin of every position, [positions, head/2], in float32."""
        theta = self.c.rope_parameters["rope_theta"]
        frequency = 1.0 / theta ** (np.arange(0, self.head, 2, dtype=np.float64) / self.head)
        angle = np.arange(self.c.max_position_embeddings, dtype=np.float64)[:, None] * frequency
        self.g.constant("cos_cache", np.cos(angle), np.float32)
        self.g.constant("sin_cache", np.sin(angle), np.float32)

    def shared(self):
        """What all layers use: rope tables, and lengths (gqa) or mask (plain)."""
        g = self.g
        self.rope()
        g.constant("one", [1])
        if not self.plain:
            g.constant("index_one", 1)
            length = g.op("ReduceSum", ["attention_mask", "one"], "mask.length", keepdims=1)
            last = g.op("Sub", [length, "one"], "mask.last")
            g.op("Cast", [last], "seqlens_k", to=TensorProto.INT32)
            total = g.op("Gather", [g.op("Shape", ["attention_mask"], "mask.shape"), "index_one"], "mask.total")
            g.op("Cast", [total], "total_sequence_length.int32", to=TensorProto.INT32)
            return
        self.causal_mask()
        for table in ("cos", "sin"):
            rows = g.op("Gather", [table + "_cache", "position_ids"], table + ".rows")
            rows = g.op("Concat", [rows, rows], table + ".wide", axis=-1)
            g.op("Unsqueeze", [rows, "one"], table)
        g.constant("half.start", [0])
        g.constant("half.middle", [self.head // 2])
        g.constant("half.end", [self.head])
        g.constant("last.axis", [-1])
        g.constant("scale", 1 / np.sqrt(self.head), np.float32)

    def causal_mask(self):
        """bias [batch, 1, sequence, total]: 0 where a query may look, else very small."""
        g = self.g
        g.constant("zero.scalar", 0)
        g.constant("one.scalar", 1)
        g.constant("axes.queries", [1])
        g.constant("axes.heads", [1, 2])
        g.constant("allowed", 0.0, np.float32)
        g.constant("forbidden", -1e9, np.float32)
        total = g.op("Gather", [g.op("Shape", ["attention_mask"], "mask.shape"), "one.scalar"], "mask.total")
        length = g.op("Gather", [g.op("Shape", ["input_ids"], "ids.shape"), "one.scalar"], "ids.length")
        past = g.op("Sub", [total, length], "past.length")
        queries = g.op("Range", [past, total, "one.scalar"], "queries.flat")
        queries = g.op("Unsqueeze", [queries, "axes.queries"], "queries")
        keys = g.op("Range", ["zero.scalar", total, "one.scalar"], "keys")
        causal = g.op("LessOrEqual", [keys, queries], "causal")
        real = g.op("Cast", ["attention_mask"], "mask.bool", to=TensorProto.BOOL)
        real = g.op("Unsqueeze", [real, "axes.heads"], "mask.keys")
        both = g.op("And", [causal, real], "mask.both")
        g.op("Where", [both, "allowed", "forbidden"], "bias")

    def norm(self, name, x):
        w = self.g.weight(name + ".weight", self.w[name + ".weight"])
        if not self.plain:
            return self.g.op("SimplifiedLayerNormalization", [x, w], name + ".out",
                             axis=-1, epsilon=self.c.rms_norm_eps, stash_type=1)
        g = self.g
        two = g.constant(name + ".two", 2.0, np.float32)
        eps = g.constant(name + ".eps", self.c.rms_norm_eps, np.float32)
        axis = g.constant(name + ".axis", [-1])
        mean = g.op("ReduceMean", [g.op("Pow", [x, two], name + ".square"), axis], name + ".mean")
        root = g.op("Sqrt", [g.op("Add", [mean, eps], name + ".shifted")], name + ".root")
        return g.op("Mul", [g.op("Div", [x, root], name + ".unit"), w], name + ".out")

    def linear(self, name, x):
        w = self.g.weight(name + ".weight", self.w[name + ".weight"].T)
        return self.g.op("MatMul", [x, w], name + ".out")

    def layer(self, n, x):
        g, name = self.g, f"model.layers.{n}"
        y = self.norm(name + ".input_layernorm", x)
        q, k, v = (self.linear(f"{name}.self_attn.{part}_proj", y) for part in "qkv")
        y = (self.plain_attention if self.plain else self.gqa)(n, q, k, v)
        x = g.op("Add", [x, self.linear(name + ".self_attn.o_proj", y)], name + ".attended")
        y = self.norm(name + ".post_attention_layernorm", x)
        gate = self.linear(name + ".mlp.gate_proj", y)
        gate = g.op("Mul", [gate, g.op("Sigmoid", [gate], name + ".mlp.sigmoid")], name + ".mlp.silu")
        y = g.op("Mul", [gate, self.linear(name + ".mlp.up_proj", y)], name + ".mlp.product")
        return g.op("Add", [x, self.linear(name + ".mlp.down_proj", y)], name + ".out")

    def past(self, n, part):
        shape = ["batch_size", self.kv_heads, "past_sequence_length", self.head]
        return self.g.input(f"past_key_values.{n}.{part}", self.edge, shape)

    def present_shape(self):
        return ["batch_size", self.kv_heads, "total_sequence_length", self.head]

    def gqa(self, n, q, k, v):
        g = self.g
        keys, values = self.past(n, "key"), self.past(n, "value")
        present = [f"present.{n}.key", f"present.{n}.value"]
        for p in present:
            g.output(p, self.edge, self.present_shape())
        return g.op("GroupQueryAttention",
                    [q, k, v, keys, values, "seqlens_k", "total_sequence_length.int32", "cos_cache", "sin_cache"],
                    f"model.layers.{n}.attention", domain=MICROSOFT, more=present,
                    num_heads=self.heads, kv_num_heads=self.kv_heads, do_rotary=1, rotary_interleaved=0,
                    scale=float(1 / np.sqrt(self.head)))

    def split(self, name, x, heads):
        """[batch, sequence, heads·head] → [batch, heads, sequence, head]."""
        g = self.g
        shape = g.constant(name + ".shape", [0, -1, heads, self.head])
        return g.op("Transpose", [g.op("Reshape", [x, shape], name + ".parts")], name, perm=[0, 2, 1, 3])

    def rotate(self, name, x):
        g = self.g
        low = g.op("Slice", [x, "half.start", "half.middle", "last.axis"], name + ".low")
        high = g.op("Slice", [x, "half.middle", "half.end", "last.axis"], name + ".high")
        turned = g.op("Concat", [g.op("Neg", [high], name + ".negated"), low], name + ".turned", axis=-1)
        return g.op("Add", [g.op("Mul", [x, "cos"], name + ".by_cos"),
                            g.op("Mul", [turned, "sin"], name + ".by_sin")], name + ".out")

    def grown(self, n, part, new):
        """Past and new along the sequence: the output present, and in float [batch, heads, total, head]."""
        g, name = self.g, f"model.layers.{n}.{part}"
        past = self.past(n, part)
        if self.edge != TensorProto.FLOAT:
            past = g.op("Cast", [past], name + ".past", to=TensorProto.FLOAT)
        self.give("Concat", [past, new], f"present.{n}.{part}", self.present_shape(), axis=2)
        whole = f"present.{n}.{part}"
        if self.edge != TensorProto.FLOAT:
            whole = g.op("Cast", [whole], name + ".rounded", to=TensorProto.FLOAT)
        if self.kv_heads == self.heads:
            return whole
        repeats = self.heads // self.kv_heads
        two = g.constant(name + ".two", [2])
        one = g.constant(name + ".repeats", [1, 1, repeats, 1, 1])
        shape = g.constant(name + ".shape", [0, self.heads, -1, self.head])
        wide = g.op("Expand", [g.op("Unsqueeze", [whole, two], name + ".groups"), one], name + ".expanded")
        return g.op("Reshape", [wide, shape], name + ".heads")

    def plain_attention(self, n, q, k, v):
        g, name = self.g, f"model.layers.{n}.attention"
        q = self.rotate(name + ".q.rope", self.split(name + ".q", q, self.heads))
        k = self.rotate(name + ".k.rope", self.split(name + ".k", k, self.kv_heads))
        v = self.split(name + ".v", v, self.kv_heads)
        k, v = self.grown(n, "key", k), self.grown(n, "value", v)
        scores = g.op("MatMul", [q, g.op("Transpose", [k], name + ".k.t", perm=[0, 1, 3, 2])], name + ".scores")
        scores = g.op("Mul", [scores, "scale"], name + ".scaled")
        shares = g.op("Softmax", [g.op("Add", [scores, "bias"], name + ".masked")], name + ".shares", axis=-1)
        mixed = g.op("Transpose", [g.op("MatMul", [shares, v], name + ".mixed")], name + ".back", perm=[0, 2, 1, 3])
        shape = g.constant(name + ".flat", [0, -1, self.heads * self.head])
        return g.op("Reshape", [mixed, shape], name)


def half(model):
    """The weights as the file holds them: rounded to half precision, as float32 arrays."""
    return {k: v.detach().numpy().astype(np.float16).astype(np.float32) for k, v in model.state_dict().items()}


def save(model, path, plain=False, half_interface=False):
    """Writes a transformers LlamaForCausalLM to path."""
    graph = Llama(model.config, half(model), plain, half_interface).build()
    with open(path, "wb") as f:
        f.write(graph.SerializeToString(deterministic=True))
