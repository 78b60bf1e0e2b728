"""Generates with Graft and with transformers in turn, each time in a process of its own; see scripts/compare-generate."""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

from known_shapes import SHAPES
from measuring import medians, provenance, ratios, run

FIGURES = ("tokens_per_second", "first_token_ms", "token_ms", "command_seconds", "peak_rss_bytes")
HERE = os.path.dirname(os.path.abspath(__file__))


def precisions(text):
    names = text.split(",")
    if not set(names) <= {"f32", "bf16"}:
        raise argparse.ArgumentTypeError("f32, bf16 or both with a comma between")
    return names


def at_least(least):
    def number(text):
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}")
        return int(text)

    return number


def parse(arguments):
    parser = argparse.ArgumentParser(prog="compare-generate")
    parser.add_argument("--shape", default="smollm2-135m", choices=SHAPES)
    parser.add_argument("--precision", type=precisions, default="f32,bf16")
    parser.add_argument("--rank", type=at_least(1), default=16)
    parser.add_argument("--prompt-tokens", type=at_least(1), default=64)
    parser.add_argument("--new-tokens", type=at_least(2), default=128)
    parser.add_argument("--rounds", type=at_least(1), default=3)
    parser.add_argument("--threads", type=at_least(1))
    return parser.parse_args(arguments)


def same_first_tokens(one, other):
    same = 0
    while same < min(len(one), len(other)) and one[same] == other[same]:
        same += 1
    return same


def compare(root, name, flags, rounds):
    """One model: pairs of runs, who goes first by turns."""
    commands = {
        "graft": [f"{root}/scripts/graft", "generate", "--json", *flags],
        "pytorch": [sys.executable, f"{HERE}/pytorch_generate.py", *flags],
    }
    runs = {"graft": [], "pytorch": []}
    for pair in range(rounds):
        for who in ("graft", "pytorch") if pair % 2 == 0 else ("pytorch", "graft"):
            runs[who].append(run(commands[who]))
        print(
            f"{name}, pair {pair + 1}: "
            + ", ".join(f"{who} {of[-1]['tokens_per_second']:.1f} tokens/s" for who, of in runs.items()),
            file=sys.stderr,
        )
    graft, pytorch = runs["graft"], runs["pytorch"]
    if len(graft[0]["ids"]) != len(pytorch[0]["ids"]):
        sys.exit(f"compare-generate: {name}: graft ended after {len(graft[0]['ids'])} tokens, {graft[0]['stop']}")
    result = {
        "graft": medians(graft, FIGURES),
        "pytorch": medians(pytorch, FIGURES),
        "speed_ratio": ratios(graft, pytorch, "tokens_per_second"),
        "token_ratio": ratios(pytorch, graft, "token_ms"),
        "command_ratio": ratios(pytorch, graft, "command_seconds"),
        "memory_ratio": ratios(graft, pytorch, "peak_rss_bytes"),
        "same_first_tokens": same_first_tokens(graft[0]["ids"], pytorch[0]["ids"]),
    }
    return result, pytorch[0]


def main():
    root, *arguments = sys.argv[1:]
    args = parse(arguments)
    source = random.Random(0)
    ids = [source.randrange(SHAPES[args.shape][1]) for _ in range(args.prompt_tokens)]
    models = []
    with tempfile.TemporaryDirectory(prefix="graft-generate-") as folder:
        print(f"making random models in {folder}", file=sys.stderr)
        subprocess.run(
            [sys.executable, f"{HERE}/generation_models.py", folder, args.shape, str(args.rank)],
            check=True,
            stdout=sys.stderr,
        )
        adapter = f"{folder}/adapter"
        for precision in args.precision:
            base, merged = f"{folder}/{precision}", f"{folder}/merged-{precision}"
            subprocess.run(
                [f"{root}/scripts/graft", "merge", "--model", base, "--adapter", adapter, "--out", merged],
                check=True,
                stdout=sys.stderr,
            )
            common = ["--precision", precision, "--input-ids", ",".join(map(str, ids))]
            common += ["--max-new-tokens", str(args.new_tokens)]
            common += ["--threads", str(args.threads)] if args.threads else []
            for name, flags in (
                ("base", ["--model", base]),
                ("base + adapter", ["--model", base, "--adapter", adapter]),
                ("merged", ["--model", merged]),
            ):
                result, torch_run = compare(root, f"{name}, {precision}", flags + common, args.rounds)
                models.append({"model": name, "precision": precision} | result)
    result = provenance(root, "compare-generate", arguments) | {
        "shape": args.shape,
        "rank": args.rank,
        "prompt_tokens": args.prompt_tokens,
        "new_tokens": args.new_tokens,
        "rounds": args.rounds,
        **{field: torch_run[field] for field in ("torch", "transformers", "peft", "threads")},
        "models": models,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
