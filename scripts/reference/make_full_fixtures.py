"""Makes the reference values of full fine-tuning: every weight trained by PyTorch and transformers, in float32.

    python scripts/reference/make_full_fixtures.py

Takes models, rows and flags of some of the cases that make_parity_fixtures.py makes, at a tenth of their learning rate, and
writes java/graft-core/src/test/resources/full-parity/<case>.json beside them.
"""

import json
from pathlib import Path

import torch
import transformers

from reference_training import eval_loss, load_base, read_rows, train

RESOURCES = Path(__file__).resolve().parents[2] / "java/graft-core/src/test/resources"
CASES = ["llama_tied_alllinear", "llama_bias", "qwen2_window", "qwen3", "lora_accum"]


def make(name):
    folder = RESOURCES / "parity" / name
    flags = json.loads((folder / "expected.json").read_text())["train"]
    flags["lr"] /= 10
    rows = read_rows(folder / "data.jsonl")
    model = load_base(folder / "model")
    steps = train(model, rows, flags)
    # a sum and a sum of squares of every weight tell two trained models apart in a small file
    weights = {
        weight: [p.double().sum().item(), p.double().square().sum().item()] for weight, p in model.named_parameters()
    }
    return {
        "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__,
        "lr": flags["lr"],
        "steps": steps,
        "final_eval_loss": eval_loss(model, rows, flags["batch_size"]),
        "weights_sum_and_square_sum": weights,
    }


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    out = RESOURCES / "full-parity"
    out.mkdir(exist_ok=True)
    for name in CASES:
        expected = make(name)
        (out / f"{name}.json").write_text(json.dumps(expected, indent=1) + "\n")
        print(f"{name:24s} loss {expected['steps'][0]['loss']:.4f} -> {expected['final_eval_loss']:.4f}")


if __name__ == "__main__":
    main()
