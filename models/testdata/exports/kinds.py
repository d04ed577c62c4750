"""The kinds of export: each function takes a folder as the Hub has it before any export, and writes a model folder."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import onnx

import architectures

HERE = pathlib.Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parents[2] / ".cache" / "exports"  # one Python environment for each requirements file


def python(environment):
    return ENVIRONMENTS / environment / "bin" / "python"


def run(environment, *words):
    """A command of an exporter; its output is shown if it fails."""
    done = subprocess.run([python(environment), *map(str, words)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"})
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stdout[-1500:]}")


def copy_texts(source, folder):
    """Everything but graphs and weights."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if path.suffix in (".json", ".jinja"):
            shutil.copy(path, folder / path.name)


# optimum

def optimum(source, folder, task="text-generation-with-past", environment="exports", **options):
    """`optimum-cli export onnx`, whose tool is the module below it; options as its flags are called."""
    flags = []
    for key, value in options.items():
        flags += ["--" + key.replace("_", "-")] + ([] if value is True else [value])
    run(environment, "-m", "optimum.exporters.onnx", "--model", source, "--task", task, *flags, folder)


def whole(source):
    """The source's plain export in float32, made once beside it, from which others start."""
    folder = source.parent.parent / "plain" / source.name
    if not (folder / "model.onnx").exists():
        optimum(source, folder)
    return folder


def external(source, folder):
    """Weights in a file of their own, as beyond 2 GB."""
    copy_texts(whole(source), folder)
    onnx.save(onnx.load(whole(source) / "model.onnx"), folder / "model.onnx", save_as_external_data=True,
              location="model.onnx_data", size_threshold=256)


def half(graph, keep_io):
    """The graph in half precision, by ONNX Runtime's converter. Angles of rotary embeddings are rounded, too."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    return convert_float_to_float16(graph, keep_io_types=keep_io, disable_shape_infer=False)


def int8(source, target, unsigned=True):
    """Dynamic quantisation: weights and activations in 8 bits."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    quantize_dynamic(source, target, weight_type=QuantType.QUInt8 if unsigned else QuantType.QInt8,
                     extra_options={"EnableSubgraph": True})


def int4(graph, **options):
    """Weights in 4 bits, by ONNX Runtime's quantiser."""
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    quantizer = MatMulNBitsQuantizer(graph, block_size=options.pop("block_size", 32), is_symmetric=options.pop("is_symmetric", True),
                                     **options)
    quantizer.process()
    return quantizer.model.model


def bnb4(graph):
    """Weights in 4 bits of bitsandbytes' kind."""
    from onnxruntime.quantization.matmul_bnb4_quantizer import MatMulBnb4Quantizer
    quantizer = MatMulBnb4Quantizer(graph, quant_type=MatMulBnb4Quantizer.NF4, block_size=32)
    quantizer.process()
    return quantizer.model.model


def changed(change):
    """A kind that changes the plain export's graph."""
    def make(source, folder):
        copy_texts(whole(source), folder)
        onnx.save(change(onnx.load(whole(source) / "model.onnx")), folder / "model.onnx")
    return make


def optimum_int8(source, folder):
    copy_texts(whole(source), folder)
    int8(whole(source) / "model.onnx", folder / "model.onnx")


def merged(source, folder):
    """decoder_model_merged.onnx with use_cache_branch, as optimum 1.x and transformers.js 2 had it."""
    copy_texts(source, folder)
    optimum(source, folder, environment="legacy", legacy=True)
    copy_texts(source, folder)
    (folder / "decoder_model_merged.onnx").rename(folder / "model.onnx")
    for name in ("decoder_model.onnx", "decoder_with_past_model.onnx"):
        (folder / name).unlink(missing_ok=True)


def fixed(graph):
    """The graph for texts of 8 tokens and no past, as tools for phones make it."""
    from onnxruntime.tools.onnx_model_utils import make_dim_param_fixed
    for name, value in (("batch_size", 1), ("sequence_length", 8), ("past_sequence_length", 8),
                        ("past_sequence_length + sequence_length", 16)):
        make_dim_param_fixed(graph.graph, name, value)
    return graph


# transformers.js

def keep_logits(graph):
    """num_logits_to_keep as onnx-community's graphs have it: a scalar, 0 for all, and a Slice before the last product."""
    helper, g = onnx.helper, graph.graph
    head = next(n for n in g.node if "logits" in n.output)
    while head.op_type != "MatMul":  # behind the product there may be a scale or a cap
        head = next(n for n in g.node if head.input[0] in n.output)
    position = list(g.node).index(head)
    g.input.append(helper.make_tensor_value_info("num_logits_to_keep", onnx.TensorProto.INT64, []))
    for name, value in (("keep.axis", [1]), ("keep.shape", [1]), ("keep.end", [2**63 - 1])):
        g.initializer.append(helper.make_tensor(name, onnx.TensorProto.INT64, [1], value))
    nodes = [helper.make_node("Neg", ["num_logits_to_keep"], ["keep.negative"]),
             helper.make_node("Reshape", ["keep.negative", "keep.shape"], ["keep.start"]),
             helper.make_node("Slice", [head.input[0], "keep.start", "keep.end", "keep.axis"], ["keep.hidden"])]
    head.input[0] = "keep.hidden"
    for node in reversed(nodes):
        g.node.insert(position, node)
    logits = next(o for o in g.output if o.name == "logits")
    logits.type.tensor_type.shape.dim[1].dim_param = "num_logits_to_keep"
    return graph


