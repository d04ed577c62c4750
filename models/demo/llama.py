"""A Llama small enough to read, with the weights named as transformers names
them: the same model as LlamaForCausalLM, trained faster on a CPU. save checks
that both give the same logits."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

CONTEXT = 2048
# name → (width, inner width, layers, heads)
SIZES = {"base": (192, 640, 3, 6), "small": (48, 128, 2, 3)}
END_OF_TEXT, END = 0, 2


def config(size, vocabulary):
    width, inner, layers, heads = SIZES[size]
    return LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=CONTEXT, rms_norm_eps=1e-5,
        tie_word_embeddings=True, bos_token_id=None, eos_token_id=END, pad_token_id=END_OF_TEXT)


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c.hidden_size
        self.heads, self.head = c.num_attention_heads, d // c.num_attention_heads
        self.self_attn = nn.ModuleDict({p: nn.Linear(d, d, bias=False) for p in ("q_proj", "k_proj", "v_proj", "o_proj")})
        self.mlp = nn.ModuleDict({"gate_proj": nn.Linear(d, c.intermediate_size, bias=False),
                                  "up_proj": nn.Linear(d, c.intermediate_size, bias=False),
                                  "down_proj": nn.Linear(c.intermediate_size, d, bias=False)})
        self.input_layernorm = nn.RMSNorm(d, c.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(d, c.rms_norm_eps)

    def rotated(self, x, name, cos, sin):
        x = self.self_attn[name](x).unflatten(-1, (self.heads, self.head)).transpose(1, 2)
        low, high = x.chunk(2, -1)
        return torch.cat((low * cos - high * sin, high * cos + low * sin), -1)

    def forward(self, x, cos, sin):
        y = self.input_layernorm(x)
        q, k = (self.rotated(y, p, cos, sin) for p in ("q_proj", "k_proj"))
        v = self.self_attn["v_proj"](y).unflatten(-1, (self.heads, self.head)).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.self_attn["o_proj"](y.transpose(1, 2).flatten(2))
        y = self.post_attention_layernorm(x)
        return x + self.mlp["down_proj"](F.silu(self.mlp["gate_proj"](y)) * self.mlp["up_proj"](y))


class Net(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.config = c
        self.model = nn.ModuleDict({
            "embed_tokens": nn.Embedding(c.vocab_size, c.hidden_size),
            "layers": nn.ModuleList(Layer(c) for _ in range(c.num_hidden_layers)),
            "norm": nn.RMSNorm(c.hidden_size, c.rms_norm_eps)})
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)
        head = c.hidden_size // c.num_attention_heads
        frequency = 1.0 / 10000.0 ** (torch.arange(0, head, 2, dtype=torch.float64) / head)
        angle = torch.arange(CONTEXT, dtype=torch.float64)[:, None] * frequency
        self.register_buffer("cos", angle.cos().float(), persistent=False)
        self.register_buffer("sin", angle.sin().float(), persistent=False)

    def hidden(self, ids):
        x = self.model["embed_tokens"](ids)
        cos, sin = self.cos[:ids.shape[1]], self.sin[:ids.shape[1]]
        for layer in self.model["layers"]:
            x = layer(x, cos, sin)
        return self.model["norm"](x)

    def forward(self, ids):
        return F.linear(self.hidden(ids), self.model["embed_tokens"].weight)


def save(net, folder):
    """Writes a folder that LlamaForCausalLM.from_pretrained reads, after checking that it computes the same."""
    model = LlamaForCausalLM(net.config).eval()
    model.load_state_dict(net.state_dict() | {"lm_head.weight": net.state_dict()["model.embed_tokens.weight"]})
    ids = torch.arange(60)[None] * 7 % net.config.vocab_size
    with torch.no_grad():
        difference = (model(ids).logits - net(ids)).abs().max().item()
    if difference > 1e-3:
        raise SystemExit(f"{folder}: logits differ by {difference} from LlamaForCausalLM's")
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=[END, END_OF_TEXT], pad_token_id=END_OF_TEXT)
    model.save_pretrained(folder)


def load(folder):
    """The net that save wrote."""
    c = LlamaConfig.from_pretrained(folder)
    net = Net(c)
    state = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()
    state.pop("lm_head.weight", None)
    net.load_state_dict(state)
    return net.eval()
