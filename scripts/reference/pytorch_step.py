"""Times LoRA training steps of PEFT + transformers + PyTorch on random weights of a known shape; prints one JSON object.

Run by scripts/compare-pytorch, with the numbers that `graft bench train` is given: the same shape, batch, sequence length, rank,
precision and threads, all linear layers adapted, AdamW on A and B.
"""

import argparse
import json
import resource
import statistics
import time

from known_shapes import SHAPES, config_of


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", required=True, choices=SHAPES)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seq", type=int, default=256)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=0)
    return parser.parse_args()


def main():
    args = parse()
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    config = config_of(args.shape, use_cache=False)
    dtype = torch.float32 if args.precision == "f32" else torch.bfloat16
    torch.set_default_dtype(dtype)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    torch.set_default_dtype(torch.float32)
    model = get_peft_model(
        model, LoraConfig(r=args.rank, lora_alpha=2 * args.rank, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-4)
    times = []
    for step in range(args.warmup + args.steps):
        ids = torch.randint(0, config.vocab_size, (args.batch, args.seq))
        start = time.perf_counter()
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step >= args.warmup:
            times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    print(
        json.dumps(
            {
                "tokens_per_second": args.batch * args.seq / seconds,
                "step_ms": seconds * 1000,
                "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "trainable_parameters": sum(p.numel() for p in trained),
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
            }
        )
    )


if __name__ == "__main__":
    main()