def transformersjs(source, folder):
    """The Hub's layout for browsers: variants side by side in onnx/."""
    copy_texts(whole(source), folder)
    (folder / "onnx").mkdir(exist_ok=True)
    path = lambda suffix: folder / "onnx" / f"model{suffix}.onnx"
    load = lambda: keep_logits(onnx.load(whole(source) / "model.onnx"))
    onnx.save(load(), path(""))
    onnx.save(half(load(), keep_io=False), path("_fp16"))
    int8(path(""), path("_quantized"))
    onnx.save(int4(load()), path("_q4"))
    onnx.save(half(int4(load()), keep_io=False), path("_q4f16"))


# ONNX Runtime GenAI's builder

def genai(precision, provider="cpu", environment="exports", **options):
    def make(source, folder):
        extra = ["--extra_options", *(f"{k}={v}" for k, v in options.items())] if options else []
        run(environment, "-m", "onnxruntime_genai.models.builder", "-i", source, "-o", folder, "-p", precision, "-e", provider,
            "-c", ENVIRONMENTS / "cache", *extra)
    return make


# ONNX Runtime's own tools

# The tool's opset has no operator for the attention that transformers takes by default.
EAGER_GPT2 = ("import runpy; from transformers.models.gpt2 import modeling_gpt2; "
              "modeling_gpt2.GPT2PreTrainedModel._supports_sdpa = False; "
              "runpy.run_module('onnxruntime.transformers.models.gpt2.convert_to_onnx', run_name='__main__')")


def ort_gpt2(*words):
    """One fused past a layer: past_N and present_N, [2, batch, heads, tokens, width]."""
    def make(source, folder):
        copy_texts(source, folder)
        run("legacy", "-c", EAGER_GPT2, "-m", source, "--output", folder / "model.onnx",
            "--cache_dir", ENVIRONMENTS / "cache", "--overwrite", "--test_cases", 1, "--test_runs", 1, *words)
        for path in [*folder.glob("*.csv"), *folder.glob("gpt2_past*")]:
            path.unlink()
    return make


def ort_llama(*words):
    def make(source, folder):
        copy_texts(source, folder)
        run("legacy", "-m", "onnxruntime.transformers.models.llama.convert_to_onnx", "-m", source, "--input", source, "--output",
            folder, "--cache_dir", ENVIRONMENTS / "cache", "--execution_provider", "cpu", *words)
        next(folder.glob("*.onnx")).rename(folder / "model.onnx")
    return make


KINDS = {
    "optimum-fp32": optimum,
    "optimum-fp16": changed(lambda g: half(g, keep_io=False)),
    "optimum-fp16-io32": changed(lambda g: half(g, keep_io=True)),
    "optimum-int8": optimum_int8,
    "optimum-int4": changed(int4),
    "optimum-int4-asymmetric": changed(lambda g: int4(g, block_size=16, is_symmetric=False, accuracy_level=4)),
    "optimum-bnb4": changed(bnb4),
    "optimum-external": external,
    "optimum-opset14": lambda s, f: optimum(s, f, opset=14),
    "optimum-opset21": lambda s, f: optimum(s, f, opset=21),
    "optimum-o2": lambda s, f: optimum(s, f, optimize="O2"),
    "optimum-slim": lambda s, f: optimum(s, f, slim=True),
    "optimum-merged": merged,
    "optimum-nopast": lambda s, f: optimum(s, f, task="text-generation"),
    "optimum-fixed": changed(fixed),
    "transformersjs": transformersjs,
    "genai-fp32": genai("fp32"),
    "genai-int4": genai("int4"),
    "genai-int4-exact": genai("int4", int4_accuracy_level=1, int4_block_size=16),
    "genai-int4-uint4": genai("int4", int4_is_symmetric="false", int4_block_size=128),
    "genai-int4-mixed": genai("int4", int4_algo_config="k_quant_mixed"),
    "genai-int4-qdq": genai("int4", use_qdq="true"),
    "genai-fp16-cuda": genai("fp16", "cuda"),
    "genai-int4-cuda": genai("int4", "cuda"),
    "genai-fp16-dml": genai("fp16", "dml"),
    "genai-int4-dml": genai("int4", "dml"),
    "genai-fp16-webgpu": genai("fp16", "webgpu"),
    "genai-int4-webgpu": genai("int4", "webgpu"),
    "genai-bf16-cuda": genai("bf16", "cuda"),
    "genai-layers": genai("fp32", num_hidden_layers=1),
    "genai-hidden": genai("fp32", include_hidden_states="true"),
    "genai-nohead": genai("fp32", exclude_lm_head="true"),
    "genai-embeds": genai("fp32", exclude_embeds="true"),
    "genai18-fp32": genai("fp32", environment="genai"),
    "genai18-int4": genai("int4", environment="genai"),
    "genai18-int8": genai("int8", environment="genai"),
    "genai18-int4-shared": genai("int4", environment="genai", shared_embeddings="true"),
    "genai18-int4-webgpu": genai("int4", "webgpu", environment="genai"),
    "genai18-fp16-cuda": genai("fp16", "cuda", environment="genai"),
    "genai18-prune": genai("fp32", environment="genai", prune_lm_head="true"),
    "genai18-paged": genai("fp16", "cuda", environment="genai", use_paged_attention="true"),
    "ort-gpt2-fp32": ort_gpt2("-p", "fp32"),
    "ort-gpt2-fused": ort_gpt2("-p", "fp32", "-o"),
    "ort-gpt2-int64": ort_gpt2("-p", "fp32", "-o", "--use_int64_inputs"),
    "ort-gpt2-int8": ort_gpt2("-p", "int8", "-o"),
    "ort-llama-fp32": ort_llama("--precision", "fp32"),
    "ort-llama-int8": ort_llama("--precision", "int8", "--quantization_method", "quantize_dynamic"),
    "ort-llama-int4": ort_llama("--precision", "int4"),
}
