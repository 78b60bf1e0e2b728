"""Times what Graft's CUDA engine does in PyTorch, transformers and PEFT; writes one JSON file. Run by scripts/gpu-verify.

    python gpu_lora.py --out pytorch.json            on a GPU, the shapes of Llama 3 8B
    python gpu_lora.py --out pytorch.json --tiny     on any machine, to try the script

Sections, under the names that dev.graft.benchmarks.gpu uses for the same work, so that it can set them side by side:
  ceilings     a large copy and a large bf16 product
  lora_linear  a linear layer: frozen alone; as PEFT's own layer computes it, with adapters in the layer's dtype ("peft") and with
               float32 adapters under autocast ("peft_autocast", what the Hugging Face trainer does with bf16=True); and as Unsloth
               does ("unsloth"), with a backward of its own and beta = 1 products
  attention    scaled_dot_product_attention, causal, grouped queries
  step         whole LoRA steps of transformers + PEFT on random weights: SDPA, AdamW (fused), clipping
"""

import argparse
import contextlib
import dataclasses
import gc
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

try:
    import peft
    import transformers
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, LlamaConfig
except ImportError:
    peft = transformers = None


@dataclasses.dataclass(frozen=True)
class Sizes:
    rows: int
    sequences: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    copy_floats: int
    peak: int


LLAMA3_8B = Sizes(8192, 2, 4096, 14336, 32, 8, 128, 1 << 28, 8192)
TINY = Sizes(64, 2, 64, 96, 4, 2, 16, 1 << 14, 64)

# name, layers, vocabulary, hidden, intermediate, heads, kv_heads, head_dim, theta, tied; then batch x seq, the largest that fits
LLAMA3_1_8B = (128256, 4096, 14336, 32, 8, 128, 500000.0, False)
LLAMA3_2_1B = (128256, 2048, 8192, 32, 8, 64, 500000.0, True)
STEPS = [
    ("llama3.1-8b, 4 layers", 4, LLAMA3_1_8B, [(2, 4096)]),
    ("llama3.1-8b", 32, LLAMA3_1_8B, [(2, 4096), (1, 4096), (1, 2048)]),
    ("llama3.2-1b", 16, LLAMA3_2_1B, [(2, 4096)]),
]
TINY_STEPS = [("tiny", 1, (160, 64, 96, 4, 2, 16, 10000.0, False), [(2, 16)])]
RANK = 16
SCALE = 2.0


class Stopwatch:
    """Median over repetitions of at least 50 ms each, all calls of a repetition enqueued together."""

    def __init__(self, device, tiny):
        self.device = device
        self.repetitions, self.least_ms = (1, 0.0) if tiny else (5, 50.0)

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def total_ms(self, call, calls):
        self.wait()
        start = time.perf_counter()
        for _ in range(calls):
            call()
        self.wait()
        return (time.perf_counter() - start) * 1e3

    def time(self, call):
        calls = 1
        once = self.total_ms(call, calls)
        while once < self.least_ms and calls < 100_000:
            calls = min(100_000, int(calls * min(100.0, max(1.2, 1.2 * self.least_ms / once))) + 1)
            once = self.total_ms(call, calls)
        times = sorted(self.total_ms(call, calls) / calls for _ in range(self.repetitions))
        return {"ms": statistics.median(times), "min_ms": times[0], "max_ms": times[-1], "calls": calls}


def ceilings(watch, sizes, device):
    source = torch.rand(sizes.copy_floats, device=device)
    destination = torch.empty_like(source)
    copy = watch.time(lambda: destination.copy_(source))
    n = sizes.peak
    a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    y = torch.empty_like(a)
    gemm = watch.time(lambda: torch.matmul(a, b.t(), out=y))
    return {
        "copy": copy,
        "copy_gb_s": 8 * sizes.copy_floats / copy["ms"] / 1e6,
        "gemm": gemm,
        "gemm_tflops": 2 * n**3 / gemm["ms"] / 1e9,
    }


