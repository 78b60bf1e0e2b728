"""What scripts/compare-pytorch and scripts/compare-generate share."""

import datetime
import json
import statistics
import subprocess
import sys
import time


def run(command):
    """Runs a command that prints one JSON object last, and returns it, with the seconds that the command took from start to end."""
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1]) | {"command_seconds": seconds}


def provenance(root, kind, arguments):
    """When, on what and how: the first fields of a result file."""
    processor = subprocess.run([f"{root}/scripts/processor"], stdout=subprocess.PIPE, text=True, check=True)
    return {
        "kind": kind,
        "date": datetime.date.today().isoformat(),
        "command": " ".join([f"scripts/{kind}", *arguments]),
        "processor": processor.stdout.strip(),
    }


def medians(runs, figures):
    return {figure: statistics.median(run[figure] for run in runs) for figure in figures}


def ratios(over, under, figure):
    """Pair by pair: the least, the median and the greatest."""
    pairs = [a[figure] / b[figure] for a, b in zip(over, under)]
    return {"min": min(pairs), "median": statistics.median(pairs), "max": max(pairs)}
