"""Writes what scripts/compare-generate generates with: a random base in float32 and in bfloat16, and an adapter on it whose B is
not zero. Usage: generation_models.py FOLDER SHAPE RANK; makes FOLDER/f32, FOLDER/bf16 and FOLDER/adapter."""

import sys

import torch
from known_shapes import config_of
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM


def main():
    folder, shape, rank = sys.argv[1], sys.argv[2], int(sys.argv[3])
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config_of(shape))
    model.save_pretrained(f"{folder}/f32")
    lora = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    adapted = get_peft_model(model, lora)
    adapted.save_pretrained(f"{folder}/adapter")
    adapted.unload().to(torch.bfloat16).save_pretrained(f"{folder}/bf16")


if __name__ == "__main__":
    main()