class UnslothLora(torch.autograd.Function):
    """Several projections of one input, as Unsloth's fused LoRA functions compute them: products added in place with beta = 1."""

    @staticmethod
    def forward(ctx, x, *factors):  # W, A, B of each projection
        ctx.save_for_backward(x, *factors)
        outputs = []
        for w, a, b in zip(factors[0::3], factors[1::3], factors[2::3]):
            y = torch.matmul(x, w.t())
            y.addmm_(torch.matmul(x, a.t()), b.t(), alpha=SCALE)
            outputs.append(y)
        return tuple(outputs)

    @staticmethod
    def backward(ctx, *dys):
        x, *factors = ctx.saved_tensors
        dx = None
        gradients = []
        for dy, w, a, b in zip(dys, factors[0::3], factors[1::3], factors[2::3]):
            dyb = torch.matmul(dy, b)
            da = torch.empty_like(a).addmm_(dyb.t(), x, alpha=SCALE, beta=0)
            db = torch.empty_like(b).addmm_(dy.t(), torch.matmul(x, a.t()), alpha=SCALE, beta=0)
            dx = torch.matmul(dy, w) if dx is None else dx.addmm_(dy, w)
            dx.addmm_(dyb, a, alpha=SCALE)
            gradients += [None, da, db]
        return (dx, *gradients)


class PlainLora(torch.nn.Module):
    """PEFT's composition, for where PEFT is not installed."""

    def __init__(self, base, rank):
        super().__init__()
        self.base = base
        self.a = torch.nn.Linear(base.in_features, rank, bias=False)
        self.b = torch.nn.Linear(rank, base.out_features, bias=False)

    def forward(self, x):
        return self.base(x) + self.b(self.a(x)) * SCALE


def lora_layer(base, rank):
    if peft is None:
        return PlainLora(base, rank)
    config = LoraConfig(r=rank, lora_alpha=SCALE * rank, init_lora_weights=False, target_modules=["layer"])
    return peft.inject_adapter_in_model(config, torch.nn.ModuleDict({"layer": base}))["layer"]


def passes(watch, run, x, dys, trained, context=contextlib.nullcontext):
    """Times run() and the backward of its outputs. Gradients are dropped before each backward, as zero_grad does."""

    def forward():
        with context():
            return run()

    def backward():
        for tensor in (x, *trained):
            tensor.grad = None
        torch.autograd.backward(outputs, dys, retain_graph=True)

    forward_time = watch.time(forward)
    outputs = forward()
    return {"forward": forward_time, "backward": watch.time(backward)}


def lora_linear(watch, sizes, device, shapes, rank, dtype):
    results = []
    for name, inner, outer in shapes:
        x = (torch.rand(sizes.rows, inner, device=device) * 2 - 1).to(dtype).requires_grad_()
        dys = tuple((torch.rand(sizes.rows, n, device=device) * 2 - 1).to(dtype) for n in outer)
        bases = [torch.nn.Linear(inner, n, bias=False, device=device, dtype=dtype).requires_grad_(False) for n in outer]
        result = {
            "shape": name,
            "rank": rank,
            "dtype": {torch.bfloat16: "BF16", torch.float32: "F32"}[dtype],
            "frozen": passes(watch, lambda: [base(x) for base in bases], x, dys, ()),
        }
        layers = [lora_layer(base, rank).to(device=device, dtype=dtype) for base in bases]
        trained = [p for layer in layers for p in layer.parameters() if p.requires_grad]
        result["peft"] = passes(watch, lambda: [layer(x) for layer in layers], x, dys, trained)
        if dtype != torch.float32:
            for p in trained:
                p.data = p.data.float()
            autocast = lambda: torch.autocast(device.type, dtype)
            result["peft_autocast"] = passes(watch, lambda: [layer(x) for layer in layers], x, dys, trained, autocast)
        factors = []
        for base in bases:
            a = torch.randn(rank, inner, device=device).to(dtype).requires_grad_()
            b = torch.randn(base.out_features, rank, device=device).to(dtype).requires_grad_()
            factors += [base.weight, a, b]
        trained = [f for f in factors if f.requires_grad]
        result["unsloth"] = passes(watch, lambda: UnslothLora.apply(x, *factors), x, dys, trained)
        results.append(result)
    return results


def all_lora_linear(watch, sizes, device, quick):
    d, wide, kv = sizes.hidden, sizes.intermediate, sizes.kv_heads * sizes.head_dim
    shapes = [("o", d, [d]), ("qkv", d, [d, kv, kv]), ("gate_up", d, [wide, wide]), ("down", wide, [d]), ("up", d, [wide])]
    results = lora_linear(watch, sizes, device, shapes, 16, torch.bfloat16)
    if not quick:
        results += lora_linear(watch, sizes, device, shapes, 64, torch.bfloat16)
        results += lora_linear(watch, sizes, device, shapes[:1], 16, torch.float32)
    return results


