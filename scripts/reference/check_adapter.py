"""Loads an adapter that Graft made with transformers + PEFT, and shows what it computes there.

    python scripts/reference/check_adapter.py MODEL_DIR ADAPTER_DIR [DATA.jsonl]

Prints the loss over the data of the base, the adapted and the merged model (float32, mean over unmasked targets), and a
greedy continuation. DATA.jsonl is pre-tokenised: {"input_ids": [...], "labels": [...]} a line. Exit status 1 where PEFT
would load the adapter only in part: it merely warns of tensors that are missing or left over.
"""

import argparse
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # PEFT would look for base_model_name_or_path on the hub

import torch
import transformers
from peft import PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file

from reference_training import eval_loss, greedy, load_base, read_rows, target_count


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="folder of the base model")
    parser.add_argument("adapter", type=Path, help="folder with adapter_config.json and adapter_model.safetensors")
    parser.add_argument("data", type=Path, nargs="?", help="pre-tokenised rows")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--prompt-ids", type=int, nargs="+", help="default: the first 5 ids of the first row, or 1")
    parser.add_argument("--prompt", help="text, for a model folder with a tokenizer")
    parser.add_argument("--max-new-tokens", type=int, default=12)
    return parser.parse_args()


def tensor_faults(model_dir, adapter_dir):
    """What is wrong with the names and shapes of the adapter's tensors, by what PEFT itself would save."""
    config = PeftConfig.from_pretrained(adapter_dir)
    fresh = get_peft_model(load_base(model_dir), config)
    expected = {n: tuple(t.shape) for n, t in get_peft_model_state_dict(fresh).items()}
    found = {n: tuple(t.shape) for n, t in load_file(adapter_dir / "adapter_model.safetensors").items()}
    # PEFT also saves the frozen weight of an adapted output head or embedding; an adapter is complete without it.
    needed = {name for name in expected if ".base_layer." not in name}
    faults = [f"missing: {name}" for name in sorted(needed - found.keys())]
    faults += [f"left over: {name}" for name in sorted(found.keys() - expected.keys())]
    faults += [
        f"shape of {name}: {found[name]}, expected {expected[name]}"
        for name in sorted(found.keys() & expected.keys())
        if found[name] != expected[name]
    ]
    return faults


def prompt_ids(args, rows):
    if args.prompt is not None:
        return transformers.AutoTokenizer.from_pretrained(args.model)(args.prompt)["input_ids"]
    return args.prompt_ids or (rows[0]["input_ids"][:5] if rows else [1])


def main():
    args = arguments()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()

    faults = tensor_faults(args.model, args.adapter)
    if faults:
        sys.exit("\n".join([f"{args.adapter}: PEFT would load this adapter only in part", *faults]))

    rows = read_rows(args.data) if args.data else []
    base = load_base(args.model)
    base_loss = eval_loss(base, rows, args.batch_size) if rows else None
    adapted = PeftModel.from_pretrained(base, args.adapter).eval()
    trained = sum(p.numel() for n, p in adapted.named_parameters() if "lora_" in n or "modules_to_save" in n)
    print(f"adapter: {trained} parameters, all tensors loaded")
    prompt = prompt_ids(args, rows)
    tokens, _margin = greedy(adapted, prompt, args.max_new_tokens)
    if rows:
        print(f"target tokens: {target_count(rows)}")
        print(f"base loss:     {base_loss:.6f}")
        print(f"adapted loss:  {eval_loss(adapted, rows, args.batch_size):.6f}")
        print(f"merged loss:   {eval_loss(adapted.merge_and_unload(), rows, args.batch_size):.6f}")
    print(f"prompt: {prompt}")
    print(f"greedy: {tokens}")
    if args.prompt is not None:
        print(transformers.AutoTokenizer.from_pretrained(args.model).decode(tokens))


if __name__ == "__main__":
    main()
