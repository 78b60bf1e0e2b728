"""Makes the reference values that Graft's parity tests compare with: LoRA fine-tuning by PEFT, in float32.

    python scripts/reference/make_parity_fixtures.py [CASE ...]

Each case is a tiny random model, a LoRA configuration and a training run, and becomes a folder under
java/graft-core/src/test/resources/parity/ (see README.md for what lies in it). Without arguments it makes all cases
and peft-files/ beside them. Output is deterministic for given versions of torch, transformers and peft on one kind of
processor.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

if os.environ.get("PYTHONHASHSEED") != "0":
    # PEFT keeps target_modules as a set and writes it in iteration order, which depends on Python's string hash.
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})
os.environ["HF_HUB_OFFLINE"] = "1"

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from parity_cases import CASES, PEFT_FILES
from reference_training import (
    IGNORED,
    chunks,
    eval_loss,
    greedy,
    last_logits,
    load_base,
    target_count,
    train,
)

RESOURCES = Path(__file__).resolve().parents[2] / "java/graft-core/src/test/resources"
PARITY = RESOURCES / "parity"
NEW_TOKENS = 12
PROMPT_LENGTH = 5
MIN_GREEDY_MARGIN = 0.01
"""Smallest gap between the two best logits of a greedy step: wide enough that rounding cannot change the choice."""


def randomize(model, generator):
    """Normal weights, RMSNorm weights around 1, non-zero biases: no term of a gradient vanishes or is trivial."""
    std = model.config.initializer_range
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        with torch.no_grad():
            if "norm" in name:
                parameter.copy_(1 + 0.2 * noise)
            elif name.endswith(".bias"):
                parameter.copy_(0.2 * noise)
            else:
                parameter.copy_(std * noise)


def to_transformers4(config):
    """config.json as transformers 4 spells it: rope_theta, rope_scaling and torch_dtype at the top level."""
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = rope if rope["rope_type"] != "default" else None
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.46.3"
    return config


def save_model(case, folder, generator):
    model = AutoModelForCausalLM.from_config(case.config, attn_implementation="eager")
    randomize(model, generator)
    model.to(case.weight_dtype).save_pretrained(folder, max_shard_size=case.max_shard_size)
    if case.transformers4_config:
        path = folder / "config.json"
        config = to_transformers4(json.loads(path.read_text()))
        path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def make_rows(case, generator):
    """Rows of a noisy rule, next = 3 * token + 5 (mod vocabulary), so that there is something to learn.

    The labels of a prefix and of some later tokens are masked; some rows count from the very first token, whose label
    is never a target.
    """
    vocab = case.config.vocab_size

    def random(bound):
        return int(torch.randint(bound, (1,), generator=generator))

    rows = []
    for index, length in enumerate(case.lengths):
        ids = [random(vocab)]
        while len(ids) < length:
            ids.append(random(vocab) if random(5) == 0 else (3 * ids[-1] + 5) % vocab)
        prefix = random(length // 2 + 1) if index % 3 else 0
        labels = [IGNORED if i < prefix or (i > prefix + 1 and random(8) == 0) else t for i, t in enumerate(ids)]
        rows.append({"input_ids": ids, "labels": labels})
    return rows


def adapt(model, lora, generator):
    """Wraps the model by PEFT and gives B non-zero values, so that A has gradients from the first step.

    DoRA's magnitudes, which start as the lengths of W0's rows, and modules to save move a little away from what the base has, so
    that a reader who takes those shows.
    """
    model.name_or_path = "model"  # becomes base_model_name_or_path: relative to the case's folder
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **lora))
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            noise = torch.randn(parameter.shape, generator=generator)
            with torch.no_grad():
                if "lora_magnitude" in name:
                    parameter.mul_(1 + 0.1 * noise)
                else:
                    parameter.copy_(0.05 * noise if "lora_B" in name else noise * parameter.shape[1] ** -0.5)
        elif parameter.requires_grad:
            with torch.no_grad():
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return adapted


def take_over(model, lora):
    """Wraps the model by PEFT, which takes A and B out of the model's own weights."""
    model.name_or_path = "model"
    return get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **lora))


def save_adapter(adapted, folder, **how):
    with contextlib.chdir(folder.parent):  # where PEFT finds the base model by its relative name
        adapted.save_pretrained(folder.name, **how)
    (folder / "README.md").unlink()  # PEFT's model card template


