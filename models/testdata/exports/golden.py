"""The rows that Go compares with.

Truth is PyTorch in float32 on the weights as rounded to half precision. For exports with weights of 8 or 4 bits there are
two more truths: ONNX Runtime's Python session on the same file, which must be met exactly, and PyTorch on the weights that
the file stands for, dequantised, from which the distance is measured.
"""

import gzip
import json

import numpy as np
import onnx
import onnxruntime
import torch

import architectures as a

LENGTHS = (1, 6, 40, 120)
WIDTH = 16  # of a head, where a graph leaves it open
BEST, SPREAD = 8, 8  # ids of a row that are compared: the best, and others so that all ids come by
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64, "tensor(int32)": np.int32,
         "tensor(bool)": np.bool_}


def prompts():
    generator = torch.Generator().manual_seed(7)
    return [torch.randint(0, a.PIECES, (n,), generator=generator).tolist() for n in LENGTHS]


def normalised(logits):
    """Log-probs over the tokenizer's ids: padding is no token."""
    return torch.log_softmax(torch.as_tensor(np.asarray(logits), dtype=torch.float64)[:, : a.PIECES], -1).numpy()


@torch.no_grad()
def pytorch(model):
    return [normalised(model(torch.tensor([p]), use_cache=False).logits[0].float()) for p in prompts()]


class Session:
    """A decoder in ONNX Runtime's Python, whatever its inputs are called."""

    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        build = lambda **more: onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"], **more)
        try:
            self.session = build()
        except Exception:  # of graphs in half precision, one fusion makes what cannot be loaded
            self.session = build(disabled_optimizers=["SimplifiedLayerNormFusion"])

    def empty(self, port):
        shape = [1 if isinstance(d, str) or d is None else d for d in port.shape]
        shape[3 if port.name.startswith("past_") and len(shape) == 5 else 2] = 0
        if len(port.shape) == 4 and not isinstance(port.shape[3], int):
            shape[3] = WIDTH
        return np.zeros(shape, TYPES[port.type])

    def rows(self, ids, step):
        """Log-probs of every position, step tokens a run."""
        out, past = [], {}
        for begin in range(0, len(ids), step):
            chunk = ids[begin : begin + step]
            feeds = {}
            for port in self.session.get_inputs():
                known = {"input_ids": lambda: [chunk], "attention_mask": lambda: [[1] * (begin + len(chunk))],
                         "position_ids": lambda: [list(range(begin, begin + len(chunk)))],
                         "num_logits_to_keep": lambda: 0, "use_cache_branch": lambda: [begin > 0]}
                if port.name in known:
                    feeds[port.name] = np.array(known[port.name](), TYPES[port.type])
                else:
                    feeds[port.name] = past[port.name] if begin else self.empty(port)
            names = [o.name for o in self.session.get_outputs()]
            given = dict(zip(names, self.session.run(names, feeds)))
            out.append(normalised(given["logits"][0]))
            past = {n.replace("present.", "past_key_values.").replace("present_", "past_"): v for n, v in given.items()}
        return np.concatenate(out)


def runtime(path, step=10**6):
    session = Session(path)
    return [session.rows(p, step) for p in prompts()]


def furthest(rows, others):
    return max(float(np.abs(x - y).max()) for x, y in zip(rows, others))


def quantised(path):
    """Whether a graph has weights in 8 or 4 bits."""
    return any(n.op_type in ("MatMulNBits", "MatMulBnb4", "MatMulInteger", "GatherBlockQuantized", "DequantizeLinear")
               for n in onnx.load(path, load_external_data=False).graph.node)


# Weights of a file, dequantised

