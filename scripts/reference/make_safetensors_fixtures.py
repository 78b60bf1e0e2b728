#!/usr/bin/env python3
"""Write the files that the tests of dev.graft.io compare with, byte for byte.

Needs torch, safetensors and peft; made with torch 2.13.0, safetensors 0.8.0, peft 0.21.0, CPython 3.11.

    python scripts/reference/make_safetensors_fixtures.py [OUT]
"""

import json
import math
import random
import struct
import sys
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors.torch import save_file

DEFAULT_OUT = Path(__file__).parents[2] / "java/graft-core/src/test/resources/dev/graft/io"

DTYPES = {
    "F32": torch.float32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "F64": torch.float64,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def safetensors_files(out: Path) -> None:
    """Every dtype, awkward shapes and names; and an adapter as PEFT saves it."""
    every = {f"t.{name}": torch.arange(3).to(dtype) for name, dtype in DTYPES.items()}
    every["scalar"] = torch.tensor(1.5)
    every["empty"] = torch.ones(0, 3)
    every["quote\" back\\ tab\t bell\x07 delete\x7f slash/"] = torch.ones(2, 1, 2)
    # UTF-16 order, Java's, would swap these two
    every["\U0001f600"] = torch.ones(1)
    every["\uffee"] = torch.ones(1)
    save_file(every, out / "every-dtype.safetensors")

    generator = torch.Generator().manual_seed(7)
    adapter = {}
    for layer in (10, 2):
        for module in ("q_proj", "v_proj"):
            key = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            adapter[f"{key}.lora_A.weight"] = torch.randn(2, 5, generator=generator)
            adapter[f"{key}.lora_B.weight"] = torch.randn(7, 2, generator=generator)
    save_file(adapter, out / "adapter.safetensors", metadata={"format": "pt"})

    save_file({}, out / "no-tensors.safetensors")


def json_files(out: Path) -> None:
    """Pairs x.json (compact, unsorted) and x.pretty.json (what Python makes of it)."""
    config = LoraConfig(
        r=16,
        lora_alpha=32,
        lora_dropout=0.05,
        target_modules=["q_proj"],
        rank_pattern={"model.layers.0.self_attn.q_proj": 8},
        base_model_name_or_path="tiny/model",
        task_type="CAUSAL_LM",
        inference_mode=True,
    ).to_dict()
    config["target_modules"] = sorted(config["target_modules"])
    awkward = {
        "z": [],
        "a": {},
        "nested": [[], {}, [1, [2, {"k": None}]], True, False],
        "numbers": [0, -1, 2**63, 0.0, -0.0, 1e-05, 0.0002, 16.0, 1e15, 1e16, 1.5e300, 5e-324],
        "strings": ["\u00e9", "\U0001f600", "\x00\x1f\x7f/", "\"\\\b\f\n\r\t", ""],
        "\uffee": 1,
        "\U0001f600": 2,
    }
    for name, value in (("adapter_config", config), ("awkward", awkward), ("scalar", "text")):
        (out / f"{name}.json").write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
        (out / f"{name}.pretty.json").write_text(json.dumps(value, indent=2, sort_keys=True), encoding="utf-8")


def float_reprs(out: Path) -> None:
    """Lines "bits repr": doubles of all magnitudes, with those where shortest-decimal algorithms differ."""
    rng = random.Random(3)
    values = [float(f"{sign}{digit}e{power}") for sign in ("", "-") for digit in (1, 2, 9.5) for power in range(-8, 19, 1)]
    values += [5e-324, 1e-323, 1.5e-323, 2e-323, 3e-323, 2.2250738585072014e-308, 1.7976931348623157e308]
    values += [1e22, 1e23, 2e23, 9007199254740993.0, 9999999999999998.0, 0.1 + 0.2, 1 / 3, 123456.789]
    while len(values) < 300:
        value = struct.unpack("<d", rng.randbytes(8))[0]
        if math.isfinite(value):
            values.append(value)
    lines = [f"{struct.pack('>d', value).hex()} {value!r}" for value in values]
    (out / "float-reprs.txt").write_text("\n".join(lines) + "\n", encoding="ascii")


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_OUT
    out.mkdir(parents=True, exist_ok=True)
    safetensors_files(out)
    json_files(out)
    float_reprs(out)


if __name__ == "__main__":
    main()