def load_adapted(case_folder, adapter):
    base = load_base(case_folder / "model")
    return PeftModel.from_pretrained(base, case_folder / adapter, is_trainable=True)


def load_start(case, folder):
    """The model at the beginning of training."""
    if case.changes_base:
        return take_over(load_base(folder / "model"), case.lora)
    return load_adapted(folder, "adapter_init")


def save_start(case, folder, base, generator):
    if not case.changes_base:
        save_adapter(adapt(base, case.lora, generator), folder / "adapter_init")
        return
    # PEFT's documentation: the start of an adapter that is to be converted is saved as one that takes nothing over
    started = take_over(base, case.lora)
    started.peft_config["default"].init_lora_weights = True
    save_adapter(started, folder / "adapter_init")


def save_final(case, folder, adapted):
    """What took over a part of the base becomes plain LoRA of twice the rank, by PEFT's conversion."""
    start = {"path_initial_model_for_weight_conversion": str(folder / "adapter_init")} if case.changes_base else {}
    save_adapter(adapted, folder / "adapter_final", **start)


def file_name_of(parameter_name):
    """The name that a parameter has in adapter_model.safetensors."""
    return (
        parameter_name.replace(".lora_magnitude_vector.default.weight", ".lora_magnitude_vector")
        .replace(".modules_to_save.default.", ".")
        .replace(".default.", ".")
    )


def adapter_tensors(adapted):
    return {file_name_of(n): p.detach().clone() for n, p in adapted.named_parameters() if p.requires_grad}


def lora_modules(adapted):
    """Name of each adapted module -> its rank and scale s, in the order of the model."""
    return {
        name: {"rank": module.r["default"], "scaling": module.scaling["default"]}
        for name, module in adapted.base_model.model.named_modules()
        if isinstance(module, BaseTunerLayer)
    }


def check_greedy(case, tokens, margin):
    """Fails where two tokens are nearly as likely, or where an end token would stop a generator early."""
    ends = case.config.eos_token_id
    if margin < MIN_GREEDY_MARGIN or set(tokens) & set(ends if isinstance(ends, list) else [ends]):
        raise SystemExit(f"{case.name}: greedy tokens {tokens}, margin {margin:.4f}: choose another seed")


def rounding_spread(case, folder, rows, metrics, final):
    """How far the results move when the same run sums its rows in another order: a floor for tolerances."""
    other = load_start(case, folder)
    other_metrics = train(other, rows, case.flags, row_by_row=True)
    tensors = adapter_tensors(other)
    return {
        "max_loss_difference": max(abs(a["loss"] - b["loss"]) for a, b in zip(metrics, other_metrics)),
        "max_relative_grad_norm_difference": max(
            abs(a["grad_norm"] - b["grad_norm"]) / a["grad_norm"] for a, b in zip(metrics, other_metrics)
        ),
        "max_adapter_difference": max((final[n] - tensors[n]).abs().max().item() for n in final),
    }


def compact_json(value):
    """Indented JSON with lists of numbers and the objects of lists on one line each."""
    text = json.dumps(value, indent=2)
    text = re.sub(r"\[[^\[\]{}\"]*\]", lambda m: re.sub(r"\s+", " ", m[0]).replace("[ ", "[").replace(" ]", "]"), text)
    return re.sub(r"(?<=\n    )\{[^\[\]{}]*\}", lambda m: re.sub(r"\s+", " ", m[0]), text)


def train_and_save(case, folder, rows):
    """Trains, writes adapter_final and the gradients of step 1; returns the metrics, these gradients and A and B."""
    adapted = load_start(case, folder)
    gradients = {}

    def keep_first_gradients(step):
        if step == 1:
            for name, parameter in adapted.named_parameters():
                if parameter.requires_grad:
                    gradients[file_name_of(name)] = parameter.grad.detach().clone()

    metrics = train(adapted, rows, case.flags, after_backward=keep_first_gradients)
    trained = adapter_tensors(adapted)
    save_final(case, folder, adapted)
    save_file(gradients, folder / "gradients_step1.safetensors", metadata={"format": "pt"})
    return metrics, gradients, trained


