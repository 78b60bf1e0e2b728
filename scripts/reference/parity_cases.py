"""The cases of the parity fixtures: a tiny model, a LoRA configuration and a training run each."""

from dataclasses import dataclass, field

import torch
from transformers import LlamaConfig, MistralConfig, PreTrainedConfig, Qwen2Config, Qwen3Config

TRAIN_DEFAULTS = {
    "batch_size": 3,
    "grad_accum": 1,
    "steps": 12,
    "lr": 5e-3,
    "schedule": "constant",
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "clip_norm": 1.0,
}


@dataclass
class Case:
    name: str
    about: str
    config: PreTrainedConfig
    lora: dict
    train: dict = field(default_factory=dict)
    lengths: tuple = (7, 13, 9, 5, 17, 11, 8, 14, 6, 10)
    """Row lengths of data.jsonl."""
    weight_dtype: torch.dtype = torch.float32
    max_shard_size: str = "50GB"
    transformers4_config: bool = False
    seed: int = 0
    """Chosen so that every greedy step has a clear winner and no end token comes (make_parity_fixtures.py checks)."""

    @property
    def flags(self):
        return {**TRAIN_DEFAULTS, **self.train}

    @property
    def changes_base(self):
        """Whether A and B start by taking over a part of the base's weights."""
        return "init_lora_weights" in self.lora


SIZES = dict(
    vocab_size=101,
    hidden_size=40,
    intermediate_size=72,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=64,
    initializer_range=0.15,
    rms_norm_eps=1e-5,
    bos_token_id=1,
    eos_token_id=2,
    rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
)

SMALL = dict(vocab_size=43, hidden_size=16, intermediate_size=28)

LLAMA3_ROPE = {
    # Head dimension 12: wavelengths 6, 18, 50, 140, ... one below 8 (kept), one between (blended), the rest above 32.
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}


def llama(**changes):
    return LlamaConfig(**{**SIZES, **changes})


def mistral(**changes):
    return MistralConfig(**{**SIZES, **changes})


def qwen2(**changes):
    return Qwen2Config(**{**SIZES, **changes})


def qwen3(**changes):
    return Qwen3Config(**{**SIZES, **changes})


SMALL = dict(vocab_size=61, hidden_size=24, intermediate_size=40, num_hidden_layers=1)

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]