def blocks(graph, node):
    """A MatMulNBits' weights [outputs, inputs]."""
    attribute = {x.name: onnx.helper.get_attribute_value(x) for x in node.attribute}
    n, k, bits, block = (attribute[x] for x in ("N", "K", "bits", "block_size"))
    groups = -(-k // block)
    packed = graph[node.input[1]].reshape(n, groups, -1)
    scale = graph[node.input[2]].astype(np.float32).reshape(n, groups, 1)
    zero = np.full((n, groups, 1), 1 << (bits - 1), np.float32)
    q = packed if bits == 8 else np.stack([packed & 15, packed >> 4], -1).reshape(n, groups, -1)
    if len(node.input) > 3 and node.input[3]:
        z = graph[node.input[3]].reshape(n, -1)
        z = z if bits == 8 else np.stack([z & 15, z >> 4], -1).reshape(n, -1)
        zero = z[:, :groups, None].astype(np.float32)
    return ((q.astype(np.float32) - zero) * scale).reshape(n, -1)[:, :k]


def table_blocks(graph, node):
    """A GatherBlockQuantized's table [ids, width]."""
    attribute = {x.name: onnx.helper.get_attribute_value(x) for x in node.attribute}
    bits, data, scale = attribute.get("bits", 4), graph[node.input[0]], graph[node.input[2]].astype(np.float32)
    packed, data = data.dtype == np.uint8, data.reshape(len(scale), -1)
    q = np.stack([data & 15, data >> 4], -1).reshape(len(data), -1) if packed and bits == 4 else data
    zero = (1 << (bits - 1)) if packed else 0
    q = q.astype(np.float32).reshape(len(data), -1, attribute.get("block_size", 32))
    return ((q - zero) * scale.reshape(len(data), -1, 1)).reshape(len(data), -1)


def dequantised(path):
    """The quantised weights of a graph as float32: those of products, [outputs, inputs], and those of look-ups."""
    model = onnx.load(path)
    graph = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:  # a table shared with the last product comes by a Reshape
        if node.op_type == "Reshape" and node.input[0] in graph:
            graph[node.output[0]] = graph[node.input[0]]
    products, tables = [], []
    for node in model.graph.node:
        if node.op_type == "MatMulNBits":
            products.append(blocks(graph, node))
        elif node.op_type == "GatherBlockQuantized":
            tables.append(table_blocks(graph, node))
        for name in node.input:  # quantize_dynamic: NAME_quantized, NAME_scale, NAME_zero_point
            if name.endswith("_quantized") and name in graph and graph[name].ndim == 2:
                stem = name.removesuffix("_quantized")
                values = (graph[name].astype(np.float32) - graph[stem + "_zero_point"].astype(np.float32)) * graph[stem + "_scale"]
                if node.op_type == "MatMulInteger":
                    products.append(values.T)
                else:
                    tables.append(values)
    return products, tables


@torch.no_grad()
def replace(model, products, tables):
    """Puts dequantised weights in the place of those that they stand for, found by nearness, for names differ and a weight may
    be a part of a fused one. Returns how many were replaced."""
    head = model.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.clone())  # the file may hold other bits for the two ends
    looked_up = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    count = 0
    for parameter in model.parameters():
        if parameter.ndim != 2:
            continue
        found = tables if id(parameter) in looked_up else products
        for turned in (False, True):
            near = nearest((parameter.T if turned else parameter).numpy(), found)
            if near is not None:
                near = torch.from_numpy(np.ascontiguousarray(near))
                parameter.copy_(near.T if turned else near)
                count += 1
                break
    return count


def nearest(values, found):
    """values with those rows replaced for which there are dequantised ones: None without any."""
    out, hits = values.copy(), 0
    for candidate in found:
        if candidate.shape[1] != values.shape[1]:
            continue
        rows, size = (len(x) for x in (values, candidate))
        for start in range(0, abs(rows - size) + 1, 8):
            mine = slice(start, start + size) if size < rows else slice(None)
            theirs = slice(start, start + rows) if size >= rows else slice(None)
            if np.abs(candidate[theirs] - values[mine]).mean() < 0.4 * np.abs(values[mine]).mean():
                out[mine], hits = candidate[theirs], hits + 1
    return out if hits else None


# Files

def write(path, **truths):
    """Writes truths: name → log-probs of every prompt's positions. All list the same ids."""
    first = next(iter(truths.values()))
    cases = []
    for number, prompt in enumerate(prompts()):
        ids = []
        for at, row in enumerate(first[number]):
            best = np.argsort(-row, kind="stable")[:BEST].tolist()
            spread = [(at * 11 + number + i * a.PIECES // SPREAD) % a.PIECES for i in range(SPREAD)]
            ids.append(best + [i for i in spread if i not in best])
        cases.append({"prompt": prompt, "ids": ids} | {
            name: [[round(float(rows[number][at][i]), 5) for i in listed] for at, listed in enumerate(ids)]
            for name, rows in truths.items()})
    text = json.dumps(cases, separators=(",", ":")).encode()
    # No name and no date in the header: the bytes depend on the contents alone.
    with open(path, "wb") as f, gzip.GzipFile(filename="", mode="wb", fileobj=f, mtime=0) as z:
        z.write(text)