def logits_and_tokens(case, model, ids):
    """Some logits after a row, and what the model continues the beginning of that row with."""
    logits = last_logits(model, ids)
    vocabulary_ids = [round(i * (case.config.vocab_size - 1) / 7) for i in range(8)]
    prompt = ids[:PROMPT_LENGTH]
    tokens, margin = greedy(model, prompt, NEW_TOKENS)
    uncached, uncached_margin = greedy(model, prompt, NEW_TOKENS, use_cache=False)
    check_greedy(case, tokens + uncached, min(margin, uncached_margin))
    return {
        "final_last_logits": {
            "input_ids": ids,
            "vocabulary_ids": vocabulary_ids,
            "logits": [logits[i].item() for i in vocabulary_ids],
        },
        "greedy": {
            "prompt_ids": prompt,
            "new_tokens": tokens,
            "new_tokens_without_cache": uncached,
            "smallest_margin": min(margin, uncached_margin),
        },
    }


def make_case(case):
    folder = PARITY / case.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    batch_size = case.flags["batch_size"]
    generator = torch.Generator().manual_seed(1000 + case.seed)
    torch.manual_seed(case.seed)

    save_model(case, folder / "model", generator)
    rows = make_rows(case, generator)
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert all(target_count(batch) > 0 for batch in chunks(rows, batch_size))

    base = load_base(folder / "model")
    base_loss = eval_loss(base, rows, batch_size)
    save_start(case, folder, base, generator)
    start = load_start(case, folder)
    modules = lora_modules(start)
    metrics, gradients, trained = train_and_save(case, folder, rows)

    final = load_adapted(folder, "adapter_final").eval()
    expected = {
        "about": case.about,
        "versions": {
            "torch": torch.__version__.split("+")[0],
            "transformers": transformers.__version__,
            "peft": peft.__version__,
        },
        **({"init_lora_weights": case.lora["init_lora_weights"]} if case.changes_base else {}),
        "train": {**case.flags, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        "trainable_parameters": sum(p.numel() for p in start.parameters() if p.requires_grad),
        "matched_modules": list(modules),
        "module_ranks": {name: lora["rank"] for name, lora in modules.items()},
        "module_scalings": {name: lora["scaling"] for name, lora in modules.items()},
        "target_tokens": target_count(rows),
        "base_eval_loss": base_loss,
        "init_eval_loss": eval_loss(start, rows, batch_size),
        "steps": metrics,
        "step1_gradient_norms": {name: gradients[name].norm().item() for name in sorted(gradients)},
        "final_eval_loss": eval_loss(final, rows, batch_size),
        **logits_and_tokens(case, final, rows[0]["input_ids"]),
        "rounding_spread": rounding_spread(case, folder, rows, metrics, trained),
    }
    saved = [name.removeprefix("base_model.model.") for name in gradients if ".lora_" not in name]
    if saved:
        expected["saved_weights"] = saved
    merged = final.merge_and_unload()
    if merged.config.tie_word_embeddings == case.config.tie_word_embeddings:
        expected["merged_eval_loss"] = eval_loss(merged, rows, batch_size)
    (folder / "expected.json").write_text(compact_json(expected) + "\n")
    report(folder, expected)


def report(folder, expected):
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    print(
        f"{folder.name:20s} {size / 1024:4.0f} KB  loss: base {expected['base_eval_loss']:.4f} "
        f"init {expected['init_eval_loss']:.4f} final {expected['final_eval_loss']:.4f}  "
        f"greedy margin {expected['greedy']['smallest_margin']:.3f}  "
        f"rounding {expected['rounding_spread']['max_adapter_difference']:.1e}",
        flush=True,
    )


def make_peft_files():
    """Freshly initialised adapters of llama_basic's model, to compare names, metadata and adapter_config.json with."""
    folder = RESOURCES / "peft-files"
    shutil.rmtree(folder, ignore_errors=True)
    for name, lora in PEFT_FILES.items():
        torch.manual_seed(7)
        model = load_base(PARITY / "llama_basic" / "model")
        model.name_or_path = "example/tiny-llama"
        (folder / name).mkdir(parents=True)
        save_adapter(get_peft_model(model, LoraConfig(**lora)), folder / name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", help="cases to make (default: all, and peft-files)")
    names = parser.parse_args().cases
    unknown = set(names) - {case.name for case in CASES}
    if unknown:
        parser.error(f"unknown case {', '.join(sorted(unknown))}; there are {', '.join(c.name for c in CASES)}")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for case in CASES:
        if not names or case.name in names:
            make_case(case)
    if not names:
        make_peft_files()


if __name__ == "__main__":
    main()