CASES = [
    Case(
        "llama_basic",
        "Llama, LoRA on q and v, constant learning rate",
        llama(),
        dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]),
    ),
    Case(
        "llama_tied_alllinear",
        "Llama with tied embeddings, LoRA on all linear layers (the head is not one of them), cosine",
        llama(tie_word_embeddings=True, hidden_size=32, intermediate_size=76, vocab_size=111),
        dict(r=3, lora_alpha=7, target_modules="all-linear"),
        dict(schedule="cosine"),
    ),
    Case(
        "llama31_rope",
        "Llama 3.1 RoPE scaling; head_dim 12 is not hidden / heads = 9; linear schedule with warm-up",
        llama(hidden_size=36, head_dim=12, rope_parameters=LLAMA3_ROPE),
        dict(r=5, lora_alpha=10, target_modules=ATTENTION),
        dict(schedule="linear", warmup_steps=2),
        lengths=(23, 37, 15, 5, 30, 41, 8, 19, 26, 34),
        seed=1,
    ),
    Case(
        "llama_linear_rope",
        "Llama with linear RoPE scaling, no clipping",
        llama(rope_parameters={"rope_type": "linear", "rope_theta": 1000.0, "factor": 2.5}),
        dict(r=4, lora_alpha=4, target_modules=["q_proj", "k_proj", "gate_proj"]),
        dict(clip_norm=0.0),
    ),
    Case(
        "llama_dynamic_rope",
        "Llama with dynamic NTK RoPE scaling and original length 10; the padded length of a batch sets its frequencies",
        llama(max_position_embeddings=10, rope_parameters={"rope_type": "dynamic", "rope_theta": 100.0, "factor": 2.0}),
        dict(r=4, lora_alpha=8, target_modules=["q_proj", "k_proj", "v_proj"]),
        lengths=(7, 9, 8, 5, 17, 11, 10, 6, 9, 19),
    ),
    Case(
        "llama_yarn",
        "Llama with YaRN RoPE scaling: a ramp over three frequencies, cos and sin times 1.139",
        llama(
            hidden_size=48,
            max_position_embeddings=96,
            rope_parameters={
                "rope_type": "yarn",
                "rope_theta": 100.0,
                "factor": 4.0,
                "beta_fast": 4.0,
                "beta_slow": 0.5,
                "original_max_position_embeddings": 24,
            },
        ),
        dict(r=6, lora_alpha=9, target_modules=["q_proj", "k_proj", "up_proj"]),
        lengths=(23, 37, 15, 5, 30, 41, 8, 19, 26, 34),
    ),
    Case(
        "llama_bias",
        "Llama with non-zero biases in attention (o too) and MLP, LoRA on all linear layers",
        llama(attention_bias=True, mlp_bias=True),
        dict(r=2, lora_alpha=6, target_modules="all-linear"),
        seed=1,
    ),
    Case(
        "mistral_window",
        "Mistral with a sliding window of 6 (a token sees itself and 5 before it), rows up to 21; weight decay",
        mistral(sliding_window=6, hidden_size=48, intermediate_size=80, vocab_size=97),
        dict(r=4, lora_alpha=8, target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "down_proj"]),
        dict(weight_decay=0.05),
        lengths=(9, 21, 12, 6, 18, 7, 15, 11, 5, 20),
    ),
    Case(
        "qwen2",
        "Qwen2: non-zero q, k, v biases, 6 heads on 2 key/value heads, tied embeddings, linear schedule",
        qwen2(hidden_size=48, num_attention_heads=6, vocab_size=113, tie_word_embeddings=True),
        dict(r=4, lora_alpha=8, target_modules=ATTENTION),
        dict(schedule="linear"),
        seed=2,
    ),
    Case(
        "qwen2_window",
        "Qwen2 whose layer 0 attends to all and layer 1 to a sliding window of 5",
        qwen2(use_sliding_window=True, sliding_window=5, max_window_layers=1),
        dict(r=4, lora_alpha=8, target_modules=ATTENTION),
        lengths=(9, 21, 12, 6, 18, 7, 15, 11, 5, 20),
    ),
    Case(
        "qwen3",
        "Qwen3: RMSNorm of each q and k head with non-unit weights, head_dim 14 is not hidden / heads = 10",
        qwen3(head_dim=14, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}, rms_norm_eps=1e-6),
        dict(r=4, lora_alpha=8, target_modules="all-linear", exclude_modules=r".*\.1\.mlp\.(gate|up)_proj"),
    ),
    Case(
        "llama_sharded_bf16",
        "Llama with bf16 weights in several shards with an index; computed in float32 after exact upcasting",
        llama(),
        dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "up_proj"]),
        weight_dtype=torch.bfloat16,
        max_shard_size="20KB",
    ),
    Case(
        "llama_tf4_spelling",
        "Llama 3.1 with config.json as transformers 4 writes it (torch_dtype, rope_scaling), two end tokens",
        llama(hidden_size=48, rope_parameters=LLAMA3_ROPE, eos_token_id=[2, 3]),
        dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]),
        lengths=(23, 37, 15, 5, 30, 41, 8, 19, 26, 34),
        transformers4_config=True,
    ),
    Case(
        "lora_patterns",
        "rank_pattern and alpha_pattern: suffixes, full names and regular expressions; the first matching key wins",
        llama(),
        dict(
            r=4,
            lora_alpha=8,
            target_modules=[
                *("q_proj", "v_proj", "down_proj"),
                *("layers.1.mlp.gate_proj", "model.layers.0.self_attn.o_proj"),
            ],
            rank_pattern={r"layers\.[1-9]\.self_attn\.v_proj": 2, "mlp.(down|gate)_proj": 5, "v_proj": 7},
            alpha_pattern={"^model.layers.0.mlp.down_proj": 3, r"layers\.0\..*_proj": 20, "q_proj": 12},
        ),
    ),
    Case(
        "lora_rslora_regex",
        "rsLoRA (s = alpha / sqrt(r)), target_modules a regular expression, exclude_modules a list",
        llama(),
        dict(
            r=6,
            lora_alpha=5,
            use_rslora=True,
            target_modules=r"model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(up|down)_proj)",
            exclude_modules=["o_proj", "layers.1.mlp.up_proj", "model.layers.0.self_attn.k_proj"],
        ),
        seed=2,
    ),
    Case(
        "lora_accum",
        "batch 2, 3 accumulation steps: an epoch is a window of 3 batches and a shorter one of 2, whose last has 1 row",
        llama(),
        dict(r=4, lora_alpha=8, target_modules="all-linear"),
        dict(batch_size=2, grad_accum=3, weight_decay=0.1, clip_norm=0.3, schedule="cosine", warmup_steps=3),
        lengths=(7, 13, 9, 5, 17, 11, 8, 14, 6),
        seed=1,
    ),
    Case(
        "lora_head_target",
        "LoRA on lm_head of an untied model besides attention and MLP layers; PEFT then saves lm_head itself too",
        llama(),
        dict(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj", "lm_head"]),
    ),
    Case(
        "saved_embeddings",
        "modules_to_save: embedding and output head of an untied model are trained whole beside LoRA on q and v",
        llama(**SMALL),
        dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], modules_to_save=["embed_tokens", "lm_head"]),
        dict(weight_decay=0.05),
    ),
    Case(
        "saved_norms",
        "modules_to_save norm: every module whose name ends in it, those of Qwen3's queries and keys too",
        qwen3(**SMALL, head_dim=10),
        dict(r=3, lora_alpha=6, target_modules=["gate_proj", "o_proj"], modules_to_save=["norm"]),
        seed=1,
    ),
    Case(
        "saved_tied",
        "modules_to_save lm_head of a tied model with ensure_weight_tying: one weight, stored under both names; "
        "all-linear leaves the saved k_proj, which has a bias, to be trained whole",
        qwen2(**SMALL, tie_word_embeddings=True),
        dict(
            r=3,
            lora_alpha=6,
            target_modules="all-linear",
            modules_to_save=["lm_head", "k_proj"],
            ensure_weight_tying=True,
        ),
    ),
    Case(
        "saved_apart",
        "modules_to_save embed_tokens of a tied model: the head stays what the embedding was",
        qwen2(**SMALL, tie_word_embeddings=True),
        dict(r=3, lora_alpha=6, target_modules=["down_proj"], modules_to_save=["embed_tokens"]),
    ),
    Case(
        "dora",
        "DoRA on layers of all kinds and on lm_head of an untied model",
        llama(),
        dict(
            r=4,
            lora_alpha=8,
            use_dora=True,
            target_modules=["q_proj", "v_proj", "o_proj", "up_proj", "down_proj", "lm_head"],
        ),
        dict(schedule="cosine"),
    ),
    Case(
        "dora_qwen2",
        "DoRA with rsLoRA and a rank pattern on Qwen2, whose q, k and v have biases; accumulation, weight decay",
        qwen2(hidden_size=48, num_attention_heads=6, vocab_size=113, tie_word_embeddings=True),
        dict(
            r=4,
            lora_alpha=4,
            use_dora=True,
            use_rslora=True,
            target_modules=[*ATTENTION, "gate_proj"],
            rank_pattern={"v_proj": 2},
        ),
        dict(batch_size=2, grad_accum=2, weight_decay=0.05),
        seed=3,
    ),
    Case(
        "lora_pissa",
        "PiSSA: A and B start as the leading singular parts of the base's weights; rank and alpha patterns",
        llama(**SMALL),
        dict(
            r=3,
            lora_alpha=5,
            init_lora_weights="pissa",
            target_modules="all-linear",
            rank_pattern={"v_proj": 2},
            alpha_pattern={"up_proj": 4},
        ),
        seed=1,
    ),
    Case(
        "lora_olora",
        "OLoRA: A and B start as the first rows of R and columns of Q of the base's weights; rsLoRA; adapted head",
        llama(**SMALL),
        dict(
            r=3,
            lora_alpha=2,
            use_rslora=True,
            init_lora_weights="olora",
            target_modules=["q_proj", "k_proj", "down_proj", "up_proj", "lm_head"],
        ),
    ),
    Case(
        "lora_plus",
        "LoRA+: B's learning rate is 8 times A's; cosine with warm-up, weight decay, clipping",
        llama(**SMALL),
        dict(r=3, lora_alpha=6, target_modules="all-linear"),
        dict(lr=2e-3, lora_plus_ratio=8.0, schedule="cosine", warmup_steps=2, weight_decay=0.1, clip_norm=0.5),
    ),
]

