"""Times one greedy generation of transformers with a key/value cache, with or without a PEFT adapter; prints one JSON object.

Run by scripts/compare-generate, as `graft generate --json` is: in a process of its own, on the first text after loading.
"""

import argparse
import json
import resource
import statistics
import time

import peft
import torch
import transformers
from transformers.generation.streamers import BaseStreamer


class Clock(BaseStreamer):
    """Notes when each token comes; the prompt is handed over first."""

    def __init__(self):
        self.times = []

    def put(self, value):
        self.times.append(time.perf_counter())

    def end(self):
        pass


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--adapter")
    parser.add_argument("--precision", choices=["f32", "bf16"], required=True)
    parser.add_argument("--input-ids", required=True)
    parser.add_argument("--max-new-tokens", type=int, required=True)
    parser.add_argument("--threads", type=int, default=0)
    return parser.parse_args()


def main():
    args = parse()
    if args.threads:
        torch.set_num_threads(args.threads)
    dtype = torch.float32 if args.precision == "f32" else torch.bfloat16
    model = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype, attn_implementation="sdpa")
    if args.adapter:
        model = peft.PeftModel.from_pretrained(model, args.adapter)
    model.eval()
    prompt = torch.tensor([[int(token) for token in args.input_ids.split(",")]])
    clock = Clock()
    start = time.perf_counter()
    with torch.inference_mode():
        output = model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=False,
            use_cache=True,
            min_new_tokens=args.max_new_tokens,
            max_new_tokens=args.max_new_tokens,
            streamer=clock,
        )
    times = clock.times[1:]
    gaps = [after - before for before, after in zip(times, times[1:])]
    # of the later half, when all is warm; as `graft generate` takes it
    warm = gaps[max(0, len(times) // 2 - 1) :]
    print(
        json.dumps(
            {
                "ids": output[0, prompt.shape[1] :].tolist(),
                "tokens_per_second": len(times) / (times[-1] - start),
                "first_token_ms": (times[0] - start) * 1000,
                "token_ms": statistics.median(warm) * 1000,
                "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                "peft": peft.__version__,
                "threads": torch.get_num_threads(),
            }
        )
    )


if __name__ == "__main__":
    main()
