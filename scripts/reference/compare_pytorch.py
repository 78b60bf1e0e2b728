"""Runs Graft's and PyTorch's training step in turn, each in a process of its own; see scripts/compare-pytorch."""

import json
import os
import platform
import statistics
import subprocess
import sys

FIGURES = ("tokens_per_second", "step_ms", "peak_rss_bytes")


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"compare-pytorch: {' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def processor():
    try:
        with open("/proc/cpuinfo") as info:
            names = [line.split(":")[1].strip() for line in info if line.startswith("model name")]
        return f"{names[0]}, {len(names)} processors"
    except OSError:
        return platform.processor()


def main():
    root, *flags = sys.argv[1:]
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
    ratios = [g["tokens_per_second"] / p["tokens_per_second"] for g, p in zip(graft, pytorch)]
    memory = [g["peak_rss_bytes"] / p["peak_rss_bytes"] for g, p in zip(graft, pytorch)]
    median = lambda runs: {figure: statistics.median(r[figure] for r in runs) for figure in FIGURES}
    print(
        json.dumps(
            {
                "flags": " ".join(flags),
                "processor": processor(),
                "torch": pytorch[0]["torch"],
                "threads": pytorch[0]["threads"],
                "graft": median(graft),
                "pytorch": median(pytorch),
                "speed_ratio": {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)},
                "memory_ratio": {"min": min(memory), "median": statistics.median(memory), "max": max(memory)},
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