def attention(watch, sizes, device):
    length = sizes.rows // sizes.sequences

    def random(heads):
        shape = (sizes.sequences, heads, length, sizes.head_dim)
        return torch.randn(shape, device=device, dtype=torch.bfloat16).requires_grad_()

    q, k, v = random(sizes.heads), random(sizes.kv_heads), random(sizes.kv_heads)
    run = lambda: [F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)]
    times = passes(watch, run, q, [torch.randn_like(q)], [k, v])
    product = length * sizes.rows * sizes.heads * sizes.head_dim
    times["forward"]["tflops"] = 2 * product / times["forward"]["ms"] / 1e9
    times["backward"]["tflops"] = 5 * product / times["backward"]["ms"] / 1e9
    return times


def step_model(shape, layers, device):
    vocabulary, hidden, intermediate, heads, kv_heads, head_dim, theta, tied = shape
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=head_dim,
        rope_parameters={"rope_type": "default", "rope_theta": theta},
        tie_word_embeddings=tied,
        use_cache=False,
    )
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    finally:
        torch.set_default_dtype(torch.float32)
    lora = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(model, lora).train()


def step(name, layers, shape, batch, seq, device, tiny):
    """bf16 weights, float32 adapters, autocast: the Hugging Face trainer with bf16=True, without gradient checkpointing."""
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    model = step_model(shape, layers, device)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-4, weight_decay=0.0, fused=cuda)
    ids = torch.randint(0, shape[0], (batch, seq), device=device)
    times = []
    for index in range(2 if tiny else 7):
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        if cuda:
            torch.cuda.synchronize()
        if index >= (1 if tiny else 2):
            times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    return {
        "shape": name,
        "layers": layers,
        "batch": batch,
        "seq": seq,
        "rank": RANK,
        "tokens_per_second": batch * seq / seconds,
        "step_ms": seconds * 1e3,
        "peak_bytes": torch.cuda.max_memory_allocated() if cuda else None,
    }


def steps(device, tiny, quick, deadline):
    if peft is None:
        return [{"left_out": "transformers and peft are not installed"}]
    results = []
    for name, layers, shape, sizes in TINY_STEPS if tiny else STEPS[:1] if quick else STEPS:
        for batch, seq in sizes:
            if time.monotonic() > deadline:
                results.append({"shape": name, "left_out": "no time left"})
                break
            try:
                results.append(step(name, layers, shape, batch, seq, device, tiny))
                break
            except torch.OutOfMemoryError:
                results.append({"shape": name, "batch": batch, "seq": seq, "left_out": "out of memory"})
            finally:
                gc.collect()
                if device.type == "cuda":
                    torch.cuda.empty_cache()
    return results


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--tiny", action="store_true", help="small sizes, each once; on the CPU where there is no GPU")
    parser.add_argument("--quick", action="store_true", help="the most telling cases only")
    parser.add_argument("--seconds", type=int, default=3600, help="begin no further step after this many seconds")
    args = parser.parse_args()
    if not args.tiny and not torch.cuda.is_available():
        sys.exit("gpu_lora: PyTorch sees no GPU; --tiny runs on the CPU")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    deadline = time.monotonic() + args.seconds
    sizes = TINY if args.tiny else LLAMA3_8B
    watch = Stopwatch(device, args.tiny)
    torch.manual_seed(0)
    report = {
        "environment": {
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "transformers": getattr(transformers, "__version__", None),
            "peft": getattr(peft, "__version__", None),
            "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        }
    }
    sections = {
        "ceilings": lambda: ceilings(watch, sizes, device),
        "lora_linear": lambda: all_lora_linear(watch, sizes, device, args.quick),
        "attention": lambda: attention(watch, sizes, device),
        "step": lambda: steps(device, args.tiny, args.quick, deadline),
    }
    for name, run in sections.items():
        start = time.monotonic()
        try:
            report[name] = rounded(run())
        except Exception as failure:  # other versions than those this was written for
            report[f"{name}_error"] = f"{type(failure).__name__}: {failure}".splitlines()[0]
        print(f"gpu_lora: {name} in {time.monotonic() - start:.1f} s", file=sys.stderr)
        with open(args.out, "w") as out:
            json.dump(report, out, indent=2)
            out.write("\n")


if __name__ == "__main__":
    main()
