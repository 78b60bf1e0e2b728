"""Makes the reference values of bottleneck adapter modules: a plain PyTorch module after attention and MLP, in float32.

    python scripts/reference/make_bottleneck_fixtures.py

Takes models, rows and flags of some of the cases that make_parity_fixtures.py makes, and writes
java/graft-core/src/test/resources/bottleneck-parity/<case>/: start/ with the modules before training in the files of
AdapterHub's `adapters` 1.2.0 (adapter_config.json as its save_adapter writes it, adapter.safetensors), the gradients of
step 1, and expected.json.
"""

import json
import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from torch import nn

from reference_training import eval_loss, greedy, load_base, read_rows, train

RESOURCES = Path(__file__).resolve().parents[2] / "java/graft-core/src/test/resources"
NAME = "task"
CASES = {
    # parity case: (bottleneck, placement)
    "llama_tied_alllinear": (7, "houlsby"),
    "qwen3": (8, "pfeiffer"),
    "lora_accum": (20, "houlsby"),
}

# DoubleSeqBnConfig(non_linearity="gelu").to_dict() of adapters 1.2.0, but for what differs from case to case
CONFIG = {
    "adapter_residual_before_ln": False,
    "cross_adapter": False,
    "dropout": 0.0,
    "factorized_phm_W": True,
    "factorized_phm_rule": False,
    "hypercomplex_nonlinearity": "glorot-uniform",
    "init_weights": "bert",
    "init_weights_seed": None,
    "inv_adapter": None,
    "inv_adapter_reduction_factor": None,
    "is_parallel": False,
    "learn_phm": True,
    "leave_out": [],
    "ln_after": False,
    "ln_before": False,
    "non_linearity": "gelu",
    "original_ln_after": True,
    "original_ln_before": False,
    "output_adapter": True,
    "phm_bias": True,
    "phm_c_init": "normal",
    "phm_dim": 4,
    "phm_init_range": 0.0001,
    "phm_layer": False,
    "phm_rank": 1,
    "residual_before_ln": True,
    "scaling": 1.0,
    "shared_W_phm": False,
    "shared_phm_rule": True,
    "stochastic_depth": 0.0,
    "use_gating": False,
}


class Bottleneck(nn.Module):
    """h + up(gelu(down(h))), its parts named as in `adapters`."""

    def __init__(self, hidden_size, size, generator):
        super().__init__()
        self.adapter_down = nn.Sequential(nn.Linear(hidden_size, size), nn.GELU())
        self.adapter_up = nn.Linear(size, hidden_size)
        for name, parameter in self.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            with torch.no_grad():
                parameter.copy_(0.1 * noise if name.endswith("bias") else noise * parameter.shape[1] ** -0.5 / 2)

    def forward(self, h):
        return h + self.adapter_up(self.adapter_down(h))


def insert(model, size, placement, generator):
    """Freezes the model and inserts modules; returns them by the name that `adapters` gives them."""
    model.requires_grad_(False)
    modules = {}
    for index, layer in enumerate(model.model.layers):
        places = {"output_adapters": layer.mlp}
        if placement == "houlsby":
            places = {"attention_adapters": layer.self_attn, **places}
        for place, block in places.items():
            module = Bottleneck(model.config.hidden_size, size, generator)
            block.add_module("bottleneck", module)
            block.register_forward_hook(
                lambda _block, _inputs, output, m=module: (
                    (m(output[0]), *output[1:]) if isinstance(output, tuple) else m(output)
                )
            )
            modules[f"model.layers.{index}.{place}.adapters.{NAME}"] = module
    return modules


def tensors(modules, of=lambda parameter: parameter):
    return {
        f"{prefix}.{name}": of(parameter).detach().clone()
        for prefix, module in modules.items()
        for name, parameter in module.named_parameters()
    }


def save(folder, model, modules, size, placement):
    folder.mkdir(parents=True)
    save_file(tensors(modules), folder / "adapter.safetensors")
    hidden_size = model.config.hidden_size
    factor = hidden_size / size
    assert int(hidden_size // factor) == size  # as `adapters` computes it
    config = {
        "config": {**CONFIG, "mh_adapter": placement == "houlsby", "reduction_factor": factor},
        "hidden_size": hidden_size,
        "model_class": type(model).__name__,
        "model_name": "model",
        "model_type": model.config.model_type,
        "name": NAME,
        "version": "adapters.1.2.0",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True))


def make(name, size, placement):
    case = RESOURCES / "parity" / name
    folder = RESOURCES / "bottleneck-parity" / name
    shutil.rmtree(folder, ignore_errors=True)
    flags = json.loads((case / "expected.json").read_text())["train"]
    rows = read_rows(case / "data.jsonl")
    model = load_base(case / "model")
    modules = insert(model, size, placement, torch.Generator().manual_seed(5))
    save(folder / "start", model, modules, size, placement)
    start_loss = eval_loss(model, rows, flags["batch_size"])

    def keep_first_gradients(step):
        if step == 1:
            gradients = tensors(modules, lambda parameter: parameter.grad)
            save_file(gradients, folder / "gradients_step1.safetensors")

    steps = train(model, rows, flags, after_backward=keep_first_gradients)
    prompt = rows[0]["input_ids"][:5]
    tokens, margin = greedy(model, prompt, 8)
    sums = {n: [p.double().sum().item(), p.double().square().sum().item()] for n, p in tensors(modules).items()}
    expected = {
        "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__,
        "bottleneck": size,
        "placement": placement,
        "trainable_parameters": sum(p.numel() for p in tensors(modules).values()),
        "start_eval_loss": start_loss,
        "steps": steps,
        "final_eval_loss": eval_loss(model, rows, flags["batch_size"]),
        "greedy": {"prompt_ids": prompt, "new_tokens": tokens, "smallest_margin": margin},
        "weights_sum_and_square_sum": sums,
    }
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(f"{name:24s} loss {steps[0]['loss']:.4f} -> {expected['final_eval_loss']:.4f}, greedy margin {margin:.3f}")


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for name, (size, placement) in CASES.items():
        make(name, size, placement)


if __name__ == "__main__":
    main()
