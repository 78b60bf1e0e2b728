"""Runs Graft's and PyTorch's training step in turn, each in a process of its own; see scripts/compare-pytorch."""

import json
import os
import sys

from measuring import medians, provenance, ratios, run

FIGURES = ("tokens_per_second", "step_ms", "peak_rss_bytes")


def main():
    root, *arguments = sys.argv[1:]
    flags = list(arguments)
    rounds = 3
    if "--rounds" in flags:
        at = flags.index("--rounds")
        rounds = int(flags[at + 1])
        del flags[at : at + 2]
    here = os.path.dirname(os.path.abspath(__file__))
    graft, pytorch = [], []
    for pair in range(rounds):
        graft.append(run([f"{root}/scripts/graft", "bench", "train", "--json", *flags]))
        pytorch.append(run([sys.executable, f"{here}/pytorch_step.py", *flags]))
        print(
            f"pair {pair + 1}: graft {graft[-1]['tokens_per_second']:.1f}, "
            f"pytorch {pytorch[-1]['tokens_per_second']:.1f} tokens/s",
            file=sys.stderr,
        )
    result = provenance(root, "compare-pytorch", arguments) | {
        "flags": " ".join(flags),
        "torch": pytorch[0]["torch"],
        "threads": pytorch[0]["threads"],
        "graft": medians(graft, FIGURES),
        "pytorch": medians(pytorch, FIGURES),
        "speed_ratio": ratios(graft, pytorch, "tokens_per_second"),
        "memory_ratio": ratios(graft, pytorch, "peak_rss_bytes"),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