PEFT_FILES = {
    # What LoraConfig() alone gives: no task_type, so that PEFT notes the base model's class in auto_mapping.
    "bare": dict(),
    "default": dict(task_type="CAUSAL_LM"),
    "gaussian": dict(
        task_type="CAUSAL_LM", r=16, lora_alpha=32, init_lora_weights="gaussian", target_modules=ATTENTION
    ),
    "all_linear": dict(task_type="CAUSAL_LM", r=2, target_modules="all-linear"),
    "saved": dict(
        task_type="CAUSAL_LM",
        r=2,
        target_modules=["q_proj", "v_proj"],
        modules_to_save=["model.norm", "layers.1.self_attn.v_proj"],
    ),
    "dora": dict(task_type="CAUSAL_LM", r=2, use_dora=True, target_modules=["q_proj", "v_proj"]),
    "patterns": dict(
        task_type="CAUSAL_LM",
        r=4,
        lora_alpha=8,
        lora_dropout=0.05,
        use_rslora=True,
        target_modules=r".*\.(q_proj|v_proj|down_proj)",
        exclude_modules=["model.layers.0.mlp.down_proj"],
        rank_pattern={"v_proj": 2, r"layers\.1\.self_attn\.q_proj": 3},
        alpha_pattern={"v_proj": 2.5, r"layers\.1\.self_attn\.q_proj": 9},
    ),
}
"""LoRA configurations whose freshly initialised adapters (B = 0) are saved as PEFT writes them."""
